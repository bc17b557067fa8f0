"""What the models' samplers maximize, by formulas of their own here; all through the registry's samplers."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import norm

from bandstand.optuna_samplers import integrated_gp, surrogates
from bandstand.optuna_samplers.internals import CandidateSpace
from bandstand.optuna_samplers.skopt_sampler import ACQUISITIONS
from bandstand_spaces import Float, Int, SearchSpace

PLANE = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
LINE = SearchSpace({"x": Float(0.0, 1.0)})
MODELS = tuple(ACQUISITIONS)
PAIRS = [(model, acquisition) for model, acquisitions in ACQUISITIONS.items() for acquisition in acquisitions]
RULES = {
    "EI": {"acquisition": "EI"},
    "EI, much improved": {"acquisition": "EI", "xi": 1.0},
    "PI": {"acquisition": "PI"},
    "PI, much improved": {"acquisition": "PI", "xi": 1.0},
    "LCB": {"acquisition": "LCB"},
    "LCB by the mean": {"acquisition": "LCB", "kappa": 0.0},
    "LCB by the deviation": {"acquisition": "LCB", "kappa": 1e6},
    "EIps": {"acquisition": "EIps"},
}


def options_of(model, **more):
    size = {"restarts": 0} if model == "gp" else {"trees": 20}
    return {"startup_trials": 16, "candidates": 300} | size | more


def curve_of(params):
    return sum((value - 0.6) ** 2 for value in params.values()) + 0.02 * np.sin(40 * params["x"])


def seconds_of(params):
    """Ten times as many on the right."""
    return 10.0 ** params["x"]


def seconds_by_steps(params):
    """Least where the values are, so that the best of EIps has been tried."""
    return 1.0 + abs(params["x"] - 12)


@pytest.fixture
def seen(monkeypatch):
    """What the latest proposal came from: `candidates` as rows of columns, and fitted `models`, one or several."""
    latest = SimpleNamespace()
    space_of, rvs, optimizer = surrogates.candidate_space, CandidateSpace.rvs, surrogates.Optimizer
    posterior = integrated_gp._posterior

    def space_within(box, observed):
        latest.box = box
        return space_of(box, observed)

    def drawn(space, *arguments, **options):
        latest.candidates = np.array(rvs(space, *arguments, **options))
        return latest.candidates.tolist()

    class Spy(optimizer):
        def ask(self, *arguments, **options):
            latest.models = self.models[-1:]
            return super().ask(*arguments, **options)

    def drawn_models(*arguments):
        latest.models = posterior(*arguments)
        return latest.models

    for module in (surrogates, integrated_gp):
        monkeypatch.setattr(module, "candidate_space", space_within)
    monkeypatch.setattr(CandidateSpace, "rvs", drawn)
    monkeypatch.setattr(surrogates, "Optimizer", Spy)
    monkeypatch.setattr(integrated_gp, "_posterior", drawn_models)
    return latest


@pytest.fixture
def proposals(desk_with):
    """A desk's params after `told` trials have ended, each with its value and seconds."""

    def propose(model, *, told=16, count=1, space=PLANE, curve=curve_of, seconds=seconds_of, seed=0, **options):
        desk = desk_with(
            sampler=model, sampler_options=options_of(model, **options), space=space, max_epochs=1, seed=seed,
            budget={"trials": 99},
        )  # fmt: skip
        for number in range(told):
            params = desk.start().params
            desk.report(number, 1, curve(params), seconds=seconds(params))
            desk.finish(number)
        return desk, [desk.start().params for _ in range(count)]

    return propose


def values_told(desk):
    """Of the trials that have ended, as the models see them: mean 0, deviation 1."""
    values = np.array([trial.values[0] for trial in desk.trials if trial.values])
    return (values - values.mean()) / values.std()


def gains(models, columns, best, *, acquisition, xi=0.01, kappa=1.96):
    """Of rows of columns, by the textbook; the average over the models."""
    answers = []
    for model in models:
        per_second = 1.0
        if acquisition == "EIps":
            model, of_seconds = model.estimators_
            middle, deviation = of_seconds.predict(columns, return_std=True)
            per_second = np.exp(-middle + deviation**2 / 2)  # the mean of 1 / seconds, which are log-normal
        middle, deviation = model.predict(columns, return_std=True)
        if acquisition == "LCB":
            answers.append(kappa * deviation - middle)
            continue
        improved = best - xi - middle
        scaled = improved / np.maximum(deviation, 1e-12)
        expected = improved * norm.cdf(scaled) + deviation * norm.pdf(scaled)
        answers.append(norm.cdf(scaled) if acquisition == "PI" else expected * per_second)
    return np.mean(answers, axis=0)


def best_told(desk, acquisition, seconds=seconds_of):
    """The least value that the model of values knows; with seconds beside them, values stand below their logarithms."""
    values = values_told(desk)
    if acquisition != "EIps":
        return values.min()
    told = np.log([seconds(trial.params) for trial in desk.trials if trial.values])
    return values.min() - values.max() + min(told.min(), 0.0) - 1


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("model", MODELS)
def test_a_proposal_has_the_highest_acquisition_of_all_candidates(proposals, seen, model, rule):
    desk, [params] = proposals(model, **RULES[rule])
    best = best_told(desk, RULES[rule]["acquisition"])
    columns = seen.box.columns(seen.box.units(params)[None, :])
    reached, others = (gains(seen.models, rows, best, **RULES[rule]) for rows in (columns, seen.candidates))
    assert reached[0] >= others.max() - 1e-6 * abs(others.max())
    assert reached[0] > np.median(others)


@pytest.mark.parametrize("acquisition", ["EI", "PI", "LCB"])
def test_with_drawn_hyperparameters_it_has_the_highest_average(proposals, seen, acquisition):
    desk, [params] = proposals("gp", acquisition=acquisition, hyperparameter_draws=3)
    assert len(seen.models) == 3
    columns = seen.box.columns(seen.box.units(params)[None, :])
    reached, others = (
        gains(seen.models, rows, values_told(desk).min(), acquisition=acquisition)
        for rows in (columns, seen.candidates)
    )
    assert reached[0] >= others.max() - 1e-6 * abs(others.max())


@pytest.mark.parametrize("model", MODELS)
def test_every_rule_leads_elsewhere(proposals, model):
    rules = ("EI", "PI", "LCB", "LCB by the mean", "LCB by the deviation", "EIps")
    led_to = {
        rule: [proposals(model, told=40, startup_trials=40, seed=seed, **RULES[rule])[1] for seed in range(5)]
        for rule in rules
    }
    for one, other in combinations(rules, 2):
        assert led_to[one] != led_to[other], (one, other)


@pytest.mark.parametrize("model", MODELS)
def test_some_rules_are_greedier_than_others_and_go_where_the_model_is_surer(proposals, seen, model):
    """One follows from the formulas for each pair here: the deviation at the one's maximum is not above the other's."""

    def deviations(rule):
        found = []
        for seed in range(6):
            _, [params] = proposals(model, seed=seed, **rule)
            columns = seen.box.columns(seen.box.units(params)[None, :])
            found.append(seen.models[0].predict(columns, return_std=True)[1][0])
        return np.array(found)

    lcb, pi, ei = ({"acquisition": acquisition} for acquisition in ("LCB", "PI", "EI"))
    for greedy, curious in (
        (lcb | {"kappa": 0.0}, lcb),
        (lcb, lcb | {"kappa": 1e3}),
        (pi | {"xi": 1e-3}, pi | {"xi": 1.0}),
        (pi | {"xi": 1e-3}, ei | {"xi": 1e-3}),
    ):
        less, more = deviations(greedy), deviations(curious)
        assert all(less <= more + 1e-3), (greedy, curious)
        assert any(less < 0.95 * more), (greedy, curious)


@pytest.mark.parametrize(("model", "acquisition"), PAIRS)
def test_every_model_proposes_points_of_its_space_by_every_acquisition_and_always_the_same(
    proposals, model, acquisition
):
    desk, points = proposals(model, acquisition=acquisition, count=3)
    for params in points:
        PLANE.check(params)
    assert len({str(params) for params in points}) == 3
    assert proposals(model, acquisition=acquisition, count=3)[1] == points
    assert desk.restored().search.next() is not None


def test_drawn_hyperparameters_lead_elsewhere_by_each_acquisition_and_always_the_same_way(proposals):
    led_to = {
        (acquisition, seed): str(proposals("gp", acquisition=acquisition, hyperparameter_draws=3, seed=seed)[1])
        for acquisition in ("EI", "PI", "LCB")
        for seed in (1, 2)
    }
    assert len(set(led_to.values())) == 6
    for (acquisition, seed), params in led_to.items():
        assert str(proposals("gp", acquisition=acquisition, hyperparameter_draws=3, seed=seed)[1]) == params


def test_a_large_kappa_goes_far_from_all_that_was_tried_and_none_goes_to_the_best(proposals):
    for seed in range(5):
        settings = {"space": LINE, "told": 8, "startup_trials": 8, "seed": seed, "acquisition": "LCB"}
        near, far = (
            proposals("gp", curve=lambda params: (params["x"] - 0.6) ** 2, kappa=kappa, **settings)
            for kappa in (0.0, 1e3)
        )
        tried = sorted(trial.params["x"] for trial in near[0].trials if trial.values)
        farthest = max([tried[0], 1 - tried[-1], *(np.diff(tried) / 2)])
        assert abs(near[1][0]["x"] - 0.6) < 0.1
        assert min(abs(x - far[1][0]["x"]) for x in tried) > 0.7 * farthest


@pytest.mark.parametrize("model", MODELS)
def test_improvement_per_second_prefers_the_quick_half_where_values_are_alike(proposals, model):
    def quick_ones(acquisition, seed):
        desk, _ = proposals(
            model, acquisition=acquisition, seed=seed, space=LINE, told=22, startup_trials=8,
            curve=lambda params: abs(params["x"] % 0.5 - 0.2),
            seconds=lambda params: 0.5 if params["x"] < 0.5 else 50.0,
        )  # fmt: skip
        return sum(trial.params["x"] < 0.5 for trial in desk.trials[8:22])

    per_second, plain = (sum(quick_ones(acquisition, seed) for seed in range(2)) for acquisition in ("EIps", "EI"))
    assert per_second >= plain + 5, "of 28 proposals"


@pytest.mark.parametrize("rule", ["PI", "LCB by the mean", "EIps"])
@pytest.mark.parametrize("model", MODELS)
def test_where_trials_have_been_the_best_of_what_is_left_is_proposed(proposals, seen, monkeypatch, model, rule):
    asked = []
    best_unvisited = surrogates.best_unvisited
    monkeypatch.setattr(surrogates, "best_unvisited", lambda *given: asked.append(given) or best_unvisited(*given))
    space, times = SearchSpace({"x": Int(1, 24)}), 0
    for seed in range(6):
        asked.clear()
        desk, [params] = proposals(
            model, space=space, curve=lambda params: (params["x"] - 12) ** 2, seconds=seconds_by_steps, seed=seed,
            **RULES[rule],
        )  # fmt: skip
        times += len(asked)
        if asked:
            tried = {trial.params["x"] for trial in desk.trials if trial.values}
            left = [x for x in range(1, 25) if x not in tried]
            columns = seen.box.columns(np.array([seen.box.units({"x": x}) for x in left]))
            best = best_told(desk, RULES[rule]["acquisition"], seconds_by_steps)
            found = gains(seen.models, columns, best, **RULES[rule])
            assert found[left.index(params["x"])] >= found.max() - 1e-9
    assert times
