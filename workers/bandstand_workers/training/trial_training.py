"""The training of one assignment, by a model that was made for it: resume, epochs, checkpoints, the model kept.

Knows Keras and what an assignment asks for. Must not know how models are made, nor how a report travels (`EpochLink`).
"""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras

from bandstand import stored_files
from bandstand.errors import one_line
from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action
from bandstand_workers import keras_session
from bandstand_workers.messages import EpochLink, Outcome, TrialUnwantedError
from bandstand_workers.programs.loop import train_epochs
from bandstand_workers.programs.reuse.kept_models import KeptModel
from bandstand_workers.training import checkpoints
from bandstand_workers.training.callbacks import FollowLearningRates, KeepEvaluated, ReportEpochs, SeedEpochs
from bandstand_workers.training.checkpoint_keeper import CheckpointKeeper
from bandstand_workers.training.checkpoints import Checkpoint, CheckpointError
from bandstand_workers.training.data.batches import epoch_permutation, for_keras, make_batches
from bandstand_workers.training.data.loading import Data
from bandstand_workers.training.raised_errors import failure_from
from bandstand_workers.training.trial_models import model_state
from bandstand_workers.training.trial_models.model_source import ModelSource, TrialModel
from bandstand_workers.training.trial_models.model_watch import WatchModel
from bandstand_workers.training.trial_models.saved_models import SavedModels
from bandstand_workers.training.user_code.calling import ending_nothing

__all__ = ["TrainingParts", "TrialTraining", "goes_on"]

_CHANGED = (
    "a callback changes a Python attribute of the model during training. Keras reads such an attribute only when it "
    "traces the first step, and a resumed trial traces again, so it may differ from a trial that was not interrupted. "
    "Keep the value in a keras.Variable instead"
)


def goes_on(assignment: Assignment) -> bool:
    """Whether the trial continues itself; else it begins, be it from another's checkpoint."""
    return assignment.checkpoint_of == assignment.trial


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingParts:
    """What the trainings of one study share in this process."""

    spec: StudySpec
    data: Data
    source: ModelSource
    checkpoint_keeper: CheckpointKeeper
    saved_models: SavedModels


class TrialTraining:
    """One assignment with its model and the user's callbacks."""

    def __init__(
        self,
        parts: TrainingParts,
        assignment: Assignment,
        link: EpochLink,
        trial_model: TrialModel,
        user_callbacks: list[Any],
        folder: str,
    ):
        """Nothing is trained before `train`.

        Args:
            parts: of the study.
            assignment: what to train.
            link: where epochs are reported.
            trial_model: what is trained.
            user_callbacks: the study's, made for this trial.
            folder: where the trial's checkpoints and model go.
        """
        self.model = trial_model
        self._parts = parts
        self._spec = parts.spec
        self._source = parts.source
        self._assignment = assignment
        self._link = link
        self._user_callbacks = user_callbacks
        self._folder = folder

    def train(self, resume_uri: str | None, deadline: float | None) -> Outcome:
        """Train as far as the assignment goes.

        Args:
            resume_uri: the checkpoint of `assignment.checkpoint_of`, None for a fresh start.
            deadline: of `time.monotonic`, after which nothing is trained.

        Raises:
            TrialUnwantedError: from the link.
            CheckpointError: the checkpoint cannot be used.
            OtherShapeError: it is a parent's, and the model's shape is another.
        """
        resume = None if resume_uri is None else self._load(resume_uri)
        report = self._make_report(resume, deadline)
        try:
            with ending_nothing():
                verdict = self._train_epochs(report, resume)
        except (TrialUnwantedError, CheckpointError, model_state.OtherShapeError):
            raise
        except Exception as error:  # noqa: BLE001  # the user's model may raise anything
            return self._failed(error, report)
        if verdict is None and report.epochs:
            last = Measurement(epoch=report.epochs, metrics={}, ended="budget")
            verdict = self._link.report(last, wait=True)
        return self._ended(verdict, report)

    def _load(self, uri: str) -> Checkpoint:
        """What the assignment begins from."""
        checkpoint, epoch = self._parts.checkpoint_keeper.load(uri), self._assignment.from_epoch
        if checkpoint.epoch != epoch:
            raise CheckpointError(
                f"a checkpoint must be of the epoch that was asked for, {epoch}; {uri} is of epoch {checkpoint.epoch}",
                "foreign",
            )
        return checkpoint if goes_on(self._assignment) else model_state.inherited(checkpoint, self._assignment.weights)

    def _make_report(self, resume: Checkpoint | None, deadline: float | None) -> ReportEpochs:
        return ReportEpochs(
            link=self._link,
            objective=self._spec.objective,
            user_callbacks=self._user_callbacks,
            resume=resume,
            until_epoch=self._assignment.until_epoch,
            max_epochs=self._spec.max_epochs,
            checkpoint_every=self._spec.checkpoint_every,
            save_checkpoint=self._save_checkpoint,
            deadline=deadline,
        )

    def _save_checkpoint(self, checkpoint: Checkpoint) -> None:
        uri = self._uri_of(checkpoint)
        self._parts.checkpoint_keeper.save(checkpoint, uri, partial(self._link.checkpointed, checkpoint.epoch, uri))

    def _uri_of(self, checkpoint: Checkpoint) -> str:
        return f"{self._folder}/epoch-{checkpoint.epoch:04d}-attempt-{self._assignment.attempt}.checkpoint"

    # -- epochs -------------------------------------------------------------------------------------------------------

    def _train_epochs(self, report: ReportEpochs, resume: Checkpoint | None) -> Verdict | None:
        """Train as far as the assignment goes, or as `report` is told; returns the answer that ended it."""
        assignment, model, lent = self._assignment, self.model.model, self.model.lent
        if resume is not None:
            with keras_session.EXCLUSIVE:  # so that there are variables to restore
                self._source.building.build_for(model, resume, assignment.params)
        if assignment.until_epoch > report.epochs:
            watch = WatchModel(self._user_callbacks, report.epochs, () if lent is None else lent.slots)
            callbacks = self._callbacks(report, watch)
            if lent is None:
                with keras_session.EXCLUSIVE:
                    self._fit(callbacks, report.epochs)
            else:
                self._train_compiled(lent, callbacks, report)
            if watch.may_differ(goes_on=report.verdict is not None and report.verdict.action is Action.PAUSE):
                self._source.notes.append(_CHANGED)
        elif resume is not None:  # it was told to stop before its last trainer died
            model_state.restore(dataclasses.replace(resume, callbacks=[]), model, [])
        return report.verdict

    def _callbacks(self, report: ReportEpochs, watch: WatchModel) -> list[Any]:
        """The user's, among those that make a training a trial."""
        assignment = self._assignment
        rates = FollowLearningRates(assignment.learning_rates, assignment.first_epoch)
        callbacks = [KeepEvaluated(report), rates, *self._user_callbacks, report, watch]
        if self.model.lent is None or self._spec.resources.trials_at_once == 1:
            # Those generators are the process's: trainings beside each other would draw from one another's.
            callbacks.insert(0, SeedEpochs(assignment.seed))
        return callbacks

    def _train_compiled(self, lent: KeptModel, callbacks: list[Any], report: ReportEpochs) -> None:
        examples = len(keras.tree.flatten(self._parts.data["train"])[0])
        train_epochs(
            lent.model,
            lent.program,
            order_of=lambda epoch: epoch_permutation(self._assignment.seed, epoch, examples),
            epochs_done=report.epochs,
            max_epochs=self._spec.max_epochs,
            callbacks=callbacks,
            begun=lambda: self._source.follow_model(lent),
            out_of_time=report.is_out_of_time if report.has_deadline else None,
        )

    def _fit(self, callbacks: list[Any], epochs_done: int) -> None:
        spec, model, assignment, data = self._spec, self.model.model, self._assignment, self._parts.data
        batch_size = spec.batch_size_for(assignment.params)
        batches, steps = make_batches(
            data["train"],
            batch_size=batch_size,
            seed=assignment.seed,
            first_epoch=epochs_done + 1,
            last_epoch=spec.max_epochs,
        )
        if steps % model.steps_per_execution:
            model.steps_per_execution = 1  # else the last steps of an epoch would take batches of the next
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            model.fit(
                batches,
                steps_per_epoch=steps,
                initial_epoch=epochs_done,
                epochs=spec.max_epochs,
                shuffle=False,  # the batches come in the epoch's order already
                validation_data=for_keras(data["validation"]),
                validation_batch_size=spec.validation_batch_size or batch_size,
                callbacks=callbacks,
                verbose=0,
            )

    # -- its end ------------------------------------------------------------------------------------------------------

    def _ended(self, verdict: Verdict | None, report: ReportEpochs) -> Outcome:
        """What came of a training that has not raised."""
        # Not where a resumed attempt was cut off before the epoch that is wanted: no model beats a wrong one.
        keep = verdict is not None and bool(report.best.weights) and verdict.keep_epoch == report.best.epoch
        end_uri = None if report.end is None else self._write_end(report.end)
        action = verdict.action if verdict else Action.STOP
        return Outcome(
            action=action,
            paused_at=report.epochs if action is Action.PAUSE else 0,
            model_uri=self._save_best(report) if keep else None,
            model_epoch=report.best.epoch if keep else 0,
            end_uri=end_uri,
            program_signature=self.model.signature,
            reason_for_fit=self.model.reason,
            unkept=tuple(sorted(report.unkept)),
        )

    def _failed(self, error: Exception, report: ReportEpochs) -> Outcome:
        """What came of a training that raised, with the model of its best epoch, which may be the study's best."""
        outcome = Outcome(failure=failure_from(error, self._spec, self._assignment.params))
        if self._spec.objective.epoch == "last" or not report.best.weights:
            return outcome
        try:
            model_uri = self._save_best(report)
        except Exception:  # noqa: BLE001  # what broke the training may break this too; the failure is what is told
            return outcome
        return dataclasses.replace(outcome, model_uri=model_uri, model_epoch=report.best.epoch)

    def _save_best(self, report: ReportEpochs) -> str:
        place = f"{self._folder}/model-attempt-{self._assignment.attempt}"
        with keras_session.EXCLUSIVE:
            return self._parts.saved_models.save(self.model.model, report.best.weights, place)

    def _write_end(self, end: Checkpoint) -> str | None:
        """Write the checkpoint of a trial that is over; None where it cannot be, of which the link is told."""
        uri = self._uri_of(end)
        try:
            stored_files.write(checkpoints.encode(end, uri), uri)
        except Exception as error:  # noqa: BLE001  # a full disk, a bucket: the trial's result stands without it
            self._link.checkpointed(end.epoch, uri, f"{type(error).__name__}: {one_line(error)}")
            return None
        return uri
