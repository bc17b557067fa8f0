"""Every strategy lives with any values of the metric and any space, with one worker and with 64."""

from math import inf, isfinite, nan

import pytest

from bandstand.strategies import SAMPLERS
from bandstand.trials.events import TrialState
from bandstand_spaces import SEARCH_SPACES
from tests.service.search.harness.endings import check_ending
from tests.service.search.harness.odd_values import ODD_VALUES
from tests.service.search.harness.pairs import PAIRS, settings_for
from tests.service.strategies.samplers.landscapes import ODD_SPACES

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


EXTREMES = [(1, "minimize"), (64, "maximize")]


@pytest.mark.filterwarnings("error::RuntimeWarning")  # NumPy's, where numbers overflow
@pytest.mark.parametrize(("workers", "direction"), EXTREMES)
@pytest.mark.parametrize("values", ODD_VALUES)
@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_any_values_end_a_study_as_they_should(
    spec_with, cluster_of, account_of, curve, sampler, pruner, values, workers, direction
):
    def odd_curve(params, epoch):
        return ODD_VALUES[values](curve(params, epoch))

    spec = spec_with(**settings_for(sampler, pruner) | {"objective": {"direction": direction}})
    run = cluster_of(spec, workers=workers, curve=odd_curve)
    history = run.run().history
    check_ending(run, account_of(spec, run.stored))
    for trial in history.trials:
        assert (trial.state is TrialState.FAILED) == (not all(map(isfinite, trial.values)))


@pytest.mark.parametrize("workers", [1, 64])
@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_a_study_that_never_has_a_finite_value_fails_and_says_so(
    spec_with, cluster_of, account_of, sampler, pruner, value, workers
):
    spec = spec_with(**settings_for(sampler, pruner))
    run = cluster_of(spec, workers=workers, curve=lambda params, epoch: value)
    history = run.run().history
    check_ending(run, account_of(spec, run.stored))
    assert history.ended.failed
    assert "failed" in history.ended.reason
    assert history.best is None


@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_to_maximize_a_metric_is_to_minimize_its_negative(spec_with, cluster_of, curve, sampler, pruner):
    def results(direction, sign):
        bound = {"upper": 1.1} if sign > 0 else {"lower": -1.1}
        options = {"pruner_options": bound} if pruner == "threshold" else {}
        spec = spec_with(**settings_for(sampler, pruner) | options | {"objective": {"direction": direction}})
        history = cluster_of(spec, curve=lambda params, epoch: sign * curve(params, epoch)).run().history
        return [(dict(trial.params), trial.epochs, trial.state, trial.parent) for trial in history.trials]

    assert results("maximize", -1) == results("minimize", 1)


@pytest.mark.filterwarnings(
    "ignore::RuntimeWarning"
)  # Optuna's, of integers whose neighbours float64 hardly tells apart
@pytest.mark.parametrize("workers", [1, 64])
@pytest.mark.parametrize("space", [*ODD_SPACES, *SEARCH_SPACES])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_proposals_are_points_of_any_space(spec_with, cluster_of, account_of, sampler, space, workers):
    chosen = ODD_SPACES.get(space) or SEARCH_SPACES[space]
    if sampler == "grid" and chosen.size is None:
        return  # it is refused where the study is made
    changes = {"space": chosen, "max_epochs": 1, "budget": {"trials": 40}}
    spec = spec_with(**settings_for(sampler, "none") | changes)
    run = cluster_of(spec, workers=workers)
    run.run()
    check_ending(run, account_of(spec, run.stored))
