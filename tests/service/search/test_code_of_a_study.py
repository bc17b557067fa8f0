"""A study that has trained goes on with the same code, or says that it did not."""

from __future__ import annotations

from typing import Any

from bandstand.search.protocol import Measurement
from bandstand.search.search import Search
from bandstand.trials.code_fingerprint import CodePrint

FIRST = CodePrint(python="3.11", parts={"train.py: build": "a", "train.py: load": "b"})
OTHER = CodePrint(python="3.11", parts={"train.py: build": "z", "train.py: load": "b"})


def trained(spec: Any) -> Search:
    search = Search(spec)
    search.code.take(FIRST)
    work = search.next()
    assert work is not None
    search.report(work.trial, work.attempt, Measurement(epoch=1, metrics={"val_accuracy": 0.5}))
    return search


def test_code_that_has_trained_nothing_may_change_without_a_word(spec_with: Any) -> None:
    search = Search(spec_with())
    search.code.take(FIRST)
    search.code.take(OTHER)
    assert (search.history.code, search.history.notices) == (OTHER, set())


def test_a_change_after_an_epoch_is_noted_with_the_parts_that_changed(spec_with: Any) -> None:
    search = trained(spec_with())
    search.code.take(FIRST)
    assert not search.history.notices
    search.code.take(OTHER)
    (notice,) = search.history.notices
    assert "train.py: build changed before the study continued" in notice
    assert search.history.code == OTHER


def test_a_replay_is_held_against_the_code_of_what_it_replays(spec_with: Any) -> None:
    search = Search(spec_with())
    search.code.take(OTHER, replayed=FIRST)
    (notice,) = search.history.notices
    assert "train.py: build changed" in notice


def test_a_trainer_that_has_imported_other_code_gets_no_work(spec_with: Any) -> None:
    search = trained(spec_with())
    assert search.code.compare(FIRST) is None
    refusal = search.code.compare(OTHER)
    assert refusal is not None
    assert refusal.startswith(
        "code must stay the same while a study is trained; train.py: build changed since this run"
    )
    assert refusal.endswith("or accept the difference (--code-may-differ; in Python code_may_differ=True)")
    assert search.code.compare(OTHER, may_differ=True) is None
    (notice,) = search.history.notices
    assert "this was allowed" in notice.lower()


def test_a_process_that_sees_only_a_part_of_the_code_is_compared_by_that_part(spec_with: Any) -> None:
    search = trained(spec_with())
    assert search.code.compare(CodePrint(python="3.11", parts={"train.py: load": "b", "more.py: x": "c"})) is None
    assert search.code.compare(CodePrint()) is None


def test_a_restored_study_knows_its_code(spec_with: Any) -> None:
    search = trained(spec_with())
    again = Search.restore(search.spec, search.take_events())
    assert again.history.code == FIRST


def test_a_study_from_before_fingerprints_takes_the_first_that_it_gets(spec_with: Any) -> None:
    search = Search(spec_with())
    assert search.code.compare(FIRST) is None
    search.code.take(FIRST)
    assert search.history.code == FIRST
