"""Studies with default pruner options, long enough to learn their first rung, rebuilt while they do and afterwards."""

import numpy as np
import pytest

from bandstand.trials.events import TrialState
from tests.service.search.harness.endings import check_ending
from tests.service.search.harness.odd_values import ODD_VALUES
from tests.service.search.harness.pairs import default_options
from tests.service.strategies.pruners.first_rungs import LEARNERS, is_known, settling_at

# By when ranks settle: the rungs at which new trials are judged first, counted from 0, of them one in eight higher up.
LEARNED = {1: {0, 1}, 3: {1, 2}, 9: {2}}
UNTIL_THEN = {1, 2}
TROUBLE = {"lose_worker": 0.05, "blame": 0.3, "troubles": 8, "checkpoint_every": 2}


class Watch:
    """Rebuilds a study when it has learned something and for some steps after, else now and then."""

    def __init__(self, lows):
        """`lows`: the rungs of which it should know how their ranks agree with those at the next."""
        self.trials_then = []
        """How many trials there were each time that it learned of one of them."""
        self._lows = lows
        self._rng = np.random.default_rng(0)
        self._steps_left = 0

    def __call__(self, cluster):
        history = cluster.search.history
        if len(self.trials_then) < len(self._lows) and is_known(history, self._lows[len(self.trials_then)]):
            self.trials_then.append(len(history.trials))
            self._steps_left = 10
        if self._steps_left or self._rng.random() < 0.01:
            self._steps_left = max(0, self._steps_left - 1)
            cluster.search.split()


def watched_study(spec_with, cluster_of, lockstep_of, curve, lows, *, pruner, trials, direction, workers):
    """The cluster after a study that was rebuilt on the way, and the brackets before it learned and after it had."""
    spec = spec_with(
        pruner=pruner,
        pruner_options=default_options(pruner),
        space={"x": {"type": "float", "low": 0, "high": 1}},
        max_epochs=27,
        budget={"trials": trials},
        objective={"direction": direction},
    )
    cluster = cluster_of(spec, workers=workers, seed=5, search=lockstep_of(spec), curve=curve, **TROUBLE)
    watch = Watch(lows)
    history = cluster.run(after_each_step=watch).history
    assert len(watch.trials_then) == len(lows), "the study was too short to learn"
    brackets = [trial.bracket for trial in history.trials]
    return cluster, set(brackets[: watch.trials_then[0]]), set(brackets[watch.trials_then[-1] :])


@pytest.mark.parametrize(
    ("settles", "workers"),
    [(1, 1), (1, 64), (3, 1), (3, 64), (9, 1), pytest.param(9, 64, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("pruner", LEARNERS)
def test_a_study_rebuilt_while_it_learns_its_first_rung_and_afterwards_goes_on_alike(
    spec_with, cluster_of, lockstep_of, account_of, pruner, settles, direction, workers
):
    trials = (88 if settles == 9 else 24) + (workers if workers > 1 else 0)
    cluster, before, after = watched_study(
        spec_with, cluster_of, lockstep_of, settling_at(settles), [1, 3] if settles == 9 else [1],
        pruner=pruner, trials=trials, direction=direction, workers=workers,
    )  # fmt: skip
    assert before == UNTIL_THEN
    assert after == LEARNED[settles]
    check_ending(cluster, account_of(cluster.spec, cluster.stored))
    assert sum(trial.lost for trial in cluster.search.history.trials) > 0


@pytest.mark.filterwarnings("error::RuntimeWarning")  # NumPy's, where numbers overflow
@pytest.mark.parametrize(("workers", "direction"), [(1, "minimize"), (64, "maximize")])
@pytest.mark.parametrize("values", ODD_VALUES)
@pytest.mark.parametrize("pruner", LEARNERS)
def test_a_first_rung_is_learned_from_any_values_and_by_a_rebuilt_study_too(
    spec_with, cluster_of, lockstep_of, account_of, pruner, values, workers, direction
):
    curve = settling_at(1, lambda value: ODD_VALUES[values](2 * value))
    cluster, before, after = watched_study(
        spec_with, cluster_of, lockstep_of, curve, [1],
        pruner=pruner, trials=28 + (workers if workers > 1 else 0), direction=direction, workers=workers,
    )  # fmt: skip
    assert before == UNTIL_THEN
    assert after == (UNTIL_THEN if values == "constant" else LEARNED[1])  # what is equal has no ranks
    check_ending(cluster, account_of(cluster.spec, cluster.stored))
    failed = any(trial.state is TrialState.FAILED for trial in cluster.search.history.trials)
    assert failed == (values in ("NaN", "infinite"))
