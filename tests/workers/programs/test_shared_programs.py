"""A program that serves several trials trains each as `fit` does, whatever the user's code hides from Keras.

Each case is a builder in which a parameter decides something that no configuration and no variable says.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.study.study_spec import StudySpec
from bandstand_workers.programs.python_state import walk
from bandstand_workers.training.loaded_study import LoadedStudy
from tests.workers.pausing_link import PausingLink

EPOCHS = 2

CODE = """
import functools

import keras
import numpy as np

SETTINGS = {"power": 1.0}


def load():
    rng = np.random.default_rng(0)
    x = rng.lognormal(sigma=0.7, size=(90, 4)).astype("float32")
    y = np.log(x).sum(axis=1, keepdims=True).astype("float32")
    return {"train": (x[:60], y[:60]), "validation": (x[60:], y[60:])}


def net(*first, model=keras.Sequential, compiled=None, **options):
    made = model([keras.Input((4,)), *first, keras.layers.Dense(6, activation="tanh"), keras.layers.Dense(1)])
    made.compile(**{"optimizer": keras.optimizers.Adam(0.02), "loss": "mse"} | options)
    return made


def adapted(params):
    x = np.minimum(load()["train"][0], params["value"])
    layer = keras.layers.Normalization()
    layer.adapt(x)
    return net(layer)


def boundaries(params):
    layer = keras.layers.Discretization(bin_boundaries=[0.5, params["value"]], output_mode="int")
    return net(layer, keras.layers.Lambda(lambda x: keras.ops.cast(x, "float32")))


def without_decay(params):
    model = net(optimizer=keras.optimizers.AdamW(0.02, weight_decay=2.0))
    if params["value"] > 2:
        model.optimizer.exclude_from_weight_decay(var_list=[model.layers[0].kernel])
    return model


def without_decay_by_name(params):
    model = net(optimizer=keras.optimizers.AdamW(0.02, weight_decay=2.0))
    model.optimizer.exclude_from_weight_decay(var_names=["bias" if params["value"] > 2 else "kernel"])
    return model


def closure(params):
    power = params["value"]
    return net(loss=lambda true, guess: keras.ops.mean(keras.ops.abs(true - guess) ** power))


def partial(params):
    return net(loss=functools.partial(powered, power=params["value"]))


def powered(true, guess, power):
    return keras.ops.mean(keras.ops.abs(true - guess) ** power)


def global_of_module(params):
    SETTINGS["power"] = params["value"]
    return net(loss=by_settings)


def by_settings(true, guess):
    return powered(true, guess, SETTINGS["power"])


class Scale(keras.layers.Layer):
    factor = 1.0

    def __init__(self, by=None):
        super().__init__()
        self.by = by

    def call(self, x):
        return x * (self.factor if self.by is None else self.by)


def attribute(params):
    return net(Scale(params["value"]))


def array(params):
    return net(Scale(np.full(4, params["value"], "float32")))


def of_class(params):
    Scale.factor = params["value"]
    return net(Scale())


class Held:
    def __init__(self, value):
        self.value = value

    def __call__(self, x):
        return x * self.value


def in_object(params):
    return net(keras.layers.Lambda(Held(params["value"])))


def made_class(params):
    class Local(keras.layers.Layer):
        def call(self, x):
            return x * params["value"]

    return net(Local())


def frozen_after_compile(params):
    model = net()
    model.layers[0].trainable = params["value"] < 2
    return model


class Branches(keras.Sequential):
    def call(self, x, training=None, mask=None):
        x = super().call(x, training=training)
        return x * 3.0 if self.layers[0].rate > 0.2 else x


def branch_on_slot(params):
    return net(keras.layers.Dropout(params["value"] / 10), model=Branches)


class Largest(keras.metrics.Metric):
    def __init__(self):
        super().__init__(name="largest")
        self.top = self.add_variable((), "zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.top.assign(keras.ops.maximum(self.top, keras.ops.max(keras.ops.abs(y_pred))))

    def result(self):
        return self.top + 0.0

    def reset_state(self):
        pass


def remembers(params):
    return net(metrics=[Largest()])


def plain_layer_of_ones_own(params):
    return net(Scale(0.5), optimizer=keras.optimizers.Adam(params["value"] / 100))


def words():
    word = np.array([["a"], ["b"], ["c"]])[np.arange(90) % 3]
    y = (word == "b").astype("float32")
    return {"train": (word[:60], y[:60]), "validation": (word[60:], y[60:])}


def weighted():
    return {split: (*parts, np.linspace(0.1, 2.0, len(parts[0]))[:, None]) for split, parts in load().items()}


def plain(params):
    return net()


def with_a_step_of_its_own(params):
    import types

    model = net()
    taken = model.train_step

    def step(self, *arguments):
        result = taken(*arguments)
        if isinstance(result, dict):
            return result | {"double": 2 * result["loss"]}
        return result[0] | {"double": 2 * result[0]["loss"]}, result[1]

    model.train_step = types.MethodType(step, model)
    return model


def look_up(params):
    table = keras.layers.StringLookup(vocabulary=["a", "b", "c"], output_mode="multi_hot")
    model = keras.Sequential([keras.Input((1,), dtype="string"), table, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(params["value"] / 100), loss="mse")
    return model


class Turns(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.model.layers[0].rate = 0.9


def turned():
    return [Turns()]


def averaged(params):
    return net(optimizer=keras.optimizers.Adam(params["value"] / 20, use_ema=True, ema_momentum=0.9))


def swapped():
    return [keras.callbacks.SwapEMAWeights()]


def dropped(params):
    return net(keras.layers.Dropout(0.1))


class Rounds(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        for variable in self.model.trainable_variables:
            variable.assign(keras.ops.round(variable * 4) / 4)


def rounded():
    return [Rounds()]


KEPT = {}


def that_sets_a_global(params):
    KEPT["share"] = 1 / params["value"]
    return net()


class Shrinks(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        for variable in self.model.trainable_variables:
            variable.assign(variable * KEPT["share"])


def shrinking():
    return [Shrinks()]


def rated():
    return [keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.02 * KEPT["share"])]


def rounded_by_lambda():
    hook = keras.callbacks.LambdaCallback()
    hook.on_epoch_end = lambda epoch, logs: Rounds.on_epoch_end(hook, epoch)
    return [hook]
"""

HIDDEN = [
    *("adapted", "boundaries", "without_decay", "without_decay_by_name", "closure", "partial", "global_of_module"),
    *("attribute", "array", "of_class", "in_object", "made_class", "frozen_after_compile", "branch_on_slot"),
]
POINTS = [{"value": 1.5}, {"value": 4.0}, {"value": 1.5}]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "shared_programs_user"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def training_of(module: str, build: str, trainer: str, *callbacks: str, data: str = "load") -> LoadedStudy:
    return LoadedStudy(
        StudySpec.model_validate(
            {
                "name": "shared",
                "model": f"{module}:{build}",
                "data": f"{module}:{data}",
                "callbacks": [f"{module}:{name}" for name in callbacks],
                "space": {"value": {"type": "float", "low": 1.0, "high": 5.0}},
                "objective": {"metric": "val_loss", "direction": "minimize"},
                "sampler": "random",
                "pruner": "none",
                "max_epochs": EPOCHS,
                "batch_size": 16,
                "budget": {"trials": 1},
                "trainer": trainer,
            }
        )
    )


def train(training: LoadedStudy, folder: Path, number: int, params: Mapping[str, Any]) -> list[dict[str, float]]:
    listener = PausingLink(EPOCHS)
    assignment = Assignment(trial=number, attempt=1, params=params, seed=5, from_epoch=0, until_epoch=EPOCHS)
    outcome = training.run(assignment, listener, folder=str(folder), resume_uri=None)
    assert outcome.failure is None, outcome.failure
    assert not outcome.reason_for_fit, outcome.reason_for_fit
    return listener.epochs


def train_all(training: LoadedStudy, folder: Path) -> list[list[dict[str, float]]]:
    points = POINTS if training.spec.trainer == "auto" else POINTS[:2]  # the last is the first again
    return [train(training, folder, number, params) for number, params in enumerate(points)]


def assert_same(ours: list[list[dict[str, float]]], plain: list[list[dict[str, float]]]) -> None:
    for mine, theirs in zip(ours, [*plain, plain[0]], strict=False):
        for epoch, expected in zip(mine, theirs, strict=True):
            assert epoch == pytest.approx(expected, rel=3e-4, abs=1e-5)


@pytest.mark.parametrize("build", HIDDEN)
def test_what_a_parameter_hides_from_keras_is_trained_as_fit_trains_it(build: str, module: str, tmp_path: Path) -> None:
    ours = train_all(training_of(module, build, "auto"), tmp_path)
    plain = train_all(training_of(module, build, "fit"), tmp_path)
    assert abs(ours[0][-1]["loss"] / ours[1][-1]["loss"] - 1) > 2e-4, "the parameter does nothing: nothing is shown"
    assert_same(ours, plain)


def test_a_metric_that_is_never_reset_begins_anew_with_each_trial(module: str, tmp_path: Path) -> None:
    training = training_of(module, "remembers", "auto")
    ours = train_all(training, tmp_path)
    assert training.programs == 1
    assert_same(ours, train_all(training_of(module, "remembers", "fit"), tmp_path))


def test_models_with_layers_of_ones_own_share_a_program_where_only_variables_differ(
    module: str, tmp_path: Path
) -> None:
    training = training_of(module, "plain_layer_of_ones_own", "auto")
    ours = train_all(training, tmp_path)
    assert training.programs == 1
    assert_same(ours, train_all(training_of(module, "plain_layer_of_ones_own", "fit"), tmp_path))


@pytest.mark.parametrize(("build", "data"), [("plain", "weighted"), ("with_a_step_of_its_own", "load")])
def test_an_epoch_reports_what_fit_does(build: str, data: str, module: str, tmp_path: Path) -> None:
    """Weights in a column, which Keras matches with the losses by their shapes; a step that one model has."""
    ours, plain = (
        train(training_of(module, build, trainer, data=data), tmp_path, 0, POINTS[0]) for trainer in ("auto", "fit")
    )
    assert_same([ours], [plain])


@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "jax", reason="JAX has no texts")
def test_models_with_a_look_up_table_share_a_program(module: str, tmp_path: Path) -> None:
    training = training_of(module, "look_up", "auto", data="words")
    ours = train_all(training, tmp_path)
    assert training.programs == 1
    assert ours[0] == ours[2]
    assert ours[0] != ours[1]


def test_what_a_callback_changes_before_the_first_step_is_trained_and_stays_with_its_trial(
    module: str, tmp_path: Path
) -> None:
    ours = train_all(training_of(module, "dropped", "auto", "turned"), tmp_path)
    plain = train_all(training_of(module, "dropped", "fit", "turned"), tmp_path)
    unchanged = train_all(training_of(module, "dropped", "auto"), tmp_path)
    assert_same(ours, plain)
    assert ours[0][0]["loss"] != pytest.approx(unchanged[0][0]["loss"], rel=1e-3)


@pytest.mark.parametrize("build", ["adapted", "without_decay", "attribute", "closure"])
def test_what_a_walk_overlooked_is_found_when_a_program_is_lent(
    build: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "_digest_of", lambda tokens: "the same for all")
    training = training_of(module, build, "auto")
    notes: list[str] = []
    take = training.source.take_notes
    monkeypatch.setattr(training.source, "take_notes", lambda: notes.extend(took := take()) or took)
    assert_same(train_all(training, tmp_path), train_all(training_of(module, build, "fit"), tmp_path))
    assert [note for note in notes if note.startswith("trial 1 does not share a program, because the program")]
    assert training.programs == 3, "what was found once is asked again for no later trial"


@pytest.mark.parametrize("trainer", ["auto", "fit"])
@pytest.mark.parametrize("callbacks", ["swapped", "rounded", "rounded_by_lambda"])
def test_the_saved_model_has_the_weights_that_were_evaluated_whatever_callbacks_make_of_them(
    callbacks: str, trainer: str, module: str, tmp_path: Path
) -> None:
    training, keeps = training_of(module, "averaged", trainer, callbacks), Keeps(EPOCHS)
    assignment = Assignment(trial=0, attempt=1, params=POINTS[0], seed=5, from_epoch=0, until_epoch=EPOCHS)
    outcome = training.run(assignment, keeps, folder=str(tmp_path), resume_uri=None)
    assert outcome.model_uri is not None, outcome.failure
    scored = training.evaluate(outcome.model_uri, POINTS[0], "validation")
    assert scored["loss"] == pytest.approx(keeps.epochs[-1]["val_loss"], rel=1e-5)


@pytest.mark.parametrize("callbacks", ["shrinking", "rated"])
def test_callbacks_of_a_resumed_trial_read_the_globals_that_its_own_builder_sets(
    callbacks: str, module: str, tmp_path: Path
) -> None:
    training, first = training_of(module, "that_sets_a_global", "auto", callbacks), PausingLink(1, pauses=True)
    assignment = Assignment(trial=0, attempt=1, params=POINTS[0], seed=5, from_epoch=0, until_epoch=1)
    training.run(assignment, first, folder=str(tmp_path), resume_uri=None)
    training.wait_for_checkpoints()
    train(training, tmp_path, 1, POINTS[1])
    second = PausingLink(EPOCHS)
    goes_on = dataclasses.replace(assignment, from_epoch=1, until_epoch=EPOCHS, checkpoint_of=0)
    training.run(goes_on, second, folder=str(tmp_path), resume_uri=first.checkpoint)
    plain = PausingLink(EPOCHS)
    whole = dataclasses.replace(assignment, until_epoch=EPOCHS)
    training_of(module, "that_sets_a_global", "fit", callbacks).run(whole, plain, folder=str(tmp_path), resume_uri=None)
    assert_same([first.epochs + second.epochs], [plain.epochs])


TWO = """
import keras
import numpy as np


def load():
    x = np.random.default_rng(0).normal(size=(96, 3)).astype("float32")
    return {"train": (x[:64], x[:64, :1]), "validation": (x[64:], x[64:, :1])}


def part():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)])


class Two(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = part(), part()
        self.noise = keras.random.SeedGenerator(3)
        self.gap = keras.metrics.Mean(name="gap")

    @property
    def metrics(self):
        return [self.gap]

    def get_config(self):
        raise RuntimeError("this model cannot say how it was made")

    def compile(self, one, other):
        super().compile()
        self.one, self.other = one, other

    def _gaps(self, data):
        x, y = data
        x = x + 0.01 * keras.random.normal((1, 3), seed=self.noise)
        return [keras.ops.mean((net(x) - y) ** 2) for net in (self.first, self.second)]

    def train_step(self, data):
        import tensorflow as tf

        for net, optimizer, place in ((self.first, self.one, 0), (self.second, self.other, 1)):
            with tf.GradientTape() as tape:
                gap = self._gaps(data)[place]
            optimizer.apply(tape.gradient(gap, net.trainable_variables), net.trainable_variables)
        self.gap.update_state(gap)
        return {"gap": self.gap.result()}

    def test_step(self, data):
        self.gap.update_state(sum(self._gaps(data)))
        return {"gap": self.gap.result()}


def build(params):
    model = Two()
    model.compile(keras.optimizers.Adam(params["value"] / 100), keras.optimizers.SGD(0.05, momentum=0.9))
    return model
"""


def two_optimizers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "two_optimizers_user"
    (tmp_path / f"{name}.py").write_text(TWO)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "jax", reason="the model's step is written for TensorFlow")
@pytest.mark.parametrize("first", ["auto", "fit"])
@pytest.mark.parametrize("then", ["auto", "fit"])
def test_a_model_with_two_optimizers_goes_on_in_another_process_as_if_it_had_never_stopped(
    first: str, then: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, params = two_optimizers(tmp_path, monkeypatch), {"value": 2.0}
    straight = training_of_two(name, "fit")
    whole = PausingLink(EPOCHS)
    run(straight, whole, tmp_path / "straight", params, EPOCHS)
    begun, rest = PausingLink(1, pauses=True), PausingLink(EPOCHS)
    training = training_of_two(name, first)
    run(training, begun, tmp_path / "cut", params, 1)
    training.wait_for_checkpoints()
    run(training_of_two(name, then), rest, tmp_path / "cut", params, EPOCHS, begun.checkpoint)
    assert_same([begun.epochs + rest.epochs], [whole.epochs])


@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "jax", reason="the model's step is written for TensorFlow")
def test_a_model_that_was_never_called_keeps_its_weights_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = training_of_two(two_optimizers(tmp_path, monkeypatch), "auto")
    assignment = Assignment(trial=0, attempt=1, params={"value": 2.0}, seed=5, from_epoch=0, until_epoch=EPOCHS)
    keeps = Keeps(EPOCHS)
    outcome = training.run(assignment, keeps, folder=str(tmp_path), resume_uri=None)
    assert outcome.failure is None, outcome.failure
    assert outcome.model_uri is not None and outcome.model_uri.endswith(".weights.h5")
    assert "its weights are kept" in outcome.notes[0]
    scored = training.evaluate(outcome.model_uri, {"value": 2.0}, "validation")
    assert scored["gap"] == pytest.approx(keeps.epochs[-1]["val_gap"], rel=0.2)  # the noise is another


class Keeps(PausingLink):
    def report(self, measurement: Measurement, *, wait: bool) -> Verdict:
        verdict = super().report(measurement, wait=wait)
        return Verdict(action=verdict.action, until_epoch=EPOCHS, keep_epoch=EPOCHS)


def training_of_two(name: str, trainer: str) -> LoadedStudy:
    return LoadedStudy(
        StudySpec.model_validate(
            {
                "name": "two", "model": f"{name}:build", "data": f"{name}:load", "max_epochs": EPOCHS,
                "space": {"value": {"type": "float", "low": 1.0, "high": 5.0}}, "sampler": "random",
                "objective": {"metric": "val_gap", "direction": "minimize", "epoch": "last"}, "pruner": "none",
                "batch_size": 16, "budget": {"trials": 1}, "trainer": trainer,
            }
        )
    )  # fmt: skip


def run(
    training: LoadedStudy, listener: PausingLink, folder: Path, params: Mapping[str, Any], until: int, resume: str = ""
) -> None:
    done = 1 if resume else 0
    assignment = Assignment(
        trial=0, attempt=1 + bool(resume), params=params, seed=5, from_epoch=done, until_epoch=until,
        checkpoint_of=0 if resume else None,
    )  # fmt: skip
    outcome = training.run(assignment, listener, folder=str(folder), resume_uri=resume or None)
    assert outcome.failure is None and outcome.refusal is None, outcome
    assert not outcome.reason_for_fit, outcome.reason_for_fit
    training.wait_for_checkpoints()
