"""A compiled epoch trains what `fit` trains: the same batches give the same losses, whatever the model holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action
from bandstand_spaces import SEARCH_SPACES
from bandstand_workers.training.loaded_study import LoadedStudy

EPOCHS = 3

CODE = """
import keras
import numpy as np
from sklearn.datasets import load_digits

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def load():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    return {"train": (x[:330], y[:330]), "validation": (x[400:550], y[400:550])}


def load_weighted():
    splits = load()
    weights = np.linspace(0.1, 2.0, 330).astype("float32")
    return {"train": (*splits["train"], weights), "validation": splits["validation"]}


def optimizer(params):
    name, rate = params["optimizer"], params["rate"]
    clip = {"none": {}, "clipnorm": {"clipnorm": 0.5}, "global": {"global_clipnorm": 0.5}, "value": {"clipvalue": 0.01}}
    options = dict(clip[params.get("clip", "none")])
    if "decay" in params:
        options["weight_decay"] = params["decay"]
    if name == "sgd":
        return keras.optimizers.SGD(rate, momentum=params.get("constant", 0.9), nesterov=True, **options)
    if name == "rmsprop":
        return keras.optimizers.RMSprop(rate / 10, rho=params.get("constant", 0.9), **options)
    if name == "adamw":
        return keras.optimizers.AdamW(rate / 10, beta_1=params.get("constant", 0.9), **options)
    if name == "ema":
        return keras.optimizers.Adam(rate / 10, use_ema=True, ema_overwrite_frequency=4, **options)
    if name == "schedule":
        return keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(rate, 5, 0.9), **options)
    return keras.optimizers.Adam(
        rate / 10, beta_1=params.get("constant", 0.9), beta_2=params.get("constant_2", 0.999), **options
    )


def build(params):
    feature = params.get("feature", "plain")
    layers = [keras.Input((64,))] if params.get("input", True) else []
    penalty = {
        "l2": keras.regularizers.L2(params.get("penalty", 1e-3)),
        "l1": keras.regularizers.L1(params.get("penalty", 1e-4)),
        "l1l2": keras.regularizers.L1L2(params.get("penalty", 1e-4), 1e-3),
    }.get(feature)
    policy = {"float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}.get(feature)
    layers.append(keras.layers.Dense(24, activation="relu", kernel_regularizer=penalty, dtype=policy))
    if feature in ("dropout", "float16", "bfloat16"):
        layers.append(keras.layers.Dropout(params.get("dropout", 0.3), dtype=policy))
    if feature == "batch_norm":
        layers.append(keras.layers.BatchNormalization())
    layers.append(keras.layers.Dense(10, dtype="float32"))
    model = (Own if feature in ("own_step", "own_logs") else keras.Sequential)(layers)
    model.extra = feature == "own_logs"
    model.compile(optimizer(params), loss=LOSS, metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(3)])
    return model


def build_slow(params):
    return build(params | {"rate": params["rate"] / 50, "feature": "own_logs"})


class Own(keras.Sequential):
    def train_step(self, *arguments):  # (data) on TensorFlow, (state, data) on JAX
        result = super().train_step(*arguments)
        if not self.extra:
            return result
        extra = {"first": keras.ops.sum(arguments[-1][0][0])}
        return result | extra if isinstance(result, dict) else (result[0] | extra, result[1])
"""


class Listener:
    """Answers every report with CONTINUE until the last epoch; notes what was reported."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def report(self, measurement: Measurement, *, wait: bool) -> Verdict:
        self.epochs.append(dict(measurement.metrics))
        last = measurement.epoch == EPOCHS
        return Verdict(action=Action.STOP if last else Action.CONTINUE, until_epoch=EPOCHS)

    def checkpointed(self, epoch: int, uri: str, error: str | None) -> None:
        raise AssertionError("no checkpoint was asked for")


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "compiled_user.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "compiled_user", raising=False)
    return "compiled_user"


def spec_for(model: str, data: str, trainer: str, **settings: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "compiled",
            "model": model,
            "data": data,
            "space": {"unused": {"type": "float", "low": 0.0, "high": 1.0}},
            "objective": {"metric": "val_loss", "direction": "minimize"},
            "sampler": "random",
            "pruner": "none",
            "max_epochs": EPOCHS,
            "batch_size": 32,
            "budget": {"trials": 1},
            "trainer": trainer,
        }
        | settings
    )


def curves(
    training: LoadedStudy, folder: Path, *trials: Mapping[str, Any], seed: int = 5
) -> list[list[dict[str, float]]]:
    """What each trial's epochs reported, trained one after the other."""
    reported = []
    for number, params in enumerate(trials):
        listener = Listener()
        assignment = Assignment(
            trial=number, attempt=1, params=params, seed=seed + number, from_epoch=0, until_epoch=EPOCHS
        )
        outcome = training.run(assignment, listener, folder=str(folder), resume_uri=None)
        assert outcome.failure is None, outcome.failure
        assert outcome.reason_for_fit is None
        reported.append(listener.epochs)
    return reported


def assert_same(mine: list[dict[str, float]], fits: list[dict[str, float]], tolerance: float = 2e-4) -> None:
    assert len(mine) == len(fits) == EPOCHS
    for ours, theirs in zip(mine, fits, strict=True):
        assert list(ours) == list(theirs)
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, rel=tolerance, abs=tolerance), name


FEATURES = ("plain", "dropout", "batch_norm", "l2", "l1", "l1l2", "float16", "bfloat16", "own_step", "own_logs")
OPTIMIZERS = ("sgd", "rmsprop", "adam", "adamw", "ema", "schedule")
CASES = [
    *({"optimizer": "adam", "feature": feature} for feature in FEATURES),
    *({"optimizer": optimizer, "feature": "dropout"} for optimizer in OPTIMIZERS),
    *({"optimizer": "sgd", "clip": clip} for clip in ("clipnorm", "global", "value")),
    {"optimizer": "sgd", "feature": "batch_norm", "input": False},
]


@pytest.mark.parametrize("params", CASES, ids=lambda params: "-".join(str(value) for value in params.values()))
def test_an_epoch_has_the_losses_of_fit_on_the_same_batches(
    params: dict[str, Any], user_module: str, tmp_path: Path
) -> None:
    params = {"rate": 0.05} | params
    both = [
        curves(LoadedStudy(spec_for(f"{user_module}:build", f"{user_module}:load", trainer)), tmp_path, params)
        for trainer in ("compiled", "fit")
    ]
    # In half precision each product is rounded to 3 digits, and the order of sums differs.
    half = params.get("feature") in ("float16", "bfloat16")
    assert_same(both[0][0], both[1][0], 2e-2 if half else 2e-4)


SHARED = [
    ("learning rate", {"optimizer": "adam"}, {"rate": 0.01}),
    ("momentum", {"optimizer": "sgd"}, {"constant": 0.4}),
    ("rho", {"optimizer": "rmsprop"}, {"constant": 0.4}),
    ("beta_1", {"optimizer": "adam"}, {"constant": 0.5}),
    ("beta_2", {"optimizer": "adam"}, {"constant_2": 0.9}),
    ("AdamW's beta_1", {"optimizer": "adamw"}, {"constant": 0.5}),
    ("AdamW's weight decay", {"optimizer": "adamw", "decay": 0.01}, {"decay": 0.3}),
    ("Adam's weight decay", {"optimizer": "adam", "decay": 0.01}, {"decay": 0.3}),
    ("SGD's weight decay", {"optimizer": "sgd", "decay": 0.01}, {"decay": 0.3}),
    ("RMSprop's weight decay", {"optimizer": "rmsprop", "decay": 0.01}, {"decay": 0.3}),
    ("dropout", {"optimizer": "adam", "feature": "dropout", "dropout": 0.2}, {"dropout": 0.6}),
    ("l2", {"optimizer": "adam", "feature": "l2", "penalty": 1e-4}, {"penalty": 1e-2}),
    ("l1 of l1l2", {"optimizer": "adam", "feature": "l1l2", "penalty": 1e-4}, {"penalty": 1e-2}),
    ("batch norm", {"optimizer": "adam", "feature": "batch_norm"}, {"rate": 0.01}),
    ("moving average of weights", {"optimizer": "ema"}, {"rate": 0.01}),
    ("loss scaling", {"optimizer": "adam", "feature": "float16"}, {"rate": 0.01}),
    ("the user's own class, same params", {"optimizer": "adam", "feature": "own_step"}, {}),
]


@pytest.mark.parametrize(("first", "change"), [case[1:] for case in SHARED], ids=[case[0] for case in SHARED])
def test_a_later_trial_borrows_the_program_and_trains_as_if_it_had_its_own(
    first: dict[str, Any], change: dict[str, Any], user_module: str, tmp_path: Path
) -> None:
    trials = [{"rate": 0.05} | first, {"rate": 0.05} | first | change, {"rate": 0.05} | first]
    training = LoadedStudy(spec_for(f"{user_module}:build", f"{user_module}:load", "compiled"))
    mine = curves(training, tmp_path, *trials)
    baked_in = os.environ.get("KERAS_BACKEND") == "jax" and first == {"optimizer": "rmsprop"}  # rho, on JAX
    assert training.programs == (2 if baked_in else 1)
    fits = curves(LoadedStudy(spec_for(f"{user_module}:build", f"{user_module}:load", "fit")), tmp_path, *trials)
    half = first.get("feature") == "float16"
    for ours, theirs in zip(mine, fits, strict=True):
        assert_same(ours, theirs, 2e-2 if half else 2e-4)
    if change:
        assert mine[0][0]["loss"] != pytest.approx(mine[1][0]["loss"], rel=1e-3)


@pytest.mark.parametrize("validation_batch_size", [None, 40])
def test_one_program_serves_batches_of_any_size(
    validation_batch_size: int | None, user_module: str, tmp_path: Path
) -> None:
    sizes = [32, 50, 400, 32]  # of 330 examples
    trials = [{"optimizer": "sgd", "rate": 0.05, "feature": "batch_norm", "batch": size} for size in sizes]
    settings = {
        "space": {"batch": {"type": "categorical", "choices": sorted(set(sizes))}},
        "batch_size": "batch",
        "validation_batch_size": validation_batch_size,
    }
    compiled, fit = (
        LoadedStudy(spec_for(f"{user_module}:build", f"{user_module}:load", trainer, **settings))
        for trainer in ("compiled", "fit")
    )
    mine, fits = curves(compiled, tmp_path, *trials), curves(fit, tmp_path, *trials)
    assert compiled.programs == 1
    for ours, theirs in zip(mine, fits, strict=True):
        assert_same(ours, theirs)


@pytest.mark.parametrize(
    "change",
    [
        {"constant": 0.0},
        {"clip": "clipnorm"},
        {"optimizer": "adam"},
        {"feature": "dropout"},
        {"input": False},
        {"feature": "own_step"},
        {"feature": "l1"},
    ],
    ids=str,
)
def test_what_changes_the_trace_gets_a_program_of_its_own(
    change: dict[str, Any], user_module: str, tmp_path: Path
) -> None:
    first = {"optimizer": "sgd", "rate": 0.05}
    trials = [first, first | change]
    training = LoadedStudy(spec_for(f"{user_module}:build", f"{user_module}:load", "compiled"))
    mine = curves(training, tmp_path, *trials)
    assert training.programs == 2
    fits = curves(LoadedStudy(spec_for(f"{user_module}:build", f"{user_module}:load", "fit")), tmp_path, *trials)
    for ours, theirs in zip(mine, fits, strict=True):
        assert_same(ours, theirs)


def test_builders_of_two_studies_with_the_same_data_do_not_share_a_model_of_the_users_own_class(
    user_module: str, tmp_path: Path
) -> None:
    """Such a class may hold anything: that it has the same params says nothing about another builder's model."""
    params = {"optimizer": "sgd", "rate": 0.05, "feature": "own_step"}
    first = LoadedStudy(spec_for(f"{user_module}:build", f"{user_module}:load", "compiled"))
    (mine,) = curves(first, tmp_path / "first", params)
    second = LoadedStudy(spec_for(f"{user_module}:build_slow", f"{user_module}:load", "compiled"), first)
    (slow,) = curves(second, tmp_path / "second", params)
    assert second.programs == 2
    assert slow[0]["loss"] != pytest.approx(mine[0]["loss"], rel=1e-3)


def test_every_constant_that_may_become_a_variable_is_held_against_fit() -> None:
    from bandstand_workers.programs.constants import CONSTANTS

    names = {attribute for attributes in CONSTANTS.values() for attribute in attributes}
    assert names == {"rate", "momentum", "weight_decay", "rho", "beta_1", "beta_2", "l1", "l2"}


@pytest.mark.parametrize("family", sorted(SEARCH_SPACES))
def test_each_model_that_comes_along_trains_alike_and_shares_programs_across_its_space(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from bandstand_workers.models import MODELS

    space = SEARCH_SPACES[family]
    trials = [space.sample(np.random.default_rng(number)) for number in range(2)]
    rng = np.random.default_rng(0)
    shape = {"california_mlp": (8,), "digits_mlp": (64,)}.get(family, (28, 28, 1))
    x = rng.random((200, *shape), dtype=np.float32)
    y = x.mean(axis=tuple(range(1, x.ndim)))[:, np.newaxis] if family == "california_mlp" else rng.integers(0, 10, 200)
    data = {"train": (x[:130], y[:130]), "validation": (x[130:], y[130:])}
    module = type(sys)("family_data")
    module.load = lambda: data  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "family_data", module)
    both = [
        curves(LoadedStudy(spec_for(MODELS[family], "family_data:load", trainer)), tmp_path, *trials)
        for trainer in ("compiled", "fit")
    ]
    for ours, theirs in zip(*both, strict=True):
        assert_same(ours, theirs, 1e-3)


def test_sample_weights_count_as_in_fit(user_module: str, tmp_path: Path) -> None:
    params = {"optimizer": "adam", "rate": 0.05}
    both = [
        curves(LoadedStudy(spec_for(f"{user_module}:build", f"{user_module}:load_weighted", trainer)), tmp_path, params)
        for trainer in ("compiled", "fit")
    ]
    assert_same(both[0][0], both[1][0])


ON_JAX = "losses_of_fit or borrows or changes_the_trace or each_model"


@pytest.mark.slow
def test_keras_on_jax_trains_alike_too(tmp_path: Path) -> None:
    if os.environ.get("KERAS_BACKEND") == "jax":
        pytest.skip("this is the run on JAX")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__, "-k", ON_JAX]
    command.append(f"--basetemp={tmp_path / 'inner'}")
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) >= len(CASES) + len(SHARED) + len(SEARCH_SPACES)
    assert "skipped" not in done.stdout
