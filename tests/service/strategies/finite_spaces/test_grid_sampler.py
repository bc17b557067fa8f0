"""Grid search visits every point once, and gives a failed one a second chance."""

from collections import Counter, defaultdict

import pytest

from bandstand.search.search import Search
from bandstand.trials.events import Proposed, TrialState
from bandstand_spaces import Categorical, Float, Int, SearchSpace

SPACES = {
    "flat": SearchSpace({"units": Int(8, 40, step=8), "dropout": Float(0.0, 0.3, step=0.1)}),
    "conditional": SearchSpace(
        {
            "optimizer": Categorical(
                ["sgd", "adam"],
                branches={"sgd": {"nesterov": Categorical([True, False], branches={True: {"momentum": Int(1, 3)}})}},
            ),
            "layers": Int(1, 3),
        }
    ),
    "one point": SearchSpace({"layers": Categorical([2])}),
}


def visits_of(history):
    return Counter(str(dict(trial.params)) for trial in history.trials)


def grid(spec_with, space, **changes):
    return spec_with(**{"sampler": "grid", "space": SPACES[space], "max_epochs": 2, "budget": {}} | changes)


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("space", SPACES)
def test_every_point_is_visited_exactly_once(spec_with, cluster_of, space, workers):
    run = cluster_of(grid(spec_with, space), workers=workers, lose_worker=0.05, kill_coordinator=0.02)
    history = run.run().history
    assert visits_of(history) == {str(point): 1 for point in SPACES[space].grid()}
    assert history.ended.reason == "every point of the grid was visited"
    assert not history.ended.failed


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("space", ["flat", "conditional"])
def test_a_failed_point_is_visited_once_more_and_no_other_is(spec_with, cluster_of, space, workers):
    history = cluster_of(grid(spec_with, space), workers=workers, seed=3, fail=0.2).run().history
    states = defaultdict(list)
    for trial in history.trials:
        states[str(dict(trial.params))].append(trial.state is TrialState.FAILED)
    assert set(states) == {str(point) for point in SPACES[space].grid()}
    assert all(len(failed) == (2 if failed[0] else 1) for failed in states.values())
    assert {len(failed) for failed in states.values()} == {1, 2}


@pytest.mark.parametrize("workers", [1, 8])
def test_a_point_that_fails_twice_is_given_up(spec_with, cluster_of, workers):
    history = cluster_of(grid(spec_with, "conditional"), workers=workers, fail=1.0).run().history
    assert visits_of(history) == {str(point): 2 for point in SPACES["conditional"].grid()}
    assert history.ended.failed
    assert history.ended.reason == "every trial failed"


def test_a_point_that_fails_after_all_were_handed_out_is_still_tried_again(desk_with):
    desk = desk_with(sampler="grid", space=SPACES["one point"], budget={}, max_epochs=1)
    desk.start()
    assert desk.search.next() is None
    assert not desk.search.done
    desk.fail(0)
    assert not desk.search.done
    assert desk.start().trial == 1
    assert desk.search.next() is None
    desk.report(1, 1, 0.5)
    desk.finish(1)
    assert desk.search.next() is None
    assert desk.search.done
    assert not desk.search.conclude().failed


def test_a_restored_search_knows_which_points_were_visited_and_which_failed(desk_with):
    desk = desk_with(sampler="grid", space=SPACES["flat"], budget={}, max_epochs=1)
    for number in range(12):
        desk.start()
        if number % 4 == 0:
            desk.fail(number, signature=str(number))
        else:
            desk.report(number, 1, 0.5)
            desk.finish(number)
    rest = desk.restored()
    for number in range(12, 23):
        rest.start()
        rest.report(number, 1, 0.5)
        rest.finish(number)
    assert rest.search.next() is None
    assert rest.search.done
    assert sorted(visits_of(rest.search.history).values()) == [1] * 17 + [2] * 3


def test_a_study_cut_short_has_looked_everywhere(desk_with):
    desk = desk_with(sampler="grid", space={"x": {"type": "int", "low": 0, "high": 99}}, budget={"trials": 30})
    desk.start(30)
    points = [trial.params["x"] for trial in desk.trials]
    assert points != sorted(points)
    assert all(5 <= sum(low <= point < low + 33 for point in points) <= 15 for low in (0, 33, 66))


def test_a_study_begun_in_another_order_still_visits_every_point_exactly_once(spec_with):
    spec = grid(spec_with, "flat")
    points = list(SPACES["flat"].grid())
    begun = [Proposed(trial=trial, params=points[number], granted=2) for trial, number in enumerate((3, 19, 0, 7))]
    search = Search.restore(spec, begun)
    while search.next() is not None:
        pass
    assert visits_of(search.history) == {str(point): 1 for point in points}
