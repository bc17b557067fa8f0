"""Rungs, brackets and promotions where R is 81 and η is 3, against the papers' tables and the ASHA paper's algorithm 2.

One worker trains what it is given, and every trial's losses are given too, so that each decision is known beforehand.
"""

import itertools
from collections import defaultdict

import numpy as np
import pytest

from bandstand.trials.events import Action

RUNGS = (1, 3, 9, 27, 81)
FACTOR = 3
HYPERBAND = [
    {1: 81, 3: 27, 9: 9, 27: 3, 81: 1},
    {3: 27, 9: 9, 27: 3, 81: 1},
    {9: 9, 27: 3, 81: 1},
    {27: 6, 81: 2},
    {81: 5},
]
"""How many trials of each bracket train up to an epoch: table 1 of Li et al., JMLR 18, 2018.

The rounded-up n of that paper's algorithm 1 would be 81, 34, 15, 8 and 5 trials. We keep to its table.
"""


def best_first(trial, epoch):
    return trial / 1000


def best_last(trial, epoch):
    return 1 - trial / 1000


def shuffled(seed):
    """Losses whose ranks have nothing to do with the order of the trials, and little with those at the rung before."""
    losses = np.random.default_rng(seed).random((128, 82))
    losses[:, 2:] += losses[:, 1:2]
    return lambda trial, epoch: float(losses[trial, epoch])


ANY_ORDER = [best_first, best_last, shuffled(0), shuffled(1), shuffled(2)]
ORDER_NAMES = ["best first", "best last", "shuffled 0", "shuffled 1", "shuffled 2"]
in_any_order = pytest.mark.parametrize("loss", ANY_ORDER, ids=ORDER_NAMES)


def study_of(desk_with, pruner, trials=81, **options):
    return desk_with(
        pruner=pruner,
        pruner_options={"min_epochs": 1} | options,
        max_epochs=81,
        budget={"trials": trials},
        space={"x": {"type": "float", "low": 0, "high": 1}},
    )


def jobs_of(desk, loss):
    """(trial, epoch) for each time that the only worker brings a trial to an epoch where it asks, in order."""
    jobs = []
    while (assignment := desk.search.next()) is not None:
        trial, until = assignment.trial, assignment.until_epoch
        for epoch in itertools.count(assignment.from_epoch + 1):
            verdict = desk.report(trial, epoch, loss(trial, epoch))
            if epoch == until:
                jobs.append((trial, epoch))
                until = verdict.until_epoch
            if verdict.action is not Action.CONTINUE:
                break
        desk.hand_back(trial, verdict.action)
    assert desk.search.done
    return jobs


def reached(jobs):
    """The trials that trained up to each epoch, ascending."""
    at = defaultdict(list)
    for trial, epoch in jobs:
        at[epoch].append(trial)
    return {epoch: sorted(trials) for epoch, trials in sorted(at.items())}


def numbers(jobs):
    return {epoch: len(trials) for epoch, trials in reached(jobs).items()}


def jobs_of_algorithm_2(trials, loss, rungs=RUNGS):
    """What one worker trains by algorithm 2 of Li et al. (MLSys 2020), get_job until it has no more of `trials`."""
    new = iter(trials)
    at_rung, promoted = [[] for _ in rungs], [set() for _ in rungs]

    def get_job():
        for k in reversed(range(len(rungs) - 1)):
            top = sorted(at_rung[k], key=lambda trial: loss(trial, rungs[k]))[: len(at_rung[k]) // FACTOR]
            promotable = [trial for trial in top if trial not in promoted[k]]
            if promotable:
                promoted[k].add(promotable[0])
                return promotable[0], k + 1
        return next(new, None), 0

    jobs = []
    while (job := get_job())[0] is not None:
        trial, k = job
        at_rung[k].append(trial)
        jobs.append((trial, rungs[k]))
    return jobs


# -- ASHA with promotion -----------------------------------------------------------------------------------------------


def test_promoting_asha_keeps_81_27_9_3_1_where_the_best_come_first(desk_with):
    jobs = jobs_of(study_of(desk_with, "asha-promote"), best_first)
    assert reached(jobs) == {
        1: [*range(81)],
        3: [*range(27)],
        9: [*range(9)],
        27: [0, 1, 2],
        81: [0],
    }


def test_promoting_asha_promotes_as_soon_as_a_rung_has_grown_by_three_the_highest_rung_first(desk_with):
    jobs = jobs_of(study_of(desk_with, "asha-promote"), best_first)
    assert jobs[:13] == [
        *((0, 1), (1, 1), (2, 1), (0, 3)),
        *((3, 1), (4, 1), (5, 1), (1, 3)),
        *((6, 1), (7, 1), (8, 1), (2, 3), (0, 9)),
    ]
    # The 27th trial fills four rungs at once.
    place = jobs.index((26, 1))
    assert jobs[place : place + 5] == [(26, 1), (8, 3), (2, 9), (0, 27), (27, 1)]


def test_promoting_asha_promotes_all_but_two_of_each_rung_where_each_trial_is_better_than_those_before(desk_with):
    jobs = jobs_of(study_of(desk_with, "asha-promote"), best_last)
    assert reached(jobs) == {
        1: [*range(81)],
        3: [*range(2, 81)],
        9: [*range(4, 81)],
        27: [*range(6, 81)],
        81: [*range(8, 81)],
    }


@in_any_order
def test_promoting_asha_trains_what_algorithm_2_of_its_paper_does_in_the_same_order(desk_with, loss):
    assert jobs_of(study_of(desk_with, "asha-promote"), loss) == jobs_of_algorithm_2(range(81), loss)


# -- ASHA that stops ---------------------------------------------------------------------------------------------------

ONE_IN_THREE = {
    1: [0, *range(5, 81, 3)],
    3: [0, 17, 26, 35, 44, 53, 62, 71, 80],
    9: [0, 53, 80],
    27: [0],
}
"""Who goes on from each rung where, of those that come to it, the first does, and from the sixth on each third."""


def just_good_enough(trial, epoch):
    """Each that goes on is the last of its rung's quota, each that does not is the first beyond it."""
    good = ONE_IN_THREE.get(epoch, [])
    return good.index(trial) / 100 if trial in good else 0.5 + trial / 1000


def test_stopping_asha_lets_81_27_9_3_1_by_where_those_that_are_just_good_enough_come_in_time(desk_with):
    jobs = jobs_of(study_of(desk_with, "asha"), just_good_enough)
    assert numbers(jobs) == {1: 81, 3: 27, 9: 9, 27: 3, 81: 1}
    above = dict(itertools.pairwise(RUNGS))
    assert reached(jobs) == {1: [*range(81)]} | {above[epoch]: trials for epoch, trials in ONE_IN_THREE.items()}


@pytest.mark.parametrize(
    ("loss", "expected"),
    [(best_first, {1: 81, 3: 1, 9: 1, 27: 1, 81: 1}), (best_last, {1: 81, 3: 81, 9: 81, 27: 81, 81: 81})],
    ids=["best first", "best last"],
)
def test_stopping_asha_judges_a_trial_by_those_before_it_alone(desk_with, loss, expected):
    assert numbers(jobs_of(study_of(desk_with, "asha"), loss)) == expected


@in_any_order
def test_stopping_asha_lets_by_who_is_among_the_best_third_of_those_that_have_come_or_is_the_best(desk_with, loss):
    at_rung = {epoch: [] for epoch in RUNGS}
    expected = []
    for trial in range(81):
        for epoch in RUNGS:
            expected.append((trial, epoch))
            at_rung[epoch].append(trial)
            better = sum(loss(other, epoch) < loss(trial, epoch) for other in at_rung[epoch])
            if better >= max(1, len(at_rung[epoch]) // FACTOR):
                break
    assert jobs_of(study_of(desk_with, "asha"), loss) == expected


# -- successive halving ------------------------------------------------------------------------------------------------


@in_any_order
def test_successive_halving_keeps_the_best_81_27_9_3_1_whatever_their_order(desk_with, loss):
    jobs = jobs_of(study_of(desk_with, "successive-halving"), loss)
    assert numbers(jobs) == {1: 81, 3: 27, 9: 9, 27: 3, 81: 1}
    left = range(81)
    for epoch, above, number in [(1, 3, 27), (3, 9, 9), (9, 27, 3), (27, 81, 1)]:
        left = sorted(sorted(left, key=lambda trial: loss(trial, epoch))[:number])
        assert reached(jobs)[above] == left
    assert [epoch for _, epoch in jobs] == sorted(epoch for _, epoch in jobs)  # a rung is filled before the next


def test_successive_halving_is_by_default_the_table_s_second_bracket(desk_with):
    jobs = jobs_of(study_of(desk_with, "successive-halving", trials=27, min_epochs="auto"), shuffled(0))
    assert numbers(jobs) == HYPERBAND[1]


# -- Hyperband ---------------------------------------------------------------------------------------------------------


def jobs_by_bracket(desk, loss):
    jobs = jobs_of(desk, loss)
    return [[job for job in jobs if desk.trials[job[0]].bracket == bracket] for bracket in range(5)]


def test_hyperband_s_round_is_the_paper_s_table_where_the_best_of_a_bracket_come_first(desk_with):
    brackets = jobs_by_bracket(study_of(desk_with, "hyperband", trials=128), best_first)
    assert [numbers(jobs) for jobs in brackets] == HYPERBAND
    for jobs in brackets:  # and they are the best
        first, *above = reached(jobs).values()
        assert all(trials == first[: len(trials)] for trials in above)


def test_hyperband_promotes_more_than_the_table_where_each_trial_is_better_than_those_before(desk_with):
    """The paper's bracket waits for all of a rung. Ours does not, so that all but the first two of a rung go on."""
    brackets = jobs_by_bracket(study_of(desk_with, "hyperband", trials=128), best_last)
    assert [numbers(jobs) for jobs in brackets] == [
        {1: 81, 3: 79, 9: 77, 27: 75, 81: 73},
        {3: 27, 9: 25, 27: 23, 81: 21},
        {9: 9, 27: 7, 81: 5},
        {27: 6, 81: 4},
        {81: 5},
    ]


@in_any_order
def test_a_bracket_of_hyperband_is_algorithm_2_on_its_own_trials_and_has_at_least_the_table_s_numbers(desk_with, loss):
    desk = study_of(desk_with, "hyperband", trials=128)
    for jobs, table in zip(jobs_by_bracket(desk, loss), HYPERBAND, strict=True):
        rungs = tuple(table)
        trials = [trial for trial, epoch in jobs if epoch == rungs[0]]
        assert jobs == jobs_of_algorithm_2(trials, loss, rungs)
        assert len(trials) == table[rungs[0]]
        assert all(numbers(jobs)[epoch] >= number for epoch, number in table.items())
