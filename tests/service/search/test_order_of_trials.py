"""Which trial stands before which: one order, whoever asks for it."""

from itertools import permutations
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandstand.problem.objective import Objective
from bandstand.strategies.past_trials.ranking import Ranking
from bandstand.trials.best import full_results, rank_key_of, ranked_by_loss, ranked_places
from bandstand.trials.events import TrialState
from bandstand.trials.history import Trial

TRIALS = st.lists(
    st.tuples(st.sampled_from(list(TrialState)), st.sampled_from([None, float("nan"), 0.1, 0.2, 0.3])), max_size=8
)


def objective_of(direction, epoch):
    return Objective(metric="val_loss", direction=direction, epoch=epoch)


@given(TRIALS, st.sampled_from(["minimize", "maximize"]))
def test_of_last_epochs_complete_trials_stand_first_then_the_better_value_then_the_earlier(trials, direction):
    rows = [(state, value, number) for number, (state, value) in enumerate(trials)]
    sign = 1 if direction == "minimize" else -1
    usable = [row for row in rows if row[0] in ("complete", "pruned") and row[1] is not None and row[1] == row[1]]
    by_hand = [number for name in ("complete", "pruned") for value in sorted({sign * row[1] for row in usable})
               for state, own, number in usable if state == name and sign * own == value]  # fmt: skip
    places = ranked_places(objective_of(direction, "last"), rows)
    assert [place.number for place in places] == by_hand
    complete = [number for number in by_hand if trials[number][0] == "complete"]
    assert [place.number for place in full_results(places)] == (complete or by_hand)


@given(TRIALS, st.sampled_from(["minimize", "maximize"]))
def test_of_best_epochs_all_trials_are_full_results_and_stand_by_value_then_the_earlier(trials, direction):
    rows = [(state, value, number) for number, (state, value) in enumerate(trials)]
    sign = 1 if direction == "minimize" else -1
    usable = [(sign * value, number) for _, value, number in rows if value is not None and value == value]
    places = ranked_places(objective_of(direction, "best"), rows)
    assert [place.number for place in places] == [number for _, number in sorted(usable)]
    assert full_results(places) == places
    assert [place.number for place in places] == ranked_by_loss({number: loss for loss, number in usable})


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_sampler_builds_on_the_trial_that_stands_first_by_the_study_s_own_order_of_last_epochs(direction):
    objective = objective_of(direction, "last")
    ranking = Ranking(SimpleNamespace(objective=objective, seed=0, max_epochs=4))
    results = [(state, value) for state in (TrialState.COMPLETE, TrialState.PRUNED) for value in (0.1, 0.2, 0.2)]
    trials = [
        Trial(number=number, params={}, bracket=0, granted=1, state=state, values=[value], best_epoch=1)
        for number, (state, value) in enumerate(results)
    ]
    for one, other in permutations(trials, 2):
        first, second = (rank_key_of(objective, each.state, each.values[-1], each.number) for each in (one, other))
        assert ranking.is_better(one, other) is (first < second)
