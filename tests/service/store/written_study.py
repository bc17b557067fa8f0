"""A study whose decisions the test asks for and writes itself."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from bandstand.search.protocol import Assignment, Measurement
from bandstand.search.search import Search
from bandstand.store.store import Store
from bandstand.store.study_writer import StudyWriter
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action

NAMES = (f"store-{number}" for number in itertools.count())


def make_spec(**changes: Any) -> StudySpec:
    """One that never needs its model or data."""
    settings = {
        "name": next(NAMES),
        "model": "a:build",
        "data": "a:load",
        "space": {
            "optimizer": {
                "type": "categorical",
                "choices": ["sgd", "adam"],
                "when": {"sgd": {"momentum": {"type": "float", "low": 0.0, "high": 0.9}}},
            },
            "zeta": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
            "alpha": {"type": "categorical", "choices": [True, False]},
        },
        "sampler": "tpe",
        "pruner": "asha",
        "max_epochs": 4,
        "budget": {"epochs": 30},
    }
    return StudySpec.model_validate(settings | changes)


def flush(search: Search, writer: StudyWriter, mirror: bool = True) -> None:
    """Write what was decided since, and show it to Optuna."""
    events = search.take_events()
    rows = writer.rows_from(events, search.history)
    writer.write(rows)
    if mirror:
        writer.mirror(events, rows)


def train_one(search: Search, value: float = 0.5, metrics: dict[str, float] | None = None) -> int:
    """A trial from its proposal to its end; returns its number."""
    assignment = search.next()
    assert assignment is not None
    for epoch in itertools.count(assignment.from_epoch + 1):
        verdict = search.report(
            assignment.trial,
            assignment.attempt,
            Measurement(
                epoch=epoch,
                metrics={"val_loss": value, "loss": value} | (metrics or {}),
                seconds=0.1,
                learning_rate=0.01,
            ),
        )
        search.checkpointed(assignment.trial, assignment.attempt, epoch, f"/checkpoints/{epoch}")
        if verdict.action is not Action.CONTINUE:
            break
    search.finish(assignment.trial, assignment.attempt)
    return assignment.trial


def train(store: Store, spec: StudySpec, trials: int, *, end: bool = False, pause: float = 0.0) -> None:
    """Trials of a study as its coordinator would write them."""
    writer = store.claim(spec, "a test")
    try:
        search = Search.restore(writer.spec, writer.events())
        writer.catch_up_mirror(search.history)
        for number in range(trials):
            train_one(search, value=1 / (1 + number))
            flush(search, writer, mirror=False)
            time.sleep(pause)
        if end:
            writer.set_study(state="finished", ended_at=sa.func.clock_timestamp())
    finally:
        writer.close()


def train_lineages(
    store: Store,
    spec: StudySpec,
    value_at: Callable[[Assignment, int], float],
    rate_at: Callable[[Assignment, int], float | None],
) -> None:
    """A whole study whose trials pause, and go on as others, as its coordinator would write it with one trainer.

    Args:
        store: where.
        spec: the study.
        value_at: the objective of a trial after an epoch, counted along its lineage.
        rate_at: the learning rate that is measured then.
    """
    writer = store.claim(spec, "a test")
    try:
        search = Search.restore(writer.spec, writer.events())
        while (given := search.next()) is not None:
            for epoch in itertools.count(given.from_epoch + 1):
                metrics = {spec.objective.metric: value_at(given, epoch)}
                rate = rate_at(given, epoch)
                verdict = search.report(
                    given.trial,
                    given.attempt,
                    Measurement(epoch=epoch, metrics=metrics, seconds=0.1, learning_rate=rate),
                )
                if verdict.action is not Action.CONTINUE:
                    break
            if verdict.action is Action.PAUSE:
                search.checkpointed(given.trial, given.attempt, epoch, f"/checkpoints/{given.trial}/{epoch}")
                search.paused(given.trial, given.attempt)
            else:
                search.finish(given.trial, given.attempt)
        search.conclude()
        flush(search, writer)
        writer.set_study(state="finished", ended_at=sa.func.clock_timestamp())
    finally:
        writer.close()
