"""Where ASHA begins to compare, learned from the trials: literal ranks, small studies."""

import pytest

from bandstand.strategies.pruners.first_rung import rank_correlation
from bandstand.trials.events import TrialState

AGREE = [(number / 10, number / 10) for number in range(8)]
"""Values at epochs 1 and 3 of eight trials, whose ranks agree."""
CROSS = [(number / 10, (number * 5 % 8) / 10) for number in range(8)]
"""Whose ranks hardly do: 0, 5, 2, 7, 4, 1, 6, 3."""
CHANCE = [(number / 10, rank / 10) for number, rank in enumerate((2, 0, 4, 1, 7, 3, 6, 5))]
"""Whose ranks agree by .64, which eight pairs may do by chance."""


def study_of(desk_with, pairs, pruner="asha"):
    """A desk on which trials have reported these values at epochs 1 and 3."""
    desk = desk_with(pruner=pruner, pruner_options={"min_epochs": "auto"}, max_epochs=27, budget={"trials": 100})
    for at_one, at_three in pairs:
        while (assignment := desk.start()).from_epoch:
            pass  # a promoted trial, which may take its time
        trial = assignment.trial
        if desk.trials[trial].bracket > 1:  # judged first at epoch 9: it tells of epochs 1 and 3 all the same
            last = (at_one, at_one, at_three, *[at_three] * 6)
        else:
            last = (at_one, at_one, at_three)
        for epoch, value in enumerate(last, start=1):
            verdict = desk.report(trial, epoch, value)
        if verdict.action == "pause":
            desk.checkpoint(trial, desk.trials[trial].epochs)
            desk.pause(trial)
        elif verdict.action == "stop":
            desk.finish(trial)
    return desk


def starts(desk, count=16):
    """Where the next trials are judged first."""
    before = len(desk.trials)
    while len(desk.trials) < before + count:
        desk.start()
    return [trial.granted for trial in desk.trials[before:]]


@pytest.mark.parametrize("pruner", ["asha", "asha-promote"])
def test_while_nothing_is_known_trials_are_judged_at_epoch_3_and_a_few_at_9(desk_with, pruner):
    found = starts(study_of(desk_with, [], pruner))
    assert set(found) == {3, 9}
    assert found.count(9) == 2


@pytest.mark.parametrize("pruner", ["asha", "asha-promote"])
def test_where_epoch_1_ranks_as_epoch_3_does_new_trials_are_judged_at_epoch_1(desk_with, pruner):
    found = starts(study_of(desk_with, AGREE, pruner))
    assert set(found) == {1, 3}
    assert found.count(3) == 2


@pytest.mark.parametrize("pruner", ["asha", "asha-promote"])
def test_where_it_does_not_they_go_on_to_epoch_3(desk_with, pruner):
    assert set(starts(study_of(desk_with, CROSS, pruner))) == {3, 9}


def test_an_agreement_that_may_be_chance_is_none(desk_with):
    assert rank_correlation(CHANCE) == pytest.approx(0.642857, abs=1e-6)
    assert set(starts(study_of(desk_with, CHANCE))) == {3, 9}


def test_too_few_trials_settle_nothing(desk_with):
    assert set(starts(study_of(desk_with, AGREE[:7]))) == {3, 9}


def test_a_metric_that_has_not_moved_tells_nothing(desk_with):
    assert set(starts(study_of(desk_with, [(0.5, number / 10) for number in range(8)]))) == {3, 9}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(1, 1), (2, 2), (3, 3)], 1.0),
        ([(1, 30), (2, 20), (3, 10)], -1.0),
        ([(1, 1), (2, 3), (3, 2), (4, 4)], 0.8),  # 1 - 6 * 2 / (4 * 15)
        ([(1, 1), (1, 2), (2, 3), (2, 4)], 0.894427),  # middle ranks 1.5, 1.5, 3.5, 3.5
        ([(1, 5), (2, 5)], 0.0),
    ],
)
def test_the_rank_correlation_is_spearman_s(pairs, expected):
    assert rank_correlation(pairs) == pytest.approx(expected, abs=1e-6)


def test_a_short_training_has_one_place_to_start(desk_with):
    desk = desk_with(pruner="asha", pruner_options={"min_epochs": "auto"}, max_epochs=2, budget={"trials": 9})
    assert {desk.start().until_epoch for _ in range(9)} == {1}


def test_a_trial_whose_budget_ends_below_its_first_rung_is_not_judged_at_a_rung_that_it_skips(desk_with):
    epochs = [27, *[3] * 6, 9, 3, *[1] * 6]  # judged first at 3, the eighth at 9; then that epoch 1 tells is known
    desk = desk_with(
        pruner="asha", pruner_options={"min_epochs": "auto"}, max_epochs=27, budget={"epochs": sum(epochs) + 1}
    )
    for number in range(15):
        desk.train([number / 100] * 27)
    assert [trial.epochs for trial in desk.trials] == epochs
    last, _ = desk.train([0.99])
    assert (desk.trials[last].bracket, desk.trials[last].granted) == (1, 1)
    assert (desk.trials[last].state, desk.trials[last].reason) == (TrialState.COMPLETE, "budget")
