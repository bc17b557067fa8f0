"""The genetic algorithm breeds each proposal from the best trials that have ended, and keeps nothing else."""

from functools import partial
from math import nan

import pytest

from bandstand_spaces import Float, SearchSpace
from tests.service.strategies.samplers.landscapes import MIXED, ODD_SPACES

LINE = SearchSpace({"x": Float(0.0, 1.0)})


@pytest.fixture
def study_of(one_epoch_study):
    """The history of a study of one-epoch trials."""
    return partial(one_epoch_study, "evolution")


def test_without_mutation_a_child_has_each_value_from_one_of_the_parents_that_are_kept(study_of):
    space = SearchSpace({name: Float(0.0, 1.0) for name in "abcdef"})
    options = {"population": 8, "mutation": 0, "crossover": 1}
    history = study_of(space, lambda params, _: sum(params.values()), trials=14, sampler_options=options)
    for name in "abcdef":
        known = {trial.params[name] for trial in history.trials[:8]}
        assert {trial.params[name] for trial in history.trials[8:]} <= known


def test_without_crossover_a_child_differs_from_one_parent_by_its_mutations_alone(study_of):
    space = SearchSpace({name: Float(0.0, 1.0) for name in "abcdef"})
    options = {"population": 8, "mutation": 0.1, "crossover": 0}
    history = study_of(space, lambda params, _: sum(params.values()), trials=60, sampler_options=options)
    for child in history.trials[8:]:
        before = history.trials[: child.number]
        shared = max(sum(child.params[name] == other.params[name] for name in "abcdef") for other in before)
        assert shared >= 2


def test_the_best_trial_stays_a_parent_whatever_comes_after_it(desk_with):
    space = SearchSpace({name: Float(0.0, 1.0) for name in "abcdef"})
    options = {"population": 2, "tournament": 50, "mutation": 0.2, "crossover": 0}
    desk = desk_with(sampler="evolution", sampler_options=options, space=space, max_epochs=1, budget={"trials": 80})
    for number in range(80):
        desk.start()
        desk.report(number, 1, 0.0 if number == 3 else 1.0 + number)
        desk.finish(number)
    best = desk.trials[3].params
    for child in desk.trials[4:]:
        assert any(child.params[name] == best[name] for name in "abcdef")


def test_a_number_mutates_on_its_own_scale(study_of):
    space = SearchSpace({"rate": Float(1e-6, 1.0, log=True)})
    options = {"population": 2, "mutation": 1}
    history = study_of(space, lambda params, _: abs(params["rate"] - 1e-4), trials=100, sampler_options=options)
    assert abs(history.best.params["rate"] - 1e-4) < 1e-5


def test_failed_trials_have_no_children(study_of):
    history = study_of(LINE, lambda params, _: nan if params["x"] < 0.5 else 1.0, trials=90)
    assert sum(trial.params["x"] < 0.5 for trial in history.trials[50:]) <= 12


def test_while_every_trial_fails_it_draws_at_random(desk_with):
    desk = desk_with(sampler="evolution", space=LINE, max_epochs=1, budget={"trials": 60})
    desk.start(60)
    for number in range(60):
        desk.fail(number, signature=str(number))
    assert all(trial.message for trial in desk.trials)
    assert len({trial.params["x"] for trial in desk.trials}) == 60


def test_it_lives_with_values_that_are_all_the_same(study_of):
    history = study_of(MIXED, lambda *_: 0.5, trials=200, workers=3)
    for trial in history.trials:
        MIXED.check(trial.params)
    assert len({str(trial.params) for trial in history.trials}) == 200


@pytest.mark.parametrize("pruner", ["none", "hyperband"])
def test_a_search_restored_at_any_event_goes_on_alike_in_a_space_of_every_kind(
    spec_with, cluster_of, lockstep_of, pruner
):
    spec = spec_with(
        sampler="evolution", sampler_options={"population": 5}, space=ODD_SPACES["many kinds"], pruner=pruner,
        budget={"trials": 40},
    )  # fmt: skip
    lockstep = lockstep_of(spec)
    cluster = cluster_of(spec, workers=5, search=lockstep, diverge=0.02, stop_early=0.03, lose_worker=0.02)
    steps = iter(range(10**6))
    cluster.run(after_each_step=lambda _: next(steps) % 40 or lockstep.split())
    assert len(lockstep.history.trials) == 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"elite": 3}, "options of sampler evolution may be population, tournament, crossover, mutation; got 'elite'"),
        ({"population": 1}, "option population of sampler evolution must be greater than or equal to 2; got 1"),
        ({"tournament": 0}, "option tournament of sampler evolution must be greater than or equal to 1; got 0"),
        ({"mutation": 1.5}, "option mutation of sampler evolution must be less than or equal to 1; got 1.5"),
        ({"crossover": -1}, "option crossover of sampler evolution must be greater than or equal to 0; got -1"),
    ],
)
def test_an_option_it_does_not_have_is_refused_by_name(spec_with, options, message):
    with pytest.raises(ValueError, match=message):
        spec_with(sampler="evolution", sampler_options=options)
