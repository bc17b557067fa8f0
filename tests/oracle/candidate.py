"""Bandstand: the same points as trials, in a schedule's order, with models lent, paused and resumed.

Knows `LoadedStudy`. Must not know how plain Keras trains.
"""

from __future__ import annotations

import math
import traceback
from pathlib import Path
from typing import Any

import keras

from bandstand.errors import InputError
from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action
from bandstand_workers.training.loaded_study import LoadedStudy
from tests.oracle.programs import Program
from tests.oracle.results import Result
from tests.oracle.schedules import Piece, Trial

__all__ = ["TrialState", "train_pieces"]


class TrialState:
    """A trial between its pieces."""

    def __init__(self) -> None:
        self.result = Result()
        self.checkpoint: tuple[int, str] | None = None  # epoch and place
        self.over = False


class _Link:
    """Answers as a coordinator would; the trial's best epoch and its end are wanted."""

    def __init__(self, state: TrialState, until_epoch: int, max_epochs: int):
        self._state, self._until, self._max = state, until_epoch, max_epochs
        self.checkpoint_error: str | None = None

    def report(self, measurement: Measurement, *, wait: bool) -> Verdict:
        epochs = self._state.result.epochs
        if measurement.metrics:
            epochs.append(dict(measurement.metrics))
        values = [epoch["val_loss"] for epoch in epochs]
        best = min(range(len(values)), key=lambda index: (math.isnan(values[index]), values[index])) + 1
        if measurement.ended or measurement.epoch >= self._max or not math.isfinite(values[-1]):
            self._state.over = True
            return Verdict(action=Action.STOP, until_epoch=self._max, keep_epoch=best, keep_end=True)
        if measurement.epoch >= self._until:
            return Verdict(action=Action.PAUSE, until_epoch=self._until)
        return Verdict(action=Action.CONTINUE, until_epoch=self._until)

    def checkpointed(self, epoch: int, uri: str, error: str | None) -> None:
        self.checkpoint_error = error
        self._state.checkpoint = (epoch, uri)


def _spec_for(program: Program) -> StudySpec:
    space = {name: {"type": "categorical", "choices": _choices(values)} for name, values in program.space.items()}
    return StudySpec.model_validate(
        {
            "name": program.module,
            "model": f"{program.module}:build",
            "data": f"{program.module}:load",
            "callbacks": [f"{program.module}:callbacks"] if program.has_callbacks else [],
            "space": space or {"unused": {"type": "float", "low": 0.0, "high": 1.0}},
            "sampler": "random",
            "pruner": "none",
            "max_epochs": program.epochs,
            "batch_size": program.batch_size,
            "budget": {"trials": 1},
            "trainer": "auto",
        }
    )


def _choices(values: tuple[Any, ...]) -> list[Any]:
    """As a space takes them; what a trial is given is the value itself."""
    return [
        " ".join(map(str, value)) if isinstance(value, list) else value for value in dict.fromkeys(map(_key, values))
    ]


def _key(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def train_pieces(
    program: Program, pieces: list[Piece], states: dict[int, TrialState], folder: Path, earlier: LoadedStudy | None
) -> LoadedStudy | None:
    """Train a program's pieces in this process; what they show is added to the states.

    Returns:
        The training, for the next program in this process.
    """
    keras.config.set_dtype_policy("float32")
    try:
        training = LoadedStudy(_spec_for(program), earlier)
    except InputError as error:
        for piece in pieces:
            states[piece.trial.number].result.error = f"InputError: {error}"
        return earlier
    for piece in pieces:
        state = states[piece.trial.number]
        if state.over or state.result.error:
            continue
        try:
            _train(program, training, piece, state, folder)
        except Exception:  # noqa: BLE001  # that it raises is a finding
            state.result.error = traceback.format_exc()[-3000:]
    return training


def _train(program: Program, training: LoadedStudy, piece: Piece, state: TrialState, folder: Path) -> None:
    trial: Trial = piece.trial
    point = program.points[trial.point]
    from_epoch, uri = state.checkpoint or (0, None)
    assignment = Assignment(
        trial=trial.number,
        attempt=1,
        params=point.params,
        seed=point.seed,
        from_epoch=from_epoch,
        until_epoch=piece.until_epoch,
        checkpoint_of=trial.number if uri else None,
    )
    link = _Link(state, piece.until_epoch, program.epochs)
    place = f"{folder}/{program.module}/{trial.number}"
    outcome = training.run(assignment, link, folder=place, resume_uri=uri)
    training.wait_for_checkpoints()
    result = state.result
    result.reason_for_fit, result.is_compiled = outcome.reason_for_fit or "", bool(outcome.program_signature)
    result.unkept += outcome.unkept + tuple(note for note in outcome.notes if "may differ" in note)
    refused = None if outcome.refusal is None else outcome.refusal.reason
    detail = None if outcome.failure is None else outcome.failure.detail[-3000:]
    result.error = detail or refused or link.checkpoint_error or ""
    if outcome.end_uri:
        end = training.checkpoint_keeper.load(outcome.end_uri)
        result.variables = [("", value) for value in end.variables]
    if outcome.model_uri and trial.number == 0:
        training._contexts._seed_of = lambda trial: point.seed  # the oracle's points have seeds of their own
        result.score = training.evaluate(outcome.model_uri, point.params, "validation")
