"""Records as a store would give them: small ones written by hand, and a synthetic study as large as one likes."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from bandstand.problem.budget import Budget
from bandstand.store.records import StudyRecord
from bandstand.study.study_spec import StudySpec
from bandstand.trials.best import BestTrial, rank_key_of
from bandstand.trials.events import TrialState
from bandstand_spaces import SEARCH_SPACES, Categorical, Float, SearchSpace

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SMALL_SPACE = SearchSpace(
    {
        "learning_rate": Float(1e-4, 1e-1, log=True),
        "optimizer": Categorical(["sgd", "adam"], branches={"sgd": {"momentum": Float(0.0, 0.9)}}),
    }
)


class Run(NamedTuple):
    """One trial: its value after each epoch and how it ended."""

    values: list[float]
    state: str = "complete"
    reason: str = "max_epochs"
    message: str = ""
    params: dict[str, Any] | None = None
    train: list[float] | None = None
    """The training metric; 5 % below the values if left out."""
    bracket: int = 0
    parent: int | None = None
    from_epoch: int = 0
    origin: str = ""


def spec_with(**changes):
    settings = {
        "name": "mine",
        "model": "train:build",
        "data": "train:load",
        "space": SMALL_SPACE,
        "max_epochs": 9,
        "budget": Budget(epochs=100),
    }
    return StudySpec(**(settings | changes))


def record_of(runs, *, spec=None, order=None, state="finished", **changes):
    """A StudyRecord of `runs`; `order` names the trial of each measurement in turn, trial after trial if left out."""
    spec = spec or spec_with()
    order = order if order is not None else [number for number, run in enumerate(runs) for _ in run.values]
    params = [run.params or {"learning_rate": 0.01, "optimizer": "adam"} for run in runs]
    measurements, ended = _measurements(runs, order, spec)
    trials = pd.DataFrame(
        [_trial_row(number, run, ended.get(number, START), spec) for number, run in enumerate(runs)],
        columns=[
            "number", "state", "reason", "message", "value", "best_epoch", "epochs", "seconds", "bracket", "attempts",
            "parent", "from_epoch", "origin", "created_at", "ended_at",
        ],
    )  # fmt: skip
    for name, _, _ in spec.space.flat():
        trials[f"params_{name}"] = [values.get(name) for values in params]
    settings = {
        "spec": spec,
        "budget": spec.budget,
        "state": state,
        "combined": None,
        "replays": [],
        "reason": "the budget is used up" if state == "finished" else "",
        "created_at": START,
        "ended_at": START if state == "finished" else None,
        "wall_seconds": 754.0,
        "gpu_seconds": 0.0,
        "best": _best(trials, params, spec),
        "model_trial": None,
        "test_metrics": None,
        "test_looks": 0,
        "requests": [],
        "environment": {"python": "3.11.7", "keras": "3.15.1"},
        "notices": [],
        "trials": trials,
        "measurements": measurements,
        "attempts": _attempts(trials, measurements),
    }
    return StudyRecord(**(settings | changes))


def _measurements(runs, order, spec):
    rows, reached, ended = [], {}, {}
    for index, number in enumerate(order):
        reached[number] = reached.get(number, 0) + 1
        ended[number] = START + timedelta(seconds=index + 1)
        run, index = runs[number], reached[number] - 1
        value, epoch = run.values[index], run.from_epoch + reached[number]
        train = run.train[index] if run.train else 0.95 * value
        rows.append((number, epoch, value, 2.0, 0.01, 1, ended[number], value, train))
    for number in range(1, len(runs)):  # one without an epoch ends when the one before it does
        ended.setdefault(number, ended.get(number - 1, START))
    metric = spec.objective.metric
    names = [metric, metric.removeprefix("val_")] if metric.startswith("val_") else ["val_loss", "loss"]
    columns = ["trial", "epoch", "value", "seconds", "learning_rate", "attempt", "created_at", *names]
    frame = pd.DataFrame(rows, columns=columns).sort_values(["trial", "epoch"], ignore_index=True)
    return frame, ended


def _trial_row(number, run, ended_at, spec):
    finite = [(spec.objective.sign * value, epoch) for epoch, value in enumerate(run.values, 1) if math.isfinite(value)]
    best_epoch = min(finite)[1] if finite else 0
    epoch = best_epoch if spec.objective.epoch == "best" else len(run.values)
    value = run.values[epoch - 1] if finite and math.isfinite(run.values[epoch - 1]) else None
    living = run.state in ("running", "waiting")
    return [
        number, run.state, run.reason, run.message, value, best_epoch + run.from_epoch * bool(best_epoch),
        len(run.values), 2.0 * len(run.values), run.bracket, 1, run.parent, run.from_epoch, run.origin,
        START, None if living else ended_at,
    ]  # fmt: skip


def _attempts(trials, measurements):
    """One attempt of each trial: from 4 s before its first epoch was there until 1 s after its last."""
    rows = []
    for number, state in zip(trials["number"], trials["state"], strict=True):
        own = measurements.loc[measurements["trial"] == number, "created_at"]
        if own.empty:
            continue
        started, ended = own.iloc[0] - timedelta(seconds=4), own.iloc[-1] + timedelta(seconds=1)
        living = state in ("running", "waiting")
        worker = f"trainer-{number % 2 + 1}"
        rows.append((number, 1, 0, worker, None if living else state, started, None if living else ended))
    columns = ["trial", "attempt", "from_epoch", "worker", "outcome", "started_at", "ended_at"]
    return pd.DataFrame(rows, columns=columns)


def _best(trials, params, spec):
    places = [
        rank_key_of(spec.objective, TrialState(state), value, number)
        for state, value, number in zip(trials["state"], trials["value"], trials["number"], strict=True)
    ]
    places = [place for place in places if place is not None]
    if not places:
        return None
    row = trials.loc[min(places).number]
    return BestTrial(
        number=int(row["number"]),
        params=params[row["number"]],
        value=float(row["value"]),
        epoch=int(row["best_epoch"] if spec.objective.epoch == "best" else row["epochs"]),
        epochs=int(row["epochs"]),
        state=row["state"],
        model_path="/models/best.keras",
    )


def synthetic_study(*, trials, max_epochs, prune, seed=0, spec=None, failures=True, children=False, **changes):
    """A study over the MNIST space with made-up learning curves, four trials at a time, pruned at epochs 1, 3, 9.

    With `children`, the second trial is made that of the first.
    """
    space = SEARCH_SPACES["mnist_mlp"]
    spec = spec or spec_with(
        space=space, max_epochs=max_epochs, sampler="tpe" if prune else "random", pruner="asha" if prune else "none"
    )
    rng = np.random.default_rng(seed)
    runs, order, rungs = [], [], {}
    for number in range(trials):
        params = space.sample(rng)
        curve = _curve(params, max_epochs, rng)
        runs.append(_run(number, params, curve, rungs, rng, prune, failures))
    if children:
        runs[1] = runs[1]._replace(parent=0, origin="from trial 0")
    for start in range(0, trials, 4):
        batch = range(start, min(start + 4, trials))
        steps = [(epoch, number) for number in batch for epoch in range(len(runs[number].values))]
        order += [number for _, number in sorted(steps)]
    return record_of(runs, spec=spec, order=order, **changes)


def _curve(params, max_epochs, rng):
    distance = abs(math.log10(params["learning_rate"]) + 2.6)
    final = 0.18 + 0.11 * distance**1.5 + 0.06 * (params["optimizer"] == "sgd") + 0.15 * (params["dropout"] - 0.2) ** 2
    final += 0.03 * abs(math.log(params["units"] / 200)) + 0.01 * rng.standard_normal()
    rate = 0.35 / (1 + 0.4 * distance)
    epochs = np.arange(1, max_epochs + 1)
    return final + 0.75 * np.exp(-rate * epochs) + 0.006 * rng.standard_normal(max_epochs)


def _run(number, params, curve, rungs, rng, prune, failures):
    if failures and rng.random() < 0.05:
        if rng.random() < 0.4:
            return Run([], "failed", "out_of_memory", "CUDA_ERROR_OUT_OF_MEMORY: 2.1 GiB wanted", params)
        values = [*curve[: rng.integers(0, 4)].tolist(), math.nan]
        message = f"the loss or val_loss was not finite in epoch {len(values)}"
        return Run(values, "failed", "diverged", message, params)
    for rung in (1, 3, 9) if prune else ():
        if rung >= len(curve):
            break
        entered = rungs.setdefault(rung, [])
        entered.append(curve[rung - 1])
        place, quota = sorted(entered).index(curve[rung - 1]) + 1, max(1, len(entered) // 3)
        if place > quota:
            reason = f"rung {rung}: place {place} of {len(entered)}, {quota} may go on"
            return Run(curve[:rung].tolist(), "pruned", reason, "", params)
    return Run(curve.tolist(), params=params)


@pytest.fixture
def run():
    """`Run(values, state, reason, message, params)`."""
    return Run


@pytest.fixture
def make_spec():
    """A small valid StudySpec with the given settings changed."""
    return spec_with


@pytest.fixture
def make_record():
    """A StudyRecord from `Run`s."""
    return record_of


@pytest.fixture
def make_synthetic():
    """A StudyRecord of made-up learning curves."""
    return synthetic_study
