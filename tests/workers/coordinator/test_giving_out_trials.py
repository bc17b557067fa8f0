"""What the coordinator remembers to give trials out well, and to give them back only when they are safe."""

from __future__ import annotations

import pytest

from bandstand.search.protocol import Measurement
from bandstand.search.search import Search
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action, TrialState
from bandstand_workers.coordinator.recording.pauses import Pauses
from bandstand_workers.coordinator.trainers.affinity import Affinity


def make_search(trials: int = 3) -> Search:
    """A study that is being stopped, with this many trials under way that have trained one epoch."""
    spec = StudySpec.model_validate(
        {
            "name": "pauses",
            "model": "a:b",
            "data": "a:c",
            "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
            "sampler": "random",
            "pruner": "none",
            "max_epochs": 9,
            "budget": {"trials": 9},
        }
    )
    search = Search(spec)
    for _ in range(trials):
        search.next()
    search.stop()
    for number in range(trials):
        assert (
            search.report(number, 1, Measurement(epoch=1, metrics={"val_loss": 1.0, "val_accuracy": 0.5})).action
            is Action.PAUSE
        )
    return search


def test_a_trial_is_given_back_when_its_checkpoint_is_durable() -> None:
    search = make_search()
    pauses = Pauses(search)
    pauses.wanted("one", 0, 1, 1)
    assert search.history.trials[0].state is TrialState.RUNNING
    assert pauses.under_way("one")
    search.checkpointed(0, 1, 1, "file")
    pauses.written(0, 1, 1, None)
    assert search.history.trials[0].state is TrialState.WAITING
    assert not pauses.under_way("one")


def test_the_file_may_be_durable_before_the_trainer_says_that_it_pauses() -> None:
    search = make_search()
    pauses = Pauses(search)
    search.checkpointed(0, 1, 1, "file")
    pauses.written(0, 1, 1, None)
    assert search.history.trials[0].state is TrialState.RUNNING
    pauses.wanted("one", 0, 1, 1)
    assert search.history.trials[0].state is TrialState.WAITING


@pytest.mark.parametrize("word_first", [True, False])
def test_a_trial_whose_checkpoint_cannot_be_written_fails_with_the_reason(word_first: bool) -> None:
    search = make_search()
    pauses = Pauses(search)
    if word_first:
        pauses.wanted("one", 0, 1, 1)
    pauses.written(0, 1, 1, "OSError: disk full")
    if not word_first:
        pauses.wanted("one", 0, 1, 1)
    trial = search.history.trials[0]
    assert trial.state is TrialState.FAILED
    assert "disk full" in trial.message


def test_what_a_dead_trainer_has_not_written_is_lost_without_blame() -> None:
    search = make_search()
    pauses = Pauses(search)
    pauses.wanted("one", 0, 1, 1)
    pauses.wanted("two", 1, 1, 1)
    pauses.abandon("one", "it died")
    assert search.history.trials[0].state is TrialState.WAITING
    assert search.history.trials[0].lost == 0
    assert search.history.trials[0].checkpoint_epoch == 0
    assert search.history.trials[1].state is TrialState.RUNNING
    assert pauses.under_way("two")


def of(affinity: Affinity, trainer: str, *trials: int) -> set[int]:
    """What this trainer should have of waiting trials whose params are not known to matter."""
    return affinity.of(trainer, {trial: {"rate": 0.5} for trial in trials})


def after_four_trials() -> Affinity:
    affinity = Affinity()
    affinity.trained("one", 0, "small")
    affinity.trained("two", 1, "small")
    affinity.trained("two", 2, "large")
    affinity.trained("one", 3, None)
    return affinity


def test_a_trainer_prefers_what_it_trained_last_then_what_it_has_a_program_for() -> None:
    assert of(after_four_trials(), "one", 0, 1, 2, 3, 7) == {0, 3}
    assert of(after_four_trials(), "one", 1, 2) == {1}
    assert of(after_four_trials(), "two", 0) == {0}
    affinity = after_four_trials()
    assert of(affinity, "three", 0, 1, 2) == set()
    affinity.forget("two")
    assert of(affinity, "two", 0) == set()


def test_a_new_trial_goes_to_the_trainer_that_has_its_shape_and_an_unknown_shape_to_whoever_has_none() -> None:
    affinity = Affinity()
    affinity.given("one", {"units": 32, "rate": 0.1})
    affinity.given("two", {"units": 64, "rate": 0.1})
    waiting = {5: {"units": 64, "rate": 0.2}, 6: {"units": 32, "rate": 0.3}, 7: {"units": 128, "rate": 0.1}}
    assert affinity.of("one", waiting) == {6}
    assert affinity.of("two", waiting) == {5}
    assert affinity.of("three", waiting) == {7}
    affinity.forget("two")
    assert affinity.of("three", waiting) == {5, 7}


def test_a_trial_that_waits_to_go_on_is_left_to_its_trainer_for_a_while_only() -> None:
    affinity = Affinity()
    for name, units in (("one", 32), ("two", 64)):
        affinity.given(name, {"units": units})
    affinity.trained("two", 0, "of 64 units")
    waiting = {0: {"units": 64}, 1: {"units": 32}, 2: {"units": 32}}
    assert affinity.of("two", waiting) == {0}
    assert affinity.of("one", waiting) == {1, 2}
    assert affinity.of("one", waiting) == {1, 2}
    assert affinity.of("one", waiting) == {0}
    affinity.trained("two", 0, "of 64 units")
    assert affinity.of("one", waiting) == {1, 2}


def test_the_batch_size_makes_no_other_shape() -> None:
    affinity = Affinity("batch")
    affinity.given("one", {"units": 32, "batch": 16})
    affinity.given("two", {"units": 64, "batch": 32})
    waiting = {5: {"units": 64, "batch": 16}, 6: {"units": 32, "batch": 32}}
    assert (affinity.of("one", waiting), affinity.of("two", waiting)) == ({6}, {5})


def test_a_new_trial_that_many_have_overtaken_comes_first() -> None:
    affinity = Affinity()
    affinity.given("one", {"units": 32})
    affinity.given("two", {"units": 64})
    assert affinity.of("one", {3: {"units": 64}, 20: {"units": 32}}) == {20}
    assert affinity.of("one", {number: {"units": 32 if number else 64} for number in range(30)}) == {*range(1, 30)}
    assert affinity.of("one", {3: {"units": 64}, 21: {"units": 32}}) == {3}


def test_search_gives_a_preferred_trial_first_and_another_rather_than_none() -> None:
    search = make_search()
    for number in range(3):
        search.checkpointed(number, 1, 1, "file")
        search.paused(number, 1)
    later = Search.restore(search.spec, search.take_events())
    order = [later.next(preferred).trial for preferred in ({2}, {2}, {5})]  # type: ignore[union-attr]
    assert order == [2, 0, 1]
