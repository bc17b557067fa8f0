"""A study whose coordinator is the test itself: the same Search and the same writer, without Ray or Keras."""

from __future__ import annotations

import itertools
import math
from types import TracebackType
from typing import Any

import sqlalchemy as sa

from bandstand.search.protocol import Measurement
from bandstand.search.search import Search
from bandstand.store import tables
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from bandstand.submissions import ServerQueue, SubmissionQueue
from bandstand.trials.events import Action

__all__ = ["StagedStudy", "make_spec", "run_job"]

NAMES = (f"staged-{number}" for number in itertools.count())


def make_spec(**changes: Any) -> StudySpec:
    """A small study; a trial's value is what the test says."""
    settings: dict[str, Any] = {
        "name": next(NAMES),
        "model": "train:build",
        "data": "train:load",
        "space": {
            "units": {"type": "int", "low": 16, "high": 256, "step": 16},
            "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
            "optimizer": {
                "type": "categorical",
                "choices": ["sgd", "adam"],
                "when": {"sgd": {"momentum": {"type": "float", "low": 0.0, "high": 0.9}}},
            },
        },
        "objective": {"metric": "val_accuracy", "direction": "maximize"},
        "sampler": "random",
        "pruner": "asha",
        "max_epochs": 9,
        "budget": {"epochs": 60},
    }
    return StudySpec.model_validate(settings | changes)


class StagedStudy:
    """Holds the study's lease for as long as the context lasts."""

    def __init__(self, store: Store, spec: StudySpec):
        self.store, self.spec = store, spec
        self._writer = store.claim(spec, "a test")
        self.search = Search.restore(spec, self._writer.events())
        self._writer.catch_up_mirror(self.search.history)
        self._writer.set_study(state="running")

    def __enter__(self) -> StagedStudy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def flush(self) -> None:
        """Make what has happened durable, for us and for Optuna."""
        events = self.search.take_events()
        rows = self._writer.rows_from(events, self.search.history)
        self._writer.write(rows)
        self._writer.mirror(events, rows)

    def train_one(self, best: float = 0.9, *, epochs: int | None = None, error: str = "") -> bool:
        """A trial up to its end, or to `epochs`, after which it still runs; whether there was one to train.

        Args:
            best: where its learning curve ends.
            epochs: train only so many.
            error: it fails with this after its first epoch.
        """
        assignment = self.search.next()
        if assignment is None:
            return False
        self.flush()  # a worker has it now
        for trained in itertools.count(1):
            epoch = assignment.from_epoch + trained
            value = best * (1 - math.exp(-epoch / 2))
            metrics = {"val_accuracy": value, "accuracy": value, "val_loss": 1 - value, "loss": 1 - value}
            verdict = self.search.report(
                assignment.trial,
                assignment.attempt,
                Measurement(epoch=epoch, metrics=metrics, seconds=0.4, learning_rate=0.01),
            )
            if error:
                self.search.fail(assignment.trial, assignment.attempt, "exception", error)
                break
            if verdict.action is not Action.CONTINUE:
                self.search.finish(assignment.trial, assignment.attempt)
                break
            if trained == epochs:
                break
        self.flush()
        return True

    def set(self, **columns: Any) -> None:
        """Columns of the study's row."""
        self._writer.set_study(**columns)

    def end(self, state: str = "finished", reason: str = "the budget is used up") -> None:
        """The study has ended."""
        self._writer.set_study(state=state, reason=reason, ended_at=sa.func.clock_timestamp())


def run_job(store: Store, name: str, printed: str = "") -> tuple[ServerQueue, str]:
    """Claim what waits under this name, as a server does, and let its job print something; returns the run's id."""
    dispatch = ServerQueue(store, "a test")
    found = SubmissionQueue(store).find(name)
    assert found is not None
    _set_priority(store, name, 10_000)  # it is its turn
    claimed = dispatch.claim(per_user=1000)
    _set_priority(store, name, found.priority)
    assert claimed is not None
    assert claimed.submission.name == name
    dispatch.submitted(claimed.run.id)
    dispatch.append_log(claimed.run.id, 0, printed)
    return dispatch, claimed.run.id


def _set_priority(store: Store, name: str, priority: int) -> None:
    table = tables.submission
    with store.database.connection() as connection, connection.begin():
        connection.execute(sa.update(table).where(table.c.name == name).values(priority=priority))
