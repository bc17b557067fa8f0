"""Where trials are compared, and how Hyperband shares them among its brackets."""

from collections import Counter

import pytest

from bandstand.strategies.pruners.hyperband import HyperbandPruner, bracket_table
from bandstand.strategies.pruners.rungs import Rung, rung_epochs


@pytest.mark.parametrize(
    ("min_epochs", "factor", "max_epochs", "rungs"),
    [
        (1, 3, 9, (1, 3, 9)),
        (1, 3, 10, (1, 3, 9, 10)),
        (1, 3, 81, (1, 3, 9, 27, 81)),
        (2, 3, 20, (2, 6, 18, 20)),
        (1, 2, 9, (1, 2, 4, 8, 9)),
        (4, 4, 4, (4,)),
        (1, 3, 1, (1,)),
        (5, 3, 9, (5, 9)),
    ],
)
def test_rungs_are_the_powers_of_the_factor_and_the_last_epoch(min_epochs, factor, max_epochs, rungs):
    assert rung_epochs(min_epochs, factor, max_epochs) == rungs


def test_a_rung_ranks_by_loss_then_by_coin():
    rung = Rung()
    for loss, coin, trial in [(0.5, 0.1, 0), (0.3, 0.9, 1), (0.5, 0.05, 2)]:
        rung.add((loss, coin, trial))
    assert len(rung) == 3
    assert [rung.rank((0.3, 0.9, 1)), rung.rank((0.5, 0.05, 2)), rung.rank((0.5, 0.1, 0))] == [0, 1, 2]


def test_the_table_of_brackets_is_that_of_the_hyperband_paper():
    table = bracket_table(1, 3, 81)
    assert [trials for trials, _ in table] == [81, 27, 9, 6, 5]
    assert [epochs[0] for _, epochs in table] == [1, 3, 9, 27, 81]
    assert [epochs for _, epochs in table] == [(1, 3, 9, 27, 81), (3, 9, 27, 81), (9, 27, 81), (27, 81), (81,)]


@pytest.mark.parametrize(
    ("min_epochs", "factor", "max_epochs", "table"),
    [
        (1, 3, 9, [(9, (1, 3, 9)), (3, (3, 9)), (3, (9,))]),
        (1, 3, 10, [(9, (1, 3, 9, 10)), (3, (3, 9, 10)), (3, (10,))]),  # none starts at 9, one epoch before the end
        (2, 4, 8, [(4, (2, 8)), (2, (8,))]),
        (5, 3, 5, [(1, (5,))]),
    ],
)
def test_brackets_start_at_the_rungs_that_leave_room_for_another(min_epochs, factor, max_epochs, table):
    assert bracket_table(min_epochs, factor, max_epochs) == table


def brackets_of(cluster, count):
    search = cluster.search
    assert all(search.next() for _ in range(count))
    return [trial.bracket for trial in search.history.trials]


def hyperband(spec_with, **changes):
    return spec_with(**{"pruner": "hyperband", "max_epochs": 81, "budget": {"trials": 128}} | changes)


def test_no_bracket_is_empty_after_20_trials_and_the_largest_has_most(spec_with, cluster_of):
    counts = Counter(brackets_of(cluster_of(hyperband(spec_with)), 20))
    assert sorted(counts) == [0, 1, 2, 3, 4]
    assert counts[0] > counts[1] >= counts[2]


def test_one_round_of_trials_fills_every_bracket_to_its_quota(spec_with, cluster_of):
    assert Counter(brackets_of(cluster_of(hyperband(spec_with)), 128)) == {0: 81, 1: 27, 2: 9, 3: 6, 4: 5}


def test_a_trial_may_train_to_its_bracket_s_first_rung_before_it_asks(spec_with, cluster_of):
    search = cluster_of(hyperband(spec_with)).search
    assert [search.next().until_epoch for _ in range(5)] == [1, 3, 9, 27, 81]


def test_trials_are_compared_with_those_of_their_own_bracket_only(desk_with):
    desk = desk_with(pruner="hyperband", max_epochs=9, budget={"trials": 30})
    desk.start(7)  # brackets that start at 1, 3 and 9, again 1 three times, then 3
    assert [trial.bracket for trial in desk.trials] == [0, 1, 2, 0, 0, 0, 1]
    for trial, value in [(0, 0.1), (3, 0.2), (4, 0.3)]:
        verdict = desk.report(trial, 1, value)
    assert (verdict.action, desk.trials[4].reason) == ("pause", "rung 1: place 3 of 3, 1 may go on")
    for trial, value in [(1, 0.9), (6, 0.95)]:
        for epoch in (1, 2, 3):
            verdict = desk.report(trial, epoch, value)
    # Worse than all those above, and only two of its bracket are there.
    assert (verdict.action, desk.trials[6].reason) == ("pause", "rung 3: place 2 of 2, 0 may go on")


# One round for max 81: 297 epochs in the first bracket (81*1 + 27*2 + 9*6 + 3*18 + 1*54), then 243, 189, 270 and 405.
@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({"epochs": 1403}, ["1403 of 1404 epochs"]),
        ({"trials": 127}, ["127 of 128 trials"]),
        ({"trials": 20, "epochs": 100}, ["20 of 128 trials", "100 of 1404 epochs"]),
    ],
)
def test_a_budget_below_one_round_is_noticed_before_the_first_trial(spec_with, budget, words):
    notices = HyperbandPruner.make(hyperband(spec_with, budget=budget)).notices()
    assert len(notices) == 1
    assert all(word in notices[0] for word in words)


@pytest.mark.parametrize("budget", [{"epochs": 1404}, {"trials": 128}, {"wall_seconds": 1.0}])
def test_a_budget_of_one_round_is_not_noticed(spec_with, budget):
    assert HyperbandPruner.make(hyperband(spec_with, budget=budget)).notices() == []


def test_the_notice_is_recorded_when_the_study_begins(spec_with, cluster_of):
    search = cluster_of(hyperband(spec_with, budget={"epochs": 5})).search
    search.begin()
    (event,) = search.take_events()
    assert event.message.startswith("the budget is too small for one round of Hyperband (5 of 1404 epochs)")


@pytest.mark.parametrize(("max_epochs", "asks"), [(4, (1, 3, 4)), (8, (1, 3, 8)), (9, (3, 9)), (30, (3, 9, 27, 30))])
def test_successive_halving_starts_at_epoch_3_where_another_rung_fits_below_the_end(max_epochs, asks):
    from bandstand.strategies import PRUNERS
    from bandstand.study.study_spec import StudySpec

    spec = StudySpec(name="x", model="a:b", data="a:c", space="digits_mlp", max_epochs=max_epochs, budget={"epochs": 9})
    assert PRUNERS["successive-halving"].make(spec).ask_epochs() == asks
