"""The page in a real browser: figures are drawn, nothing is loaded, nothing of a study runs."""

import math

import pytest

from bandstand.problem.objective import Objective
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.figures import REPORTS
from bandstand.report.forms.image import write_drawing
from bandstand.report.forms.page import write_report
from tests.service.report.browser import open_page, require_chromium

EVIL = "<script>document.title='gotcha'</script><img src=x onerror=\"document.title='gotcha'\"> <b>Größe</b>"


@pytest.fixture(autouse=True)
def _chromium():
    require_chromium()


def test_every_figure_is_drawn_and_nothing_of_a_study_runs(tmp_path, make_record, make_spec, run):
    spec = make_spec(name=EVIL[:95], notes=EVIL, objective=Objective(metric=EVIL, direction="minimize"))
    runs = [run([3.0 - 0.1 * i, 2.5 - 0.1 * i, math.nan], params={"learning_rate": 0.01 * (i + 1), "optimizer": "adam"})
            for i in range(9)] + [run([2.0], "failed", EVIL, EVIL)]  # fmt: skip
    record = make_record(runs, spec=spec, notices=[EVIL])
    path = tmp_path / "report.html"
    write_report(record, path)
    asked = (
        "({title: document.title, drawn: document.querySelectorAll('.figure .main-svg').length, "
        "places: document.querySelectorAll('.figure').length, wide: document.documentElement.scrollWidth, "
        "loaded: performance.getEntriesByType('resource').length, images: document.images.length})"
    )
    _, found = open_page(path, asked)
    assert found["places"] >= 6
    assert found["drawn"] >= found["places"]
    assert found["loaded"] == 0
    assert found["images"] == 0
    assert found["title"].startswith("<script>")


@pytest.mark.slow
def test_ten_thousand_trials_of_fifty_epochs_make_a_page_under_5_mb_that_is_drawn(tmp_path, make_synthetic):
    record = make_synthetic(trials=10_000, max_epochs=50, prune=False)
    path = tmp_path / "report.html"
    write_report(record, path, [record])
    assert path.stat().st_size < 5_000_000
    _, drawn = open_page(path, "document.querySelectorAll('.figure .main-svg').length")
    assert drawn >= 8


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_figure_becomes_an_image(tmp_path, make_synthetic, suffix):
    drawing = REPORTS["history"].draw(make_synthetic(trials=12, max_epochs=9, prune=True))
    assert isinstance(drawing, Drawing)
    path = tmp_path / f"history.{suffix}"
    write_drawing(drawing, path, "History", "history")
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG" if suffix == "png" else b"<svg")
    assert len(data) > 5000
