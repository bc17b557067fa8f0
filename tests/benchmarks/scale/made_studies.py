"""Large studies, made in minutes: the real Search and the real writer, without anybody who trains.

A study is what its trainers would have left: every event is decided by `Search` and stored by `StudyWriter`, Optuna's
tables too. Only the metrics are made up.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from math import exp
from typing import Any

from bandstand.search.protocol import Assignment, Measurement
from bandstand.search.search import Search
from bandstand.store.store import Store
from bandstand.store.study_writer import StudyWriter
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action

__all__ = ["TrainedStudy", "made_spec", "make_study", "measurement_of"]

_BATCH_TRIALS = 50
"""Trials that run at once, and so the most that one batch begins with."""


def made_spec(name: str, *, trials: int, epochs: int, **settings: Any) -> StudySpec:
    """The spec of a study whose budget is so many trials.

    Args:
        name: its name.
        trials: of its budget.
        epochs: that each trial may have.
        settings: of the spec, in place of those here.
    """
    space = {
        "rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
        "units": {"type": "int", "low": 8, "high": 256},
        "momentum": {"type": "float", "low": 0.0, "high": 0.99},
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd", "rmsprop"]},
    }
    made: dict[str, Any] = {
        "name": name, "model": "a:build", "data": "a:load", "sampler": "random", "pruner": "none",
        "max_epochs": epochs, "space": space, "budget": {"trials": trials},
    }  # fmt: skip
    return StudySpec.model_validate(made | settings)


def measurement_of(given: Assignment, epoch: int) -> Measurement:
    """What an epoch of a trial gives: a curve that falls to where its rate leads, the same whenever it is asked for."""
    noise = ((given.trial * 7919 + epoch * 104729) % 1000) / 20_000
    floor = 0.2 + abs(float(given.params["rate"]) - 0.03)
    loss = floor + exp(-epoch / 6) + noise
    metrics = {"loss": loss - 0.05, "accuracy": exp(-loss), "val_loss": loss, "val_accuracy": exp(-loss - 0.02)}
    return Measurement(epoch=epoch, metrics=metrics, seconds=0.5, learning_rate=float(given.params["rate"]))


@dataclass
class TrainedStudy:
    """A search and who trains for it: `at_once` trials at a time, an epoch of each in turn."""

    search: Search
    at_once: int

    def rounds(self) -> Iterator[None]:
        """Train on; between two rounds, events wait to be stored. Ends when the study has no work left."""
        under_way: dict[int, tuple[Assignment, int]] = {}
        while True:
            while len(under_way) < self.at_once and (given := self.search.next()) is not None:
                under_way[given.trial] = given, given.from_epoch
            if not under_way:
                return
            for number, (given, epoch) in list(under_way.items()):
                if self._trains_on(given, epoch + 1):
                    under_way[number] = given, epoch + 1
                else:
                    del under_way[number]
            yield

    def _trains_on(self, given: Assignment, epoch: int) -> bool:
        verdict = self.search.report(given.trial, given.attempt, measurement_of(given, epoch))
        if verdict.action is Action.CONTINUE:
            return True
        if verdict.action is Action.PAUSE:
            self.search.checkpointed(given.trial, given.attempt, epoch, f"memory://{given.trial}/{epoch}")
            self.search.paused(given.trial, given.attempt)
        else:
            self.search.finish(given.trial, given.attempt)
        return False


def make_study(
    store: Store, spec: StudySpec, *, until_trials: int | None = None, at_once: int = _BATCH_TRIALS
) -> float:
    """Make a study as its trainers would have left it; returns the seconds that it took.

    Args:
        store: where.
        spec: the study.
        until_trials: from so many trials on, it is left as a killed coordinator would leave it; None: it is concluded.
        at_once: trials that run at the same time.
    """
    began = time.perf_counter()
    with closing(store.claim(spec, "a benchmark")) as writer:
        search = Search(spec)
        search.begin()
        for _ in TrainedStudy(search, at_once).rounds():
            search.spend(wall_seconds=0.5)
            _store(search, writer)
            if until_trials is not None and len(search.history.trials) >= until_trials:
                break
        if until_trials is None:
            search.conclude()
            _store(search, writer)
            writer.set_study(state="finished")
    return time.perf_counter() - began


def _store(search: Search, writer: StudyWriter) -> None:
    events = search.take_events()
    rows = writer.rows_from(events, search.history)
    writer.write(rows)
    writer.mirror(events, rows)
