"""The curves of a study's trials, trained again in one process without any interruption, against those stored.

Knows the trainers' own code (`LoadedStudy`). Must not know coordinators, Ray or a database. A program of its own,
because it imports Keras. It reads `{spec, trials: [{number, params, parent, from_epoch, weights, learning_rates,
metrics}]}` from standard input, and prints `{compared, largest, differing: […]}`.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.strategies.randomness import trial_seed
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action

TOLERANCE = 2e-5
"""Relative, of each metric of each epoch: sums of floats in another order, on as many threads as are free."""


class _Link:
    """Answers as a coordinator would that wants exactly these epochs."""

    def __init__(self, until: int, action: Action):
        self.metrics: list[dict[str, float]] = []
        self.checkpoint: str | None = None
        self._until, self._action = until, action

    def report(self, measurement: Measurement, *, wait: bool) -> Verdict:
        if measurement.metrics:
            self.metrics.append(dict(measurement.metrics))
        action = self._action if measurement.epoch >= self._until else Action.CONTINUE
        return Verdict(action=action, until_epoch=self._until)

    def checkpointed(self, epoch: int, uri: str, error: str | None) -> None:
        self.checkpoint = uri


class _Trainings:
    """The trials of one study, each trained when it is first asked for."""

    def __init__(self, spec: StudySpec, trials: list[dict[str, Any]], folder: Path):
        from bandstand_workers.training.loaded_study import LoadedStudy

        self._spec = spec
        self._trials = {trial["number"]: trial for trial in trials}
        self._folder = folder
        self._study = LoadedStudy(spec)

    def curve(self, number: int) -> list[dict[str, float]]:
        """The metrics of a trial's own epochs, trained in one go."""
        trial = self._trials[number]
        return self._train(number, trial["from_epoch"] + len(trial["metrics"]), Action.STOP).metrics

    def _train(self, number: int, until: int, action: Action) -> _Link:
        trial, link = self._trials[number], _Link(until, action)
        start = trial["from_epoch"]
        resume = self._train(trial["parent"], start, Action.PAUSE).checkpoint if start else None
        folder = self._folder / f"{number}-{until}-{action}"
        self._study.run(
            Assignment(
                trial=number, attempt=1, params=trial["params"], seed=trial_seed(self._spec.seed, number),
                from_epoch=start, until_epoch=until, checkpoint_of=trial["parent"] if start else None,
                weights=trial["weights"], first_epoch=start + 1, learning_rates=tuple(trial["learning_rates"]),
            ),
            link, folder=str(folder), resume_uri=resume,
        )  # fmt: skip
        self._study.wait_for_checkpoints()
        return link


def main() -> None:
    """Compare, and print what came of it."""
    job = json.load(sys.stdin)
    spec = StudySpec.model_validate(job["spec"])
    compared, largest, differing = 0, 0.0, []
    with tempfile.TemporaryDirectory() as folder:
        trainings = _Trainings(spec, job["trials"], Path(folder))
        for trial in job["trials"]:
            curve = trainings.curve(trial["number"])
            for epoch, (stored, again) in enumerate(zip(trial["metrics"], curve, strict=True), trial["from_epoch"] + 1):
                for name, value in stored.items():
                    compared += 1
                    off = abs(value - again[name]) / max(abs(value), 1e-9)
                    largest = max(largest, off)
                    if not math.isclose(value, again[name], rel_tol=TOLERANCE, abs_tol=1e-7):
                        differing.append([trial["number"], epoch, name, value, again[name]])
    print(json.dumps({"compared": compared, "largest": largest, "differing": differing}))


if __name__ == "__main__":
    main()
