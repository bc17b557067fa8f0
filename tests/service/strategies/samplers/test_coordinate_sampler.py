"""Coordinate search changes one parameter at a time around the best trial, first coarsely, then finely."""

import pytest

from bandstand_spaces import SEARCH_SPACES, Categorical, Float, Int, SearchSpace

PLANE = SearchSpace({"x": Float(-1.0, 1.0), "y": Float(-1.0, 1.0)})
LINE = SearchSpace({"x": Float(0.0, 1.0)})
ONE_START = {"startup_trials": 1}


@pytest.fixture
def desk_of(desk_with):
    def make(space, options=ONE_START, **changes):
        settings = {"sampler": "coordinate", "sampler_options": options, "space": space, "max_epochs": 1}
        return desk_with(**settings | {"budget": {"trials": 2000}} | changes)

    return make


def finish(desk, number, loss):
    desk.report(number, 1, loss(desk.trials[number].params))
    desk.finish(number)


def play(desk, loss, count):
    """Train so many trials one after the other; their params."""
    seen = []
    for _ in range(count):
        assignment = desk.start()
        seen.append(dict(assignment.params))
        finish(desk, assignment.trial, loss)
    return seen


def changed(params, base):
    return [name for name in params if params[name] != base.get(name)]


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_one_line_is_searched_from_coarse_to_fine(desk_of, direction, sign):
    desk = desk_of(LINE, objective={"direction": direction})
    drawn = [params["x"] for params in play(desk, lambda params: sign * abs(params["x"] - 0.43), 15)][1:]
    assert drawn[:5] == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    # Then by fifteenths around 0.5, which is cell 7, until cell 6 turns out to be better; by forty-fifths around that.
    assert [15 * value - 0.5 for value in drawn[5:8]] == pytest.approx([8, 6, 5])
    assert [45 * value - 0.5 for value in drawn[8:12]] == pytest.approx([20, 18, 21, 17])


def test_every_trial_after_the_start_differs_from_the_best_in_one_parameter(desk_of):
    desk = desk_of(PLANE)

    def loss(params):
        return params["x"] ** 2 + params["y"] ** 2

    history = play(desk, loss, 20)
    for number in range(1, 20):
        assert len(changed(history[number], min(history[:number], key=loss))) == 1


def test_the_parameter_that_changed_the_loss_most_goes_first_in_the_next_round(desk_of):
    space = SearchSpace({"small": Float(0.0, 1.0), "large": Float(0.0, 1.0), "none": Float(0.0, 1.0)})
    desk = desk_of(space)

    def loss(params):
        return 0.1 * abs(params["small"] - 0.5) + abs(params["large"] - 0.5)

    history = play(desk, loss, 40)
    order = []
    for number in range(1, 40):
        (name,) = changed(history[number], min(history[:number], key=loss))
        order += [name] if order[-1:] != [name] else []
    assert order[:4] == ["small", "large", "none", "small"]  # as defined; small once more around the new large
    assert order[4:] == ["large", "small", "none"] * 2  # at each finer resolution


def test_a_choice_is_tried_with_the_middle_values_of_what_it_brings(desk_of):
    space = SearchSpace(
        {
            "optimizer": Categorical(
                ["adam", "sgd", "lion"],
                branches={"sgd": {"momentum": Float(0.0, 1.0)}, "adam": {"decay": Float(0.0, 4.0)}},
            )
        }
    )
    desks = (desk_of(space, seed=seed) for seed in range(30))
    desk = next(desk for desk in desks if desk.start().params == {"optimizer": "lion"})
    finish(desk, 0, lambda params: 3.0)

    def loss(params):
        return {"adam": 2.0, "sgd": 1.0}[params["optimizer"]] + abs(params.get("momentum", 0.7) - 0.7)

    drawn = play(desk, loss, 7)
    assert drawn[:2] == [{"optimizer": "adam", "decay": 2.0}, {"optimizer": "sgd", "momentum": 0.5}]
    assert [params["momentum"] for params in drawn[2:6]] == pytest.approx([0.1, 0.3, 0.7, 0.9])


def test_after_the_last_resolution_it_begins_anew_at_a_random_point(desk_of):
    desk = desk_of(LINE)
    values = [params["x"] for params in play(desk, lambda params: abs(params["x"] - 0.5), 15)]
    # One start, 5 coarse values, 4 of a fifteenth around 0.5, 4 of a forty-fifth: that was all.
    assert all(abs(45 * value - 0.5 - round(45 * value - 0.5)) < 1e-9 for value in values[1:14])
    assert abs(45 * values[14] - 0.5 - round(45 * values[14] - 0.5)) > 1e-6


def test_an_earlier_descent_goes_on_when_a_trial_under_way_turns_out_to_be_better(desk_of):
    desk = desk_of(LINE)

    def loss(params):
        return abs(params["x"] - 0.5)

    desk.start()
    finish(desk, 0, loss)
    desk.start(9)
    for number in (1, 2, 3, 4, 5, 6, 7, 8):
        finish(desk, number, loss)
    straggler = 9
    while desk.search.strategy._sampler._descents[0].settled is None:
        finish(desk, desk.start().trial, loss)
    finish(desk, straggler, lambda params: -1.0)
    around = desk.trials[straggler].params["x"]
    assert abs(desk.start().params["x"] - around) < 3 / 15


@pytest.mark.parametrize("workers", [1, 8, 64])
def test_no_point_repeats_while_others_are_left_however_many_workers_there_are(spec_with, cluster_of, workers):
    space = SearchSpace(
        {"layers": Int(1, 5), "kind": Categorical(["a", "b"], branches={"a": {"rate": Float(0.0, 1.0, step=0.1)}})}
    )
    spec = spec_with(sampler="coordinate", space=space, max_epochs=2, budget={"trials": 60})
    history = cluster_of(spec, workers=workers).run().history
    assert len({str(trial.params) for trial in history.trials}) == 60 == space.size
    for trial in history.trials:
        space.check(trial.params)


def test_no_worker_waits_when_nothing_has_ended(desk_of):
    desk = desk_of(PLANE, {})
    desk.start(64)
    assert len({str(trial.params) for trial in desk.trials}) == 64


def test_workers_that_are_free_before_a_resolution_is_done_do_not_end_it(desk_of):
    desk = desk_of(LINE)

    def loss(params):
        return abs(params["x"] - 0.9)

    desk.start()
    finish(desk, 0, lambda params: 5.0)
    desk.start(6)  # five coarse values, and a finer one around the start
    descent = desk.search.strategy._sampler._descents[0]
    assert [descent.moves[number].resolution for number in range(1, 7)] == [0, 0, 0, 0, 0, 1]
    assert descent.resolution == 0
    for number in range(1, 7):
        finish(desk, number, loss)
    desk.start()
    assert descent.resolution == 1


def test_a_start_that_fails_is_followed_by_another(desk_of):
    desk = desk_of(LINE)
    desk.start()
    desk.fail(0)
    start = desk.start()
    finish(desk, start.trial, lambda params: 1.0)
    assert desk.start().params["x"] == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["digits_mlp", "california_mlp"])
def test_its_proposals_are_points_of_a_conditional_space(spec_with, cluster_of, name):
    space = SEARCH_SPACES[name]
    spec = spec_with(sampler="coordinate", space=space, max_epochs=1, budget={"trials": 120})
    trials = cluster_of(spec, workers=4).run().history.trials
    for trial in trials:
        space.check(trial.params)
    assert len({str(trial.params) for trial in trials}) == 120
