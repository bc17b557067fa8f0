"""A figure alone: as a page, or one line about why not."""

import sys

import pytest

from bandstand.errors import InputError, MissingExtraError
from bandstand.report.figures import REPORTS
from bandstand.report.forms.image import check_suffix, write_drawing


@pytest.fixture
def drawing(make_synthetic):
    """A figure."""
    return REPORTS["history"].draw(make_synthetic(trials=12, max_epochs=9, prune=True))


def test_a_page_of_one_figure_has_its_caption_and_escapes_its_title(tmp_path, drawing):
    path = tmp_path / "history.html"
    write_drawing(drawing, path, "History: <b>mine</b>", "history")
    text = path.read_text(encoding="utf-8")
    assert "<h1>History: &lt;b&gt;mine&lt;/b&gt;</h1>" in text
    assert 'id="data-history"' in text
    assert "Each marker is a trial" in text


def test_another_kind_of_file_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"must end in .html, .png or .svg; got 'history.pdf'"):
        check_suffix(tmp_path / "history.pdf")


def test_images_without_kaleido_name_the_package(tmp_path, drawing, monkeypatch):
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(MissingExtraError, match=r'pip install "bandstand\[images\]", or write .html'):
        write_drawing(drawing, tmp_path / "history.png", "History", "history")


def test_images_without_a_browser_say_so_in_one_line(tmp_path, drawing, monkeypatch):
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    with pytest.raises(InputError, match="Chromium or Chrome draws images, and neither was found: install one"):
        write_drawing(drawing, tmp_path / "history.svg", "History", "history")
    assert not (tmp_path / "history.svg").exists()
