"""What the samplers that learn are worth on functions that the field knows: trials of one epoch, no pruner."""

from statistics import median

import pytest

from tests.service.strategies.samplers.landscapes import KNOWN_FUNCTIONS

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

SEEDS = range(20)
EVALUATIONS = 60
SHARE = 0.7
"""Of the regret of random search that a model may leave at most."""
SLOW = [
    pytest.param(sampler, function, marks=pytest.mark.slow)
    for function in KNOWN_FUNCTIONS
    for sampler in ("tpe", "gp")
    if (sampler, function) != ("tpe", "branin")
]


@pytest.mark.parametrize(("sampler", "function"), [("tpe", "branin"), *SLOW])
def test_the_median_regret_of_20_studies_is_well_below_that_of_random_search(one_epoch_study, sampler, function):
    space, curve = KNOWN_FUNCTIONS[function]

    def regret(name):
        histories = (one_epoch_study(name, space, curve, trials=EVALUATIONS, seed=seed) for seed in SEEDS)
        return median(history.best.values[0] for history in histories)

    assert regret(sampler) < SHARE * regret("random")
