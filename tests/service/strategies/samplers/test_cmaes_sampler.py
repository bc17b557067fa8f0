"""CMA-ES learns from generations of any trials that have ended, and keeps all of its state in the study's events."""

from collections import Counter
from functools import partial
from itertools import pairwise
from math import log, log10

import pytest

from bandstand.strategies import SAMPLERS
from bandstand.trials.events import Proposed
from bandstand.trials.history import Trial
from bandstand_spaces import Categorical, Float, Int, SearchSpace
from tests.service.strategies.samplers.landscapes import MIXED, ODD_SPACES

LINE = SearchSpace({"x": Float(0.0, 1.0)})


@pytest.fixture
def study_of(one_epoch_study):
    """The history of a study of one-epoch trials."""
    return partial(one_epoch_study, "cmaes")


def test_it_learns_choices_where_there_are_no_numbers(study_of):
    space = SearchSpace({name: Categorical(list("vwxyz")) for name in "abcdef"})
    history = study_of(space, lambda params, _: sum(value != "x" for value in params.values()), trials=150)
    assert history.value_of(history.best) <= 1


def test_no_choice_and_no_neighbour_of_a_stepped_value_ever_dies_out(study_of):
    space = SearchSpace({"choice": Categorical(["bad", "good"]), "steps": Int(0, 20), "x": Float(0.0, 1.0)})
    history = study_of(space, lambda params, _: (params["choice"] == "bad") + abs(params["steps"] - 17), trials=400)
    last = history.trials[-200:]
    assert 1 <= sum(trial.params["choice"] == "bad" for trial in last) <= 40
    steps = Counter(trial.params["steps"] for trial in last)
    assert steps.most_common(1)[0][0] == 17
    assert steps.keys() >= {16, 18}


def test_trials_that_had_no_time_say_nothing(desk_with):
    calm, cut = (desk_with(sampler="cmaes", space=LINE, budget={"trials": 60}) for _ in range(2))
    for desk in (calm, cut):
        desk.start(20)
    for number in range(20):
        cut.finish(number, "budget")
    assert cut.start().params == calm.start().params


def test_it_lives_with_values_that_are_all_the_same(study_of):
    history = study_of(MIXED, lambda *_: 0.5, trials=300, workers=3)
    for trial in history.trials:
        MIXED.check(trial.params)
    assert len({str(trial.params) for trial in history.trials[-100:]}) > 50


def test_it_starts_over_elsewhere_when_it_has_shrunk_to_a_point(study_of):
    history = study_of(LINE, lambda params, _: (params["x"] - 0.3) ** 2, trials=600)
    far = [trial.number for trial in history.trials if abs(trial.params["x"] - 0.3) > 0.1]
    assert any(later - earlier > 50 for earlier, later in pairwise(far))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_long_study_overflows_nothing(desk_with):
    numbers = {"a": Int(0, 20), "b": Int(1, 512, log=True), "c": Float(0.0, 1.0, step=0.05)}
    space = SearchSpace({**numbers, "d": Float(1e-5, 1e-1, log=True)})
    desk = desk_with(sampler="cmaes", space=space, max_epochs=1, budget={"trials": 2200}, seed=1)
    for number in range(2200):
        it = desk.start().params
        loss = (it["a"] - 17) ** 2 / 100 + log(it["b"] / 90) ** 2 + (it["c"] - 0.2) ** 2 + log10(it["d"] / 1e-2) ** 2
        desk.report(number, 1, loss)
        desk.finish(number)
    assert desk.search.history.best.params["a"] == 17


@pytest.mark.parametrize("pruner", ["none", "hyperband"])
def test_a_search_restored_at_any_event_goes_on_alike_in_a_space_of_every_kind(
    spec_with, cluster_of, lockstep_of, pruner
):
    spec = spec_with(sampler="cmaes", space=ODD_SPACES["many kinds"], pruner=pruner, budget={"trials": 40})
    lockstep = lockstep_of(spec)
    cluster = cluster_of(spec, workers=5, search=lockstep, diverge=0.02, stop_early=0.03, lose_worker=0.02)
    steps = iter(range(10**6))
    cluster.run(after_each_step=lambda _: next(steps) % 40 or lockstep.split())
    assert len(lockstep.history.trials) == 40


def test_a_change_of_a_last_digit_between_two_machines_changes_no_choice(spec_with):
    spec = spec_with(sampler="cmaes", space=MIXED, budget={"trials": 40})
    sampler = SAMPLERS["cmaes"].make(spec, (9,))
    params = dict(sampler.propose(0))
    params["rate"] *= 1 + 1e-15
    assert params != sampler.propose(0)
    sampler.observe(Proposed(trial=0, params=params, granted=9), Trial(number=0, params=params, bracket=0, granted=9))
    assert sampler.propose(1) is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 3}, "options of sampler cmaes may be population, sigma; got 'size'"),
        ({"population": 3}, "option population of sampler cmaes must be greater than or equal to 4; got 3"),
        ({"sigma": 0}, "option sigma of sampler cmaes must be greater than 0; got 0"),
    ],
)
def test_an_option_it_does_not_have_is_refused_by_name(spec_with, options, message):
    with pytest.raises(ValueError, match=message):
        spec_with(sampler="cmaes", sampler_options=options)


def test_the_population_says_after_how_many_trials_the_first_lesson_comes(study_of):
    def proposals(slope):
        options = {"population": 6}
        history = study_of(LINE, lambda params, _: slope * params["x"], trials=8, sampler_options=options)
        return [trial.params["x"] for trial in history.trials]

    up, down = proposals(1), proposals(-1)
    assert up[:6] == down[:6]
    assert up[6] != down[6]
