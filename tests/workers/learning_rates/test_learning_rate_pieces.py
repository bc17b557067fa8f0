"""Schedules in Keras: the formulas' rates at each step, finite and positive, written down and read again."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandstand.learning_rates import LEARNING_RATES, Cycle, rates
from bandstand_workers.learning_rates import LR_SCHEDULES, TableSchedule
from tests.workers.small_fits import STEPS, fitted, make_model

CYCLES = [
    *(Cycle(shape=shape, initial=0.3, epochs=5) for shape in LEARNING_RATES),
    *(Cycle(shape=shape, initial=0.3, epochs=5, warmup_epochs=2) for shape in LEARNING_RATES),
    Cycle(shape="step", initial=0.3, epochs=5, every_epochs=1, factor=0.1, final_fraction=0.005),
    Cycle(shape="exponential", initial=0.3, epochs=5, decay=0.7, final_fraction=0.2),
    Cycle(shape="time", initial=0.3, epochs=5, decay=2.0),
]


def schedule_of(cycle: Cycle, steps_per_epoch: int = STEPS) -> Any:
    options = {name: value for name, value in vars(cycle).items() if name != "shape"}
    return LR_SCHEDULES[cycle.shape](steps_per_epoch=steps_per_epoch, **options)


def test_every_shape_has_a_schedule_and_the_other_way_round() -> None:
    assert list(LR_SCHEDULES) == list(LEARNING_RATES)
    assert {name: schedule.shape for name, schedule in LR_SCHEDULES.items()} == {name: name for name in LEARNING_RATES}


@pytest.mark.parametrize("cycle", CYCLES, ids=repr)
def test_a_schedule_has_the_formulas_rate_at_every_step_and_past_the_end(cycle: Cycle) -> None:
    schedule = schedule_of(cycle)
    for step in range((cycle.epochs + 3) * STEPS):
        expected = cycle.rate_at(step / STEPS)
        for kind in ("int32", "int64", "float32"):
            rate = schedule(keras.ops.convert_to_tensor(step, dtype=kind))
            assert keras.backend.standardize_dtype(rate.dtype) == "float32"
            assert float(rate) == pytest.approx(expected, rel=2e-6), (step, kind)
        assert float(schedule(step)) == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize("every_epochs", [1, 3, 7])
def test_a_step_falls_in_the_very_step_where_it_should_however_the_graph_is_compiled(every_epochs: int) -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("compiles by TensorFlow")
    import tensorflow as tf

    schedule = LR_SCHEDULES["step"](initial=1.0, epochs=200, every_epochs=every_epochs, steps_per_epoch=49)
    for xla in (False, True):
        rate_at = tf.function(schedule, jit_compile=xla, input_signature=[tf.TensorSpec([], tf.float32)])
        for drop in range(1, 20):
            step = 49 * every_epochs * drop
            before, after = float(rate_at(float(step - 1))), float(rate_at(float(step)))
            assert after == pytest.approx(max(0.5**drop, 1e-6), rel=1e-5)
            assert before == pytest.approx(max(0.5 ** (drop - 1), 1e-6), rel=1e-5)


def test_the_last_steps_of_a_long_training_are_not_lost_in_rounding() -> None:
    cycle = Cycle(shape="linear", initial=1.0, epochs=1000)
    schedule = schedule_of(cycle, 10_000)
    for left in (1, 2, 100):
        expected = 1e-6 + (1 - 1e-6) * left / 10_000_000
        assert float(schedule(10_000_000 - left)) == pytest.approx(expected, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.sampled_from(list(LEARNING_RATES)),
    initial=st.floats(1e-30, 1e30),
    epochs=st.integers(1, 10_000),
    steps_per_epoch=st.integers(1, 200_000),
    warmup=st.integers(0, 9999),
    decay=st.floats(0, 1e30),
    factor=st.floats(1e-30, 1),
    final_fraction=st.floats(1e-6, 1),
    data=st.data(),
)
def test_every_rate_is_finite_and_positive(
    shape: str, epochs: int, steps_per_epoch: int, warmup: int, data: Any, **options: Any
) -> None:
    warmup = min(warmup, epochs - 1)
    cycle = Cycle(shape=shape, epochs=epochs, warmup_epochs=warmup, **options)
    schedule = schedule_of(cycle, steps_per_epoch)
    end = epochs * steps_per_epoch
    for step in (0, warmup * steps_per_epoch, end - 1, end, 2**31 - 1, data.draw(st.integers(0, end))):
        rate = float(schedule(step))
        assert math.isfinite(rate)
        assert 0 < rate <= cycle.initial * (1 + 1e-5)


@pytest.mark.parametrize("name", [*LR_SCHEDULES, "table"])
def test_a_schedule_survives_its_configuration(name: str) -> None:
    if name == "table":
        schedule = TableSchedule([0.3, 0.1, 0.2], steps_per_epoch=STEPS)
    else:
        schedule = LR_SCHEDULES[name](initial=0.3, epochs=5, warmup_epochs=1, decay=0.4, factor=0.3, every_epochs=2,
                                      final_fraction=0.01, steps_per_epoch=STEPS)  # fmt: skip
    config = json.loads(json.dumps(schedule.get_config()))
    written = json.loads(json.dumps(keras.saving.serialize_keras_object(schedule)))
    assert written["registered_name"] == f"bandstand>{type(schedule).__name__}"
    copies = [
        type(schedule).from_config(config),
        keras.saving.deserialize_keras_object(written),
        keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule)),
    ]
    for copy in copies:
        assert type(copy) is type(schedule)
        assert copy.get_config() == schedule.get_config()
        assert [float(copy(step)) for step in range(40)] == [float(schedule(step)) for step in range(40)]


def test_a_saved_model_brings_its_schedule_along(tmp_path: Path) -> None:
    model = make_model(LR_SCHEDULES["cosine"](initial=0.1, epochs=5, steps_per_epoch=STEPS))
    fitted(model, epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert float(loaded.optimizer.learning_rate) == float(model.optimizer.learning_rate) < 0.1


def test_a_table_replays_the_rate_of_each_epoch_and_keeps_the_last() -> None:
    schedule = TableSchedule([0.3, 0.1, 0.2], steps_per_epoch=2)
    steps = [float(schedule(keras.ops.convert_to_tensor(step, dtype="float32"))) for step in range(9)]
    assert steps == pytest.approx([0.3, 0.3, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TableSchedule([], steps_per_epoch=2), "rates must have a rate for each epoch; got none"),
        (lambda: TableSchedule([0.1, 0.0], steps_per_epoch=2), "rates must be finite and above 0; got 0.0 for epoch 2"),
        (
            lambda: TableSchedule([0.1], steps_per_epoch=0),
            "steps_per_epoch must be a whole number of at least 1; got 0",
        ),
        (lambda: schedule_of(CYCLES[0], 2**31), "epochs times steps_per_epoch must be at most 2147483647"),
        (lambda: schedule_of(CYCLES[0], 1.5), "steps_per_epoch must be a whole number of at least 1; got 1.5"),  # type: ignore[arg-type]
        (lambda: LR_SCHEDULES["cosine"](initial=0.1, epochs=0, steps_per_epoch=2), "epochs must be a whole number"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        make()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("shape", LR_SCHEDULES)
def test_fit_trains_each_batch_with_the_formulas_rate(shape: str) -> None:
    cycle = Cycle(shape=shape, initial=0.3, epochs=4, warmup_epochs=1, every_epochs=2, decay=0.5)

    class ByHand(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.optimizer.learning_rate = cycle.rate_at(int(self.model.optimizer.iterations) / STEPS)

    scheduled, by_hand = fitted(make_model(schedule_of(cycle)), epochs=4), fitted(make_model(), ByHand(), epochs=4)
    assert scheduled.rates == pytest.approx(rates(cycle), rel=1e-5)
    for one, other in zip(scheduled.weights[3], by_hand.weights[3], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


FILES = [__file__, str(Path(__file__).with_name("test_learning_rate_restarts.py"))]


@pytest.mark.slow
def test_schedules_and_restarts_work_on_jax_too(tmp_path: Path) -> None:
    if os.environ.get("KERAS_BACKEND") == "jax":
        pytest.skip("this is the run on JAX")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", *FILES]
    command.append(f"--basetemp={tmp_path / 'inner'}")
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) >= 50
