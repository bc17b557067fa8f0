"""How often the diagnosis is right, on constructed curves and on real trainings labelled by intervention."""

from collections import Counter

import numpy as np
import pytest

from tests.service.report.curves.confusion import PAGE, confusions, written
from tests.service.report.curves.constructed import COUNTS, constructed
from tests.service.report.curves.recorded import kinds_of, recorded

LOOKED_AT, HELD_OUT, RECORDED, RECORDED_LATER = range(4)


@pytest.fixture(scope="module")
def found():
    return confusions()


@pytest.mark.parametrize(
    ("which", "right", "wrong"),
    [(LOOKED_AT, 141, 1), (HELD_OUT, 133, 2), (RECORDED, 34, 3), (RECORDED_LATER, 18, 3)],
)
def test_the_diagnosis_is_right_as_often_as_it_was_and_hardly_ever_clear_but_wrong(found, which, right, wrong):
    assert found[which].right >= right
    assert found[which].wrong <= wrong


def test_the_tables_in_the_docs_are_what_the_diagnosis_says_now():
    page = PAGE.read_text(encoding="utf-8")
    assert "looked at**: " in page
    assert written(page) == page, "python -m tests.service.report.curves.confusion --write"


@pytest.mark.parametrize("held_out", [False, True])
def test_the_constructed_curves_are_of_every_kind_and_wide_in_scale_and_length(held_out):
    curves = constructed(held_out=held_out)
    assert Counter(each.kind for each in curves) == COUNTS
    levels = [float(np.nanmedian(each.objective.validation)) for each in curves if each.loss is None]
    assert min(levels) < 0.01
    assert max(levels) > 100
    lengths = [len(each.objective.train) for each in curves]
    assert min(lengths) < 6
    assert max(lengths) > 150


def test_the_recorded_trainings_are_sixty_of_ten_studies_with_every_kind_among_them():
    trainings = recorded(held_out=False)
    assert len(trainings) == 60
    assert len({training.study for training in trainings}) == 10
    kinds = {kind for training in trainings for kind in training.kinds}
    assert kinds == {"well fit", "still learning", "underfit", "overfit", "not learning", "diverged"}


RESULT = {
    "metric": "val_accuracy",
    "baseline": 0.1,
    "results": {"base": [0.80, 0.81, 0.80], "longer": [0.80, 0.81, 0.80], "less": [0.79] * 3, "more": [0.80] * 3},
}


@pytest.mark.parametrize(
    ("arm", "values", "kinds"),
    [
        ("longer", [0.85, 0.86, 0.79], ("still learning",)),  # the curves are those of the first seed
        ("longer", [0.80, 0.86, 0.86], ("well fit",)),
        ("longer", [0.75, 0.75, 0.80], ("overfit",)),
        ("less", [0.82, 0.83, 0.82], ("underfit",)),
        ("less", [0.82, 0.83, 0.80], ("well fit",)),
        ("more", [0.82, 0.83, 0.82], ("overfit",)),
        ("base", [0.11, 0.11, 0.11], ("not learning",)),
        ("base", ["nan", 0.80, 0.80], ("diverged",)),
    ],
)
def test_what_a_training_is_follows_from_what_helped_it(arm, values, kinds):
    results = RESULT["results"] | {arm: values}
    if arm == "base":
        results = dict.fromkeys(results, values)
    assert kinds_of(RESULT | {"results": results}) == kinds
