"""Random search draws each parameter on its own scale."""

import pytest

from bandstand_spaces import Categorical, Float, Int, SearchSpace

SPACE = SearchSpace(
    {
        "learning_rate": Float(1e-4, 1.0, log=True),
        "dropout": Float(0.0, 1.0),
        "units": Int(1, 1000, log=True),
        "optimizer": Categorical(["sgd", "adam"], branches={"sgd": {"momentum": Float(0.5, 0.9)}}),
    }
)


@pytest.fixture
def draws(desk_with):
    desk = desk_with(space=SPACE, max_epochs=1, budget={"trials": 400})
    desk.start(400)
    return [trial.params for trial in desk.trials]


def share(draws, holds):
    return sum(map(holds, draws)) / len(draws)


def test_a_parameter_with_log_has_as_many_draws_in_each_decade(draws):
    for low in (1e-4, 1e-3, 1e-2, 1e-1):
        assert 0.19 < share(draws, lambda params, low=low: low <= params["learning_rate"] < 10 * low) < 0.31
    assert 0.27 < share(draws, lambda params: params["units"] < 10) < 0.4


def test_a_parameter_without_log_has_as_many_draws_in_each_quarter(draws):
    for low in (0, 0.25, 0.5, 0.75):
        assert 0.19 < share(draws, lambda params, low=low: low <= params["dropout"] < low + 0.25) < 0.31


def test_a_parameter_below_a_choice_is_drawn_with_that_choice_only(draws):
    assert 0.4 < share(draws, lambda params: params["optimizer"] == "sgd") < 0.6
    assert all(("momentum" in params) == (params["optimizer"] == "sgd") for params in draws)


def test_what_a_trial_draws_depends_on_its_number_and_on_no_other_trial(desk_with):
    calm, eventful = (desk_with(space=SPACE, max_epochs=1, budget={"trials": 9}) for _ in range(2))
    calm.start(9)
    for number in range(9):
        eventful.start()
        eventful.report(number, 1, float(-number))
        eventful.finish(number)
    assert [trial.params for trial in calm.trials] == [trial.params for trial in eventful.trials]
