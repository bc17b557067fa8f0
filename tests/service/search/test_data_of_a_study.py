"""A study has the data of its first trainer; those of every other are held against them."""

from __future__ import annotations

from typing import Any

import pytest

from bandstand.search.search import Search
from bandstand.trials.data_fingerprint import ArrayPrint


def array(name: str = "x", digest: str = "a", shape: tuple[int, ...] = (20, 4), first: float = 0.5) -> ArrayPrint:
    return ArrayPrint(
        name=name, type="<f4", shape=list(shape), digest=digest, sketch=[first, -1.0, 2.0], tolerance=2e-5
    )


FIRST = {"train": [array(), array("y", "b")], "validation": [array(digest="c")], "test": [array(digest="d")]}


def with_data(spec: Any) -> Search:
    search = Search(spec)
    search.data.see(FIRST)
    return search


def test_a_trainer_with_the_same_data_may_work_and_nothing_is_said(spec_with: Any) -> None:
    search = with_data(spec_with())
    assert search.data.compare(dict(FIRST)) is None
    assert not search.history.notices


@pytest.mark.parametrize(
    ("changed", "splits", "cause"),
    [
        ({"validation": [array(digest="z", first=0.7)]}, "split validation differs", "draws at random"),
        ({"train": [array(), array("y", "z", first=0.7)], "test": [array(digest="e", first=0.1)]},
         "splits test, train differ", "draws at random"),
        ({"validation": [array(digest="c", shape=(21, 4))]}, "split validation differs", "a file has changed"),
        ({"extra": [array()]}, "split extra differs", "a file has changed"),
    ],
    ids=["content", "two splits", "shape", "another split"],
)  # fmt: skip
def test_other_data_are_refused_with_the_splits_and_the_likely_cause_first(
    spec_with: Any, changed: dict[str, Any], splits: str, cause: str
) -> None:
    refusal = with_data(spec_with()).data.compare(FIRST | changed)
    assert f"; {splits} from the data of the first trainer, usually because" in refusal
    assert cause in refusal.partition(", or because")[0]
    assert refusal.endswith("or accept the difference (--data-may-differ; in Python data_may_differ=True)")


def test_a_split_that_is_gone_is_another_data_set(spec_with: Any) -> None:
    refusal = with_data(spec_with()).data.compare({"train": FIRST["train"], "validation": FIRST["validation"]})
    assert "split test differs" in refusal


def test_data_that_may_differ_are_taken_and_the_study_says_so_once(spec_with: Any) -> None:
    search = with_data(spec_with())
    for _ in range(2):
        assert search.data.compare(FIRST | {"test": [array(digest="z", first=9.0)]}, may_differ=True) is None
    (notice,) = search.history.notices
    assert "split test differs between a trainer and the first trainer of the study" in notice
    assert "because this was allowed" in notice


def test_differences_of_rounding_are_a_note(spec_with: Any) -> None:
    search = with_data(spec_with())
    rounded = FIRST | {"validation": [array(digest="z", first=0.500001)]}
    assert search.data.compare(rounded) is None
    (notice,) = search.history.notices
    assert notice.startswith("split validation differs between trainers only by rounding")


def test_a_restored_study_knows_its_data(spec_with: Any) -> None:
    search = with_data(spec_with())
    again = Search.restore(search.spec, search.take_events())
    assert again.history.data == FIRST
    assert "split train differs" in again.data.compare(FIRST | {"train": [array(digest="z", first=3.0)]})
