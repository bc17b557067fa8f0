"""Ninety short trainings and what becomes of each when it trains on, and with half and with twice its regularization.

The trainings come from ten small studies of nine random configurations each. The rules of the diagnosis were chosen
with six of each study in view; the other three were recorded afterwards. What helps is measured on examples that
neither training nor validation has seen, with three seeds an arm, so that a verdict on the curves can be checked
against what really happened.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.contenders.traced_loop import epoch_loop
from tests.benchmarks.measuring.cells import run_cell
from tests.benchmarks.measuring.results import Section

__all__ = ["ARMS", "RECORDED", "STUDIES", "Setting", "SmallStudy", "main", "settings_of"]

RECORDED = Path(__file__).parents[1] / "service" / "report" / "curves" / "recorded.json.gz"
ARMS = ("base", "longer", "less", "more")
"""As it is; as many epochs again; half the regularization and twice the width; the reverse."""
SEEDS = 3
LATE = 3
"""A training's result is the mean of so many last epochs."""
CONFIGURATIONS = {False: 6, True: 3}
"""Of each study, by whether they are held out."""


@dataclass(frozen=True, kw_only=True)
class SmallStudy:
    """Data, an objective and a number of epochs, as the trials of a study have them in common."""

    name: str
    data: str
    train: int  # examples
    validation: int  # examples
    epochs: int
    metric: str  # of the objective, as Keras logs it
    flipped: float = 0.0  # share of labels that are drawn anew
    seed: int = 0


STUDIES = (
    SmallStudy(name="digits", data="digits", train=700, validation=270, epochs=40, metric="val_accuracy", seed=1),
    SmallStudy(name="few digits", data="digits", train=300, validation=200, epochs=40, metric="val_loss", seed=2),
    SmallStudy(name="mnist", data="mnist", train=1000, validation=500, epochs=30, metric="val_accuracy", seed=3),
    SmallStudy(name="few mnist", data="mnist", train=200, validation=200, epochs=60, metric="val_loss", seed=4),
    SmallStudy(
        name="fashion", data="fashion_mnist", train=2000, validation=1000, epochs=12, metric="val_accuracy", seed=5
    ),
    SmallStudy(
        name="noisy fashion", data="fashion_mnist", train=600, validation=300, epochs=30, metric="val_loss",
        flipped=0.3, seed=6,
    ),
    SmallStudy(name="california", data="california", train=2000, validation=1000, epochs=30, metric="val_loss", seed=7),
    SmallStudy(
        name="few california", data="california", train=300, validation=300, epochs=50,
        metric="val_mean_absolute_error", seed=8,
    ),
    SmallStudy(
        name="xor", data="xor", train=1000, validation=300, epochs=30, metric="val_accuracy", flipped=0.2, seed=9
    ),
    SmallStudy(name="friedman", data="friedman", train=400, validation=200, epochs=50, metric="val_loss", seed=10),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The params of one training."""

    units: int
    layers: int
    dropout: float
    weight_decay: float
    optimizer: str
    learning_rate: float
    batch_size: int

    def regularized(self, factor: float) -> Setting:
        """With `factor` times the dropout and weight decay, and the width divided by it."""
        return replace(
            self,
            dropout=min(0.9, factor * self.dropout),
            weight_decay=factor * self.weight_decay,
            units=max(1, round(self.units / factor)),
        )


def settings_of(study: SmallStudy, *, held_out: bool) -> list[Setting]:
    """The study's configurations, as random search would draw them."""
    rng = np.random.default_rng(study.seed + 1000 * held_out)
    return [_draw(rng) for _ in range(CONFIGURATIONS[held_out])]


def _draw(rng: np.random.Generator) -> Setting:
    optimizer = str(rng.choice(["SGD", "Adam"]))
    low, high = (-3.0, 0.0) if optimizer == "SGD" else (-4.5, -1.3)
    return Setting(
        units=int(2 ** rng.uniform(2, 8)),
        layers=int(rng.integers(1, 4)),
        dropout=float(rng.choice([0.05, 0.1, 0.2, 0.4])),
        weight_decay=float(10 ** rng.uniform(-4, -1)),
        optimizer=optimizer,
        learning_rate=float(10 ** rng.uniform(low, high)),
        batch_size=int(rng.choice([32, 128])),
    )


# -- data --------------------------------------------------------------------------------------------------------------

Arrays = dict[str, tuple[Any, Any]]


def _load(study: SmallStudy) -> Arrays:
    """Training, validation and as many test examples as there are, up to 4,000; float32 features, one row each."""
    rng = np.random.default_rng(100 + study.seed)
    x, y = _made(study.data, rng) if study.data in ("xor", "friedman") else _stored(study.data)
    order = rng.permutation(len(x))
    x, y = x[order], y[order]
    if study.flipped:
        chosen = rng.random(len(y)) < study.flipped
        y[chosen] = rng.integers(0, int(y.max()) + 1, int(chosen.sum()))
    ends = np.cumsum([study.train, study.validation, 4000])
    parts = [slice(0, ends[0]), slice(ends[0], ends[1]), slice(ends[1], ends[2])]
    return {name: (x[part], y[part]) for name, part in zip(("train", "validation", "test"), parts, strict=True)}


def _stored(name: str) -> tuple[Any, Any]:
    from importlib import import_module

    splits = import_module(f"bandstand_workers.datasets.{name}").load()
    x = np.concatenate([splits[part][0] for part in ("train", "validation", "test")])
    y = np.concatenate([splits[part][1] for part in ("train", "validation", "test")])
    return x.reshape(len(x), -1).astype(np.float32), y


def _made(name: str, rng: np.random.Generator) -> tuple[Any, Any]:
    """Noisy parity of two of ten features, or Friedman's first function with unit noise (Friedman, 1991)."""
    if name == "xor":
        x = rng.standard_normal((6000, 10)).astype(np.float32)
        return x, (x[:, 0] * x[:, 1] > 0).astype(np.int32)
    x = rng.random((5000, 10)).astype(np.float32)
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return x, (y + rng.standard_normal(len(y))).astype(np.float32)[:, None]


def _baseline(study: SmallStudy, data: Arrays) -> float:
    """The objective on the test examples of a model that answers the same whatever it is shown."""
    (_, known), (_, asked) = data["train"], data["test"]
    if known.dtype.kind == "f":
        off = asked - (np.median(known) if "absolute" in study.metric else known.mean())
        return float(np.abs(off).mean() if "absolute" in study.metric else (off**2).mean())
    shares = np.bincount(known, minlength=int(known.max()) + 1) / len(known)
    if "accuracy" in study.metric:
        return float((asked == shares.argmax()).mean())
    return float(-np.log(np.maximum(shares, 1e-7))[asked].mean())


# -- training ----------------------------------------------------------------------------------------------------------


def _make_model(setting: Setting, data: Arrays) -> Any:
    import keras

    x, y = data["train"]
    classes = 0 if y.dtype.kind == "f" else int(y.max()) + 1
    hidden = []
    for _ in range(setting.layers):
        hidden += [keras.layers.Dense(setting.units, activation="relu"), keras.layers.Dropout(setting.dropout)]
    last = keras.layers.Dense(classes or 1, activation="softmax" if classes else None)
    model = keras.Sequential([keras.Input(x.shape[1:]), *hidden, last])
    more = {"momentum": 0.9} if setting.optimizer == "SGD" else {}
    make = getattr(keras.optimizers, setting.optimizer)
    model.compile(
        make(setting.learning_rate, weight_decay=setting.weight_decay, **more),
        loss="sparse_categorical_crossentropy" if classes else "mean_squared_error",
        metrics=["accuracy"] if classes else ["mean_absolute_error"],
    )
    return model


class _Trainer:
    """One architecture with its traced programs, trained from as many fresh starts as one likes."""

    def __init__(self, setting: Setting, data: Arrays):
        import keras
        import tensorflow as tf

        from bandstand_workers.internals.keras_parts import build_symbolically

        keras.utils.set_random_seed(0)
        self._setting, self._data = setting, data
        self._model = _make_model(setting, data)
        tensors = {name: tuple(tf.constant(array) for array in part) for name, part in data.items()}
        size = setting.batch_size
        build_symbolically(self._model, tuple(tensor[:size] for tensor in tensors["train"]))
        self._train = epoch_loop(self._model.train_step, tensors["train"], size, shuffle=True)
        self._measure = {
            "val_": epoch_loop(self._model.test_step, tensors["validation"], 512, shuffle=False),
            "test_": epoch_loop(self._model.test_step, tensors["test"], 512, shuffle=False),
        }

    def train(self, seed: int, epochs: int) -> list[dict[str, float]]:
        """The logs of every epoch, those of the test examples as test_…."""
        import keras

        keras.utils.set_random_seed(seed)
        self._model.set_weights(_make_model(self._setting, self._data).get_weights())
        rate = float(self._setting.learning_rate)
        for variable in self._model.optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        self._model.optimizer.learning_rate = rate
        return [self._epoch() for _ in range(epochs)]

    def _epoch(self) -> dict[str, float]:
        logs = {}
        for prefix, run in (("", self._train), *self._measure.items()):
            self._model.reset_metrics()
            run()
            logs |= {f"{prefix}{name}": float(value) for name, value in self._model.get_metrics_result().items()}
        return logs


def record_study(index: int, held_out: bool) -> list[dict[str, Any]]:
    """All trainings of `STUDIES[index]`: curves of the first seed, and the test results of every arm and seed."""
    study = STUDIES[index]
    data = _load(study)
    baseline = _baseline(study, data)
    return [
        {"study": study.name, "held_out": held_out, "metric": study.metric, "baseline": baseline}
        | {"setting": asdict(setting)}
        | _record(study, setting, data)
        for setting in settings_of(study, held_out=held_out)
    ]


def _record(study: SmallStudy, setting: Setting, data: Arrays) -> dict[str, Any]:
    base = _Trainer(setting, data)
    runs = [base.train(seed, 2 * study.epochs) for seed in range(SEEDS)]
    short = [run[: study.epochs] for run in runs]
    less, more = (
        [trainer.train(SEEDS + seed, study.epochs) for seed in range(SEEDS)]
        for trainer in (_Trainer(setting.regularized(factor), data) for factor in (0.5, 2.0))
    )
    name = study.metric.removeprefix("val_")
    results = {
        arm: [float(np.mean([logs[f"test_{name}"] for logs in run[-LATE:]])) for run in made]
        for arm, made in zip(ARMS, (short, runs, less, more), strict=True)
    }
    kept = [key for key in short[0][0] if not key.startswith("test_")]
    curves = {key: [_rounded(logs[key]) for logs in short[0]] for key in kept}
    return {"curves": curves, "results": {arm: [_rounded(value) for value in found] for arm, found in results.items()}}


def _rounded(value: float) -> float | str:
    """With six digits; JSON has no numbers that are not finite."""
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)


def main(repeats: int, peers: bool) -> Section:
    """Train all, and keep curves and results where the tests read them. Takes half an hour on two quiet cores."""
    del repeats, peers
    records = list(_records())
    content = json.dumps({"records": records}, separators=(",", ":")).encode()
    RECORDED.write_bytes(gzip.compress(content, mtime=0))
    size = len(RECORDED.read_bytes()) / 1000
    return Section(
        title="Trainings for the diagnosis of curves",
        lines=[f"{len(records)} trainings, {size:.0f} kB in {RECORDED.name}"],
    )


def _records() -> Iterator[dict[str, Any]]:
    for held_out in CONFIGURATIONS:
        for index, study in enumerate(STUDIES):
            print(f"  {study.name}", flush=True)
            yield from run_cell(record_study, index, held_out)
