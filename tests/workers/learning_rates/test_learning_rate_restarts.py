"""Callbacks that restart the learning rate by the epoch, in plain `fit`: rates, weights, seeds, an end to it."""

from __future__ import annotations

import math
import pickle
import random
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from bandstand.learning_rates import Cycle, Reset
from bandstand_workers.learning_rates import LR_SCHEDULES, RandomRestarts, WarmRestarts
from tests.workers.small_fits import STEPS, fitted, make_model

CYCLE = Cycle(shape="cosine", initial=0.1, epochs=2)


def restarts(**options: Any) -> RandomRestarts:
    return RandomRestarts(**({"every_epochs": 2, "restarts": 2, "reset": Reset()} | options))


def assert_equal_weights(one: list[Any], other: list[Any]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_warm_restarts_give_each_epoch_the_rate_of_its_cycle() -> None:
    cycle = Cycle(shape="linear", initial=0.8, epochs=2, final_fraction=0.5)
    plan = WarmRestarts(cycle, restarts=2, multiplier=2, reset=Reset(to="decayed", factor=0.25))
    first, second, third = [0.8, 0.6], [0.2, 0.175, 0.15, 0.125], [0.05 - 0.025 * epoch / 8 for epoch in range(8)]
    recorder = fitted(make_model(), plan, epochs=17)
    assert recorder.rates == pytest.approx([*first, *second, *third, 0.025, 0.025, 0.025])
    resumed = fitted(make_model(), plan, initial_epoch=3, epochs=7)
    assert resumed.rates == recorder.rates[3:7]


def test_warm_restarts_with_random_rates_are_the_seeds() -> None:
    def rates_by(seed: int) -> list[float]:
        reset = Reset(to="random", low=1e-3, high=1e-1, seed=seed)
        plan = WarmRestarts(Cycle(shape="constant", initial=0.05, epochs=2), restarts=3, reset=reset)
        return fitted(make_model(), plan, epochs=10).rates

    one = rates_by(1)
    assert one == rates_by(1) != rates_by(2)
    assert len(set(one)) == 4
    assert one[6:] == [one[6]] * 4, "there were more restarts than asked for"


class Halve(keras.callbacks.Callback):
    """Lowers the rate after each epoch, as a plateau would."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = self.model.optimizer.learning_rate / 2


def test_random_restarts_leave_the_rate_alone_between_them_and_end() -> None:
    recorder = fitted(make_model(0.08), restarts(), Halve(), epochs=7)
    assert recorder.rates == pytest.approx([0.08, 0.04, 0.08, 0.04, 0.08, 0.04, 0.02])
    decayed = fitted(make_model(0.08), restarts(reset=Reset(to="decayed", factor=0.1)), Halve(), epochs=7)
    assert decayed.rates == pytest.approx([0.08, 0.04, 0.008, 0.004, 0.0008, 0.0004, 0.0002])


def test_random_restarts_draw_the_seeds_rates() -> None:
    reset = Reset(to="random", low=1e-3, high=1e-1, seed=5)
    recorder = fitted(make_model(0.08), restarts(reset=reset), epochs=7)
    first, second = (reset.rate_after(number, 0.08) for number in (1, 2))
    assert recorder.rates == pytest.approx([0.08, 0.08, first, first, second, second, second])


def test_a_restart_from_the_best_weights_goes_back_to_them_with_an_optimizer_as_new() -> None:
    # The rate is far too large in the second and third epoch, so that the first one's weights are the best.
    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch in (1, 2):
                self.model.optimizer.learning_rate = 5.0

    model = make_model(0.001, "Adam")
    recorder = fitted(model, Spoil(), restarts(every_epochs=3, restarts=1, weights="best"), epochs=5)
    assert recorder.losses[0] < min(recorder.losses[1:3])
    assert_equal_weights(recorder.weights[3], recorder.weights[1])
    assert recorder.rates[3] == pytest.approx(0.001)
    state = {v.name: value for v, value in zip(model.optimizer.variables, recorder.optimizer[3], strict=True)}
    del state["learning_rate"]
    assert all(not value.any() for value in state.values())
    assert any(value.any() for value in recorder.optimizer[4][2:])


def test_without_weights_to_go_back_to_a_restart_keeps_them() -> None:
    recorder = fitted(make_model(math.inf), restarts(weights="best", reset=Reset(to="random", low=1e-3, high=1e-2)))
    assert not np.isfinite(recorder.losses).any()
    assert 1e-3 <= recorder.rates[2] <= 1e-2


def test_a_restart_from_fresh_weights_draws_them_by_the_seed() -> None:
    def fresh() -> Any:
        return keras.Sequential([keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)])  # built by nobody

    def weights_by(seed: int) -> list[list[Any]]:
        callback = restarts(weights="fresh", fresh_model=fresh, reset=Reset(to="initial", seed=seed))
        return fitted(make_model(momentum=0.9), callback, epochs=5).weights

    one, again, other = weights_by(1), weights_by(1), weights_by(2)
    for epoch in range(5):
        assert_equal_weights(one[epoch], again[epoch])
    assert_equal_weights(one[1], other[1])
    kernels = [one[0][0], one[2][0], one[4][0], other[2][0]]
    assert all(not np.array_equal(a, b) for i, a in enumerate(kernels) for b in kernels[:i])


def test_a_fresh_model_does_not_disturb_the_random_numbers_of_others() -> None:
    random.seed(7)
    expected = random.random()
    random.seed(7)
    callback = restarts(weights="fresh", fresh_model=make_unseeded, restarts=1, every_epochs=1)
    callback.set_model(make_unseeded())
    random.seed(7)
    callback.on_train_begin()
    callback.on_epoch_begin(1)
    assert random.random() == expected


def make_unseeded() -> Any:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    return model


def test_a_fresh_model_of_another_shape_is_refused() -> None:
    callback = restarts(
        weights="fresh", fresh_model=lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    )
    with pytest.raises(
        ValueError, match=r"fresh_model must make weights of the shapes .*; got .*; build the model that"
    ):
        fitted(make_model(), callback)


def test_a_metric_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"monitor must be one of the epoch's logs (loss, val_loss); got 'val_los'"):
        fitted(make_model(), restarts(weights="best", monitor="val_los"))


@pytest.mark.parametrize("kind", ["warm", "random"])
def test_an_optimizer_with_a_schedule_is_refused(kind: str) -> None:
    callback = WarmRestarts(CYCLE, restarts=1) if kind == "warm" else restarts()
    with pytest.raises(ValueError, match="learning_rate must be a number if a callback restarts it; optimizer SGD"):
        fitted(make_model(LR_SCHEDULES["cosine"](initial=0.1, epochs=5, steps_per_epoch=STEPS)), callback)


def test_a_scaled_optimizer_restarts_too() -> None:
    model = make_model()
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)), loss="mse")
    recorder = fitted(model, restarts(weights="best", reset=Reset(to="decayed", factor=0.1)), epochs=5)
    assert recorder.rates == pytest.approx([0.01, 0.01, 0.001, 0.001, 0.0001])


def test_the_state_of_a_callback_is_plain() -> None:
    callback = restarts(weights="best")
    fitted(make_model(), callback, epochs=2)
    attributes = {name: value for name, value in vars(callback).items() if name not in ("_model", "params")}
    copy = pickle.loads(pickle.dumps(attributes))
    assert copy.keys() == attributes.keys()
    assert copy["best_loss"] == callback.best_loss < math.inf
    assert_equal_weights(copy["best_weights"], callback.best_weights)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every_epochs": 0}, "every_epochs must be a whole number of at least 1; got 0"),
        ({"restarts": -1}, "restarts must be a whole number of at least 0; got -1"),
        ({"weights": "worst"}, "weights must be one of keep, best, fresh; got 'worst'"),
        ({"weights": "fresh"}, "fresh_model must be given with weights = 'fresh'; got None"),
        ({"mode": "auto"}, "mode must be min or max; got 'auto'"),
    ],
)
def test_restarts_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        restarts(**options)


def test_the_lines_in_the_readme_work_as_they_stand() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    code = re.search(r"```python\n(# rates.py\n.*?)```", readme, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code.group(1), names)
    fitted(make_model(), names["warm"], epochs=1)
    fitted(make_model(), names["restarts"], epochs=1)
    assert [cycle.epochs for cycle in names["warm"].cycles] == [4, 8, 16]
    assert [cycle.initial for cycle in names["warm"].cycles] == [0.1, 0.05, 0.025]
    assert float(names["schedule"](90)) == pytest.approx(0.1)
