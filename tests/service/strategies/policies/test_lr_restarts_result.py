"""The result of `lr-restarts`: which cycle ends are put together, what is kept for it, and when it is taken."""

from math import inf, nan

import pytest

from bandstand.problem.objective import Objective
from bandstand.search.search import Search
from bandstand.trials.combination import Combination, weigh
from bandstand.trials.events import Action, Noticed, TrialState

SPACE = {
    "rate": {"type": "float", "low": 0.001, "high": 1.0, "log": True},
    "units": {"type": "int", "low": 1, "high": 9},
}


@pytest.fixture
def settings():
    """Changes to the usual spec: cycles of two epochs, the result as asked."""

    def make(result, *, epochs=40, **options):
        options = {"parameter": "rate", "cycle_epochs": 2, "result": result} | options
        return {
            "sampler": "lr-restarts", "pruner": "", "space": SPACE, "max_epochs": 8, "budget": {"epochs": epochs},
            "sampler_options": options,
        }  # fmt: skip

    return make


def train_cycles(desk, values):
    """One configuration's cycles, the second epoch of each with one of these values."""
    for value in values:
        trial = desk.start().trial
        desk.train_interval(trial, value)
    while (assignment := desk.search.next()) is not None:
        desk.fail(assignment.trial)
    desk.search.conclude()
    return desk.search.models.combination


def test_the_ends_of_the_cycles_that_led_to_the_best_are_put_together(desk_with, settings):
    desk = desk_with(**settings("average", epochs=6, configurations=1))
    assert train_cycles(desk, [0.5, 0.4, 0.3]) == Combination(how="average", trials=(0, 1, 2))


def test_what_came_after_the_best_cycle_is_left_out(desk_with, settings):
    desk = desk_with(**settings("ensemble", epochs=6, configurations=1))
    assert train_cycles(desk, [0.5, 0.2, 0.9]) == Combination(how="ensemble", trials=(0, 1))


def test_of_the_best_weights_only_the_cycles_count_that_they_passed_through(desk_with, settings):
    desk = desk_with(**settings("average", epochs=8, configurations=1, weights="best"))
    # The second cycle was worse, so that the third went on from the first.
    assert train_cycles(desk, [0.5, 0.9, 0.3]).trials == (0, 2)


def test_with_fresh_weights_an_ensemble_has_every_cycle_up_to_the_best(desk_with, settings):
    desk = desk_with(**settings("ensemble", epochs=8, configurations=1, weights="fresh", cycles=4))
    assert train_cycles(desk, [0.5, 0.9, 0.3, 0.6]).trials == (0, 1, 2)


def test_a_cycle_that_the_budget_cut_short_has_no_end(desk_with, settings):
    desk = desk_with(**settings("average", epochs=5, configurations=1))
    for value in (0.5, 0.4):
        desk.train_interval(desk.start().trial, value)
    last = desk.start()
    assert last.until_epoch == 5
    assert desk.report(last.trial, 5, 0.1).keep_end is False
    desk.finish(last.trial)
    desk.search.conclude()
    assert desk.search.history.best.number == 2
    assert desk.search.models.combination.trials == (0, 1)


@pytest.mark.parametrize(("result", "kept"), [("best", False), ("average", True), ("ensemble", True)])
def test_the_last_cycle_leaves_its_end_though_it_does_not_pause(desk_with, settings, result, kept):
    desk = desk_with(**settings(result, epochs=20, configurations=1))
    for value in (0.5, 0.4, 0.3):
        desk.train_interval(desk.start().trial, value)
    last = desk.start().trial
    assert desk.report(last, 7, 0.3).keep_end is False
    verdict = desk.report(last, 8, 0.2)
    assert (verdict.action, verdict.keep_end) == (Action.STOP, kept)
    if kept:
        desk.checkpoint(last, 8)
        desk.finish(last)
        assert desk.search.models.combination.trials == (0, 1, 2, 3)
        assert desk.search.models.needed_checkpoints(last) == {8}


def test_without_a_wish_nothing_is_put_together_and_nothing_more_kept(desk_with, settings):
    desk = desk_with(**settings("best", epochs=6, configurations=1))
    assert train_cycles(desk, [0.5, 0.4, 0.3]) is None
    assert [desk.search.models.needed_checkpoints(number) for number in (0, 1)] == [set(), set()]


def test_the_ends_of_the_best_are_kept_and_those_of_the_rejected_are_not(desk_with, settings):
    desk = desk_with(**settings("average", epochs=40, configurations=2, cycles=2))
    first, second = desk.start(2).trial - 1, 1
    desk.train_interval(first, 0.5)
    desk.train_interval(second, 0.9)
    while (assignment := desk.search.next()) is not None:
        desk.train_interval(assignment.trial, 0.3 if desk.trials[assignment.trial].bracket == 0 else 0.9)
    desk.search.conclude()
    parts = desk.search.models.combination.trials
    assert len(parts) == 2
    assert parts[0] == first
    for trial in desk.trials:
        assert bool(desk.search.models.needed_checkpoints(trial.number)) == (trial.number in parts), trial.number


@pytest.mark.parametrize("options", [{}, {"weights": "best", "bandit": "ucb"}, {"weights": "fresh"}], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_whatever_dies_the_ends_stay_until_the_study_is_over(cluster_of, spec_with, settings, options, seed):
    spec = spec_with(**settings("ensemble", epochs=60, **options), seed=seed)
    cluster = cluster_of(
        spec, workers=3, seed=seed, lose_worker=0.02, kill_coordinator=0.02, fail=0.03, stop_early=0.02
    )
    kept = []

    def note(cluster):
        trials = cluster.search.history.trials
        kept.append({trial.number: cluster.search.models.needed_checkpoints(trial.number) for trial in trials})

    search = cluster.run(after_each_step=note)
    combination = search.models.combination
    assert combination.trials
    for number in combination.trials:
        end = search.history.trials[number].epochs
        came = next(step for step, needed in enumerate(kept) if end in needed.get(number, ()))
        assert all(end in needed[number] for needed in kept[came:]), f"trial {number}"
    assert Search.restore(spec, cluster.stored).models.combination == combination


VALUES = [
    ("minimize", 0.4, 0.5, True),
    ("minimize", 0.5, 0.5, True),
    ("minimize", 0.6, 0.5, False),
    ("maximize", 0.6, 0.5, True),
    ("maximize", 0.5, 0.5, True),
    ("maximize", 0.4, 0.5, False),
]


@pytest.mark.parametrize(("direction", "value", "snapshot_value", "taken"), VALUES)
def test_it_is_taken_where_it_is_not_worse_than_the_snapshot(direction, value, snapshot_value, taken):
    objective = Objective(metric="val_x", direction=direction)
    outcome = weigh(
        Combination(how="average", trials=(0, 1)), objective, value=value, snapshot_value=snapshot_value, uri="file"
    )
    assert outcome.taken is taken
    assert (outcome.value, outcome.snapshot_value, outcome.problem) == (value, snapshot_value, None)


@pytest.mark.parametrize(("value", "snapshot_value"), [(nan, 0.5), (inf, 0.5), (None, 0.5), (0.5, None), (0.5, nan)])
def test_what_has_no_value_is_not_taken(value, snapshot_value):
    outcome = weigh(Combination(how="average", trials=(0, 1)), Objective(), value=value, snapshot_value=snapshot_value)
    assert not outcome.taken
    assert outcome.problem == "val_loss could not be measured for both"


def test_which_one_was_taken_is_stored_with_both_values_and_told(desk_with, settings, through_the_rows):
    desk = desk_with(**settings("average", epochs=6, configurations=1))
    combination = train_cycles(desk, [0.5, 0.4, 0.3])
    search = desk.search
    search.models.combined(weigh(combination, search.spec.objective, value=0.25, snapshot_value=0.3, uri="file"))
    events = through_the_rows(search.spec, search.take_events())
    again = Search.restore(search.spec, events)
    assert again.history.combined == search.history.combined
    assert (again.history.combined.taken, again.history.combined.trials) == (True, (0, 1, 2))
    told = [event.message for event in events if isinstance(event, Noticed)]
    assert told[-1] == (
        "the study's model is the average of the last weights of trials 0, 1, 2, which is not worse than the best "
        "snapshot (val_loss 0.25 on validation data, against 0.3)"
    )


REFUSED = [
    ({"result": "mean"}, "option result of sampler lr-restarts must be 'best', 'average' or 'ensemble'; got 'mean'"),
    (
        {"result": "average", "weights": "fresh"},
        "option result of sampler lr-restarts must be best or ensemble with weights fresh, because weights that were "
        "trained apart have no average; got 'average'",
    ),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_results_that_cannot_be_are_refused(spec_with, settings, options, message):
    with pytest.raises(ValueError, match=message):
        spec_with(**settings(**options))


def test_a_combination_needs_an_objective_on_validation_data(spec_with, settings):
    with pytest.raises(
        ValueError, match="must be best unless the objective is measured on validation data, such as val_"
    ):
        spec_with(**settings("ensemble"), objective={"metric": "loss"})


def test_failed_cycles_are_no_part_of_it(desk_with, settings):
    desk = desk_with(**settings("ensemble", epochs=8, configurations=1, weights="fresh", cycles=3))
    desk.train_interval(desk.start().trial, 0.5)
    desk.fail(desk.start().trial)
    desk.train_interval(desk.start().trial, 0.3)
    assert desk.search.next() is None
    desk.search.conclude()
    assert desk.trials[1].state is TrialState.FAILED
    assert desk.search.models.combination.trials == (0, 2)
