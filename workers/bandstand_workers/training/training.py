"""Trains one trial at a time in this process: build, restore, fit, report, save.

Knows Keras and the user's code. Must not know Ray, nor how a report travels (`EpochLink`).
"""

from __future__ import annotations

import dataclasses
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import keras
import psutil

from bandstand import stored_files
from bandstand.errors import InputError, one_line
from bandstand.search.data_fingerprint import DataPrint
from bandstand.search.events import Action
from bandstand.search.failures import HOPELESS
from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.study.context import Context
from bandstand.study.study import StudySpec
from bandstand_workers.messages import CheckpointRefusal, EpochLink, Failure, Outcome, TrialUnwantedError
from bandstand_workers.programs.kept import KeptModel
from bandstand_workers.programs.logs import numbers_of
from bandstand_workers.programs.loop import train_epochs
from bandstand_workers.training import checkpoints, combined_models, keras_session, model_state
from bandstand_workers.training.callbacks import FollowLearningRates, KeepEvaluated, ReportEpochs, SeedEpochs
from bandstand_workers.training.checkpoint_keeper import CheckpointKeeper
from bandstand_workers.training.checkpoints import Arrays, Checkpoint, CheckpointError
from bandstand_workers.training.data.batches import epoch_permutation, for_keras, make_batches
from bandstand_workers.training.data.loading import Data, LoadedData, load_data
from bandstand_workers.training.model_files import load_weights, local_copy, save_model
from bandstand_workers.training.model_source import ModelSource, TrialModel
from bandstand_workers.training.model_watch import WatchModel
from bandstand_workers.training.study_check import check_study
from bandstand_workers.training.user_code.callback_files import CallbackFiles
from bandstand_workers.training.user_code.calling import Builder, CallbackMaker
from bandstand_workers.training.user_code.contexts import Contexts, remove_if_empty
from bandstand_workers.training.user_code.errors import missing_param, said_with_place

__all__ = ["Training"]

_CHANGED = (
    "a callback changes a Python attribute of the model during training: Keras reads such an attribute only when it "
    "traces the first step, and a resumed trial traces again, so it may differ from a trial that was not interrupted; "
    "keep the value in a keras.Variable instead"
)


class Training:
    """One study's code and data, loaded once, and the trainings done with them."""

    def __init__(self, spec: StudySpec, earlier: Training | None = None):
        """Import the user's code and load the data.

        Args:
            spec: the study.
            earlier: another study's; where its data are the same, they and the programs made for them serve again.

        Raises:
            InputError: something of the study does not import, load or fit.
        """
        if spec.resources.trials_at_once > 1 and keras.backend.backend() != "jax":
            raise InputError(
                f"resources.trials_at_once above 1 needs Keras on JAX; trainers have {keras.backend.backend()}: "
                "set KERAS_BACKEND=jax where they start, or leave trials_at_once out"
            )
        same_data = earlier if earlier is not None and earlier.loaded.serves(spec) else None
        self.spec: StudySpec = spec
        self._build = Builder(spec.model)
        self._callback_makers = [CallbackMaker(reference) for reference in spec.callbacks]
        self._callback_files = CallbackFiles()
        self.loaded: LoadedData = same_data.loaded if same_data else load_data(spec)
        self.data: Data = self.loaded.splits
        self._contexts = Contexts(spec, self.data)
        self._remarks_of_check: list[str] = []
        self.checkpoint_keeper: CheckpointKeeper = earlier.checkpoint_keeper if earlier else CheckpointKeeper()
        self.source: ModelSource = ModelSource(spec, self._build, self.data, same_data.source if same_data else None)

    @property
    def programs(self) -> int:
        """How many compiled programs are kept."""
        return self.source.programs

    def fingerprint(self) -> DataPrint:
        """Of the study's data, as this process has loaded them."""
        return self.loaded.fingerprint

    def remarks(self) -> list[str]:
        """What the user should know of the study's data, and of what its check has found."""
        return [*self.loaded.remarks, *self._remarks_of_check]

    def wait_for_checkpoints(self) -> None:
        """Wait until every checkpoint made so far is durable and its link told."""
        self.checkpoint_keeper.wait()

    def check(self) -> None:
        """Refuse a study whose epochs would not report its objective, or that asks for more than can be.

        Raises:
            InputError: as `check_study`.
        """
        self._remarks_of_check = check_study(self.spec, self._build, self.data, self._callbacks_for, self._contexts)

    def run(
        self,
        assignment: Assignment,
        link: EpochLink,
        *,
        folder: str,
        resume_uri: str | None,
        seconds_left: float | None = None,
    ) -> Outcome:
        """Train an assignment.

        Args:
            assignment: what to train.
            link: where epochs are reported.
            folder: where the trial's checkpoints and model go (a path or an fsspec URL).
            resume_uri: the checkpoint of `assignment.checkpoint_of`, None for a fresh start.
            seconds_left: until the study's time is up.

        Returns:
            How it ended. Failures of the user's code are outcomes, not exceptions; so is a checkpoint that cannot be
            used, with which nothing was trained.

        Raises:
            TrialUnwantedError: from the link; nobody wants the outcome.
        """
        deadline = None if seconds_left is None else time.monotonic() + seconds_left
        trial_model: TrialModel | None = None
        notes: list[str] = []
        context = self._contexts.of_assignment(assignment, folder)
        params = assignment.params
        try:
            made = self._callbacks_for(params, context)
            callbacks, notes = self._callback_files.prepare(made, context)
            trial_model = self.source.model_for(
                assignment.trial, params, assignment.seed, callbacks, context, restores=_goes_on(assignment)
            )
            outcome = self._train(trial_model, callbacks, assignment, link, folder, resume_uri, deadline)
        except TrialUnwantedError:
            if trial_model is not None:
                self.source.give_back(trial_model)
            raise
        except CheckpointError as error:
            outcome = Outcome(refusal=CheckpointRefusal(reason=one_line(error), cause=error.kind))
        except model_state.OtherShapeError as error:
            failure = dataclasses.replace(self._failure(error, params), kind=HOPELESS, message=one_line(error))
            outcome = Outcome(failure=failure)
        except Exception as error:  # noqa: BLE001  # the user's builder may raise anything
            outcome = Outcome(failure=self._failure(error, params))
        if context.folder is not None:
            remove_if_empty(context.folder)
        if outcome.failure is None and outcome.refusal is None and trial_model is not None:
            self.source.give_back(trial_model)
        self.source.clean_up(trial_model)
        return dataclasses.replace(
            outcome,
            defaulted=self._defaulted(),
            notes=(*notes, *self.source.take_notes()),
            memory_bytes=psutil.Process().memory_info().rss,
        )

    def _train(
        self,
        trial_model: TrialModel,
        user_callbacks: list[Any],
        assignment: Assignment,
        link: EpochLink,
        folder: str,
        resume_uri: str | None,
        deadline: float | None,
    ) -> Outcome:
        model = trial_model.model
        resume = None if resume_uri is None else self._load(resume_uri, assignment.from_epoch)
        if resume is not None and not _goes_on(assignment):
            resume = model_state.inherited(resume, assignment.weights)

        def uri_of(checkpoint: Checkpoint) -> str:
            return f"{folder}/epoch-{checkpoint.epoch:04d}-attempt-{assignment.attempt}.checkpoint"

        def save_checkpoint(checkpoint: Checkpoint) -> None:
            uri = uri_of(checkpoint)
            self.checkpoint_keeper.save(checkpoint, uri, partial(link.checkpointed, checkpoint.epoch, uri))

        report = ReportEpochs(
            link=link,
            objective=self.spec.objective,
            user_callbacks=user_callbacks,
            resume=resume,
            until_epoch=assignment.until_epoch,
            max_epochs=self.spec.max_epochs,
            checkpoint_every=self.spec.checkpoint_every,
            save_checkpoint=save_checkpoint,
            deadline=deadline,
        )
        place = f"{folder}/model-attempt-{assignment.attempt}"
        try:
            verdict = self._train_epochs(trial_model, user_callbacks, assignment, report, resume)
        except (TrialUnwantedError, CheckpointError, model_state.OtherShapeError):
            raise
        except Exception as error:  # noqa: BLE001  # the user's model may raise anything
            return self._failed(error, assignment.params, model, report, place)
        if verdict is None and report.epochs:
            verdict = link.report(Measurement(epoch=report.epochs, metrics={}, ended="budget"), wait=True)
        # Not where a resumed attempt was cut off before the epoch that is wanted: no model beats a wrong one.
        keep = verdict is not None and bool(report.best.weights) and verdict.keep_epoch == report.best.epoch
        end_uri = None if report.end is None else self._write_end(report.end, link, uri_of(report.end))
        with keras_session.EXCLUSIVE:
            model_uri = self._save(model, report.best.weights, place) if keep else None
        action = verdict.action if verdict else Action.STOP
        return Outcome(
            action=action,
            paused_at=report.epochs if action is Action.PAUSE else 0,
            model_uri=model_uri,
            model_epoch=report.best.epoch if keep else 0,
            end_uri=end_uri,
            program_signature=trial_model.signature,
            reason_for_fit=trial_model.reason,
            unkept=tuple(sorted(report.unkept)),
        )

    def _train_epochs(
        self,
        trial_model: TrialModel,
        user_callbacks: list[Any],
        assignment: Assignment,
        report: ReportEpochs,
        resume: Checkpoint | None,
    ) -> Verdict | None:
        """Train as far as the assignment goes, or as `report` is told; returns the answer that ended it."""
        model = trial_model.model
        if resume is not None:
            with keras_session.EXCLUSIVE:
                self.source.build_for(model, resume, assignment.params)  # so that there are variables to restore
        if assignment.until_epoch > report.epochs:
            rates = FollowLearningRates(assignment.learning_rates, assignment.first_epoch)
            watch = WatchModel(
                user_callbacks, report.epochs, () if trial_model.lent is None else trial_model.lent.slots
            )
            callbacks = [KeepEvaluated(report), rates, *user_callbacks, report, watch]
            if trial_model.lent is None or self.spec.resources.trials_at_once == 1:
                # Those generators are the process's: trainings beside each other would draw from one another's.
                callbacks.insert(0, SeedEpochs(assignment.seed))
            if trial_model.lent is None:
                with keras_session.EXCLUSIVE:
                    self._fit(model, assignment, callbacks, report.epochs)
            else:
                self._train_compiled(trial_model.lent, assignment, callbacks, report)
            if watch.may_differ(goes_on=report.verdict is not None and report.verdict.action is Action.PAUSE):
                self.source.notes.append(_CHANGED)
        elif resume is not None:  # it was told to stop before its last worker died
            model_state.restore(dataclasses.replace(resume, callbacks=[]), model, [])
        return report.verdict

    def _failed(
        self, error: Exception, params: Mapping[str, Any], model: Any, report: ReportEpochs, place: str
    ) -> Outcome:
        """What came of a training that raised, with the model of its best epoch, which may be the study's best."""
        outcome = Outcome(failure=self._failure(error, params))
        if self.spec.objective.epoch == "last" or not report.best.weights:
            return outcome
        try:
            with keras_session.EXCLUSIVE:
                model_uri = self._save(model, report.best.weights, place)
        except Exception:  # noqa: BLE001  # what broke the training may break this too; the failure is what is told
            return outcome
        return dataclasses.replace(outcome, model_uri=model_uri, model_epoch=report.best.epoch)

    def _failure(self, error: Exception, params: Mapping[str, Any]) -> Failure:
        """What is told of a training that raised."""
        failure = _failure(error)
        asked = missing_param(error, params, [name for name, _, _ in self.spec.space.flat()])
        return failure if asked is None else dataclasses.replace(failure, message=f"KeyError: {asked}")

    def _save(self, model: Any, weights: Arrays, stem: str) -> str:
        """As `save_model`; that a model is saved as weights alone is noted."""
        uri, obstacle = save_model(model, weights, stem)
        untracked = model_state.untracked_variables(model)
        if untracked:
            self.source.notes.append(
                f"the saved model lacks {untracked[0]}, a variable that Keras does not know of, and may score "
                "otherwise than was reported: make it by add_weight, or hold it as an attribute of a layer"
            )
        if obstacle:
            self.source.notes.append(
                f"Keras cannot save the whole model ({obstacle}), so its weights are kept: build it by "
                f"{self.spec.model} with the trial's params, call it on data, and load them by load_weights"
            )
        return uri

    def _load(self, uri: str, epoch: int) -> Checkpoint:
        checkpoint = self.checkpoint_keeper.load(uri)
        if checkpoint.epoch != epoch:
            raise CheckpointError(
                f"a checkpoint must be of the epoch that was asked for, {epoch}; {uri} is of epoch {checkpoint.epoch}",
                "foreign",
            )
        return checkpoint

    def _write_end(self, end: Checkpoint, link: EpochLink, uri: str) -> str | None:
        """Write the checkpoint of a trial that is over; None where it cannot be, of which the link is told."""
        try:
            stored_files.write(checkpoints.encode(end, uri), uri)
        except Exception as error:  # noqa: BLE001  # a full disk, a bucket: the trial's result stands without it
            link.checkpointed(end.epoch, uri, f"{type(error).__name__}: {one_line(error)}")
            return None
        return uri

    def _train_compiled(
        self, lent: KeptModel, assignment: Assignment, callbacks: list[Any], report: ReportEpochs
    ) -> None:
        examples = len(keras.tree.flatten(self.data["train"])[0])
        train_epochs(
            lent.model,
            lent.program,
            order_of=lambda epoch: epoch_permutation(assignment.seed, epoch, examples),
            epochs_done=report.epochs,
            max_epochs=self.spec.max_epochs,
            callbacks=callbacks,
            begun=lambda: self.source.follow_model(lent),
            out_of_time=report.is_out_of_time if report.has_deadline else None,
        )

    def _fit(self, model: Any, assignment: Assignment, callbacks: list[Any], epochs_done: int) -> None:
        spec = self.spec
        batch_size = spec.batch_size_for(assignment.params)
        batches, steps = make_batches(
            self.data["train"],
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
                validation_data=for_keras(self.data["validation"]),
                validation_batch_size=spec.validation_batch_size or batch_size,
                callbacks=callbacks,
                verbose=0,
            )

    @keras_session.exclusively
    def make_model(self, checkpoint_uri: str, params: Mapping[str, Any], epoch: int, place: str) -> str | None:
        """Save the model of a trial's best epoch from a checkpoint of the trial.

        Args:
            checkpoint_uri: the trial's last.
            params: of the trial.
            epoch: whose weights are wanted.
            place: where to, without the file's suffix.

        Returns:
            Where it is; None where the checkpoint has no weights of that epoch.

        Raises:
            CheckpointError: the checkpoint cannot be used.
        """
        best = self.checkpoint_keeper.load(checkpoint_uri).best
        if best.epoch != epoch or not best.weights:
            return None
        model = self._fresh_model(params, place)
        uri = self._save(model, best.weights, place)
        self.source.clean_up(None)
        return uri

    @keras_session.exclusively
    def combine(self, checkpoint_uris: Sequence[str], params: Mapping[str, Any], how: str, place: str) -> str:
        """Save the model that the weights of several checkpoints make together.

        Args:
            checkpoint_uris: of trainings that differ in their learning rates only.
            params: of one of them.
            how: `average` or `ensemble`, as `combined_models` has them.
            place: where to, without the file's suffix.

        Returns:
            Where it is.

        Raises:
            CheckpointError: a checkpoint cannot be used.
            ValueError: the checkpoints do not fit, or the model cannot be part of an ensemble.
        """
        states = (self.checkpoint_keeper.load(uri) for uri in checkpoint_uris)
        if how == "average":
            model = self._fresh_model(params, place)
            combined_models.set_average(model, states)
            x = self.data["train"][0]
            examples = len(keras.tree.flatten(x)[0])
            order, size = epoch_permutation(self.spec.seed, 1, examples), self.spec.batch_size_for(params)
            batches = (order[first : first + size] for first in range(0, examples, size))
            combined_models.renew_statistics(model, x, batches)
        else:
            model = self._fresh_ensemble(params, len(checkpoint_uris), place)
            for member, state in zip(combined_models.members_of(model), states, strict=True):
                model_state.take_weights(state, member)
        uri = self._save(model, model.get_weights(), place)
        self.source.clean_up(None)
        return uri

    @keras_session.exclusively
    def evaluate(self, model_uri: str, params: Mapping[str, Any], split: str, members: int = 1) -> dict[str, float]:
        """A saved model's metrics on a split of the data.

        The model is built anew and given the saved weights, because a file cannot bring a user's own classes along.

        Args:
            model_uri: where it is.
            params: of the trial that it is of.
            split: train, validation or test.
            members: of an ensemble, how many models it is made of.

        Raises:
            KeyError: the data have no such split.
        """
        x, y, *weights = for_keras(self.data[split])
        model = (
            self._fresh_model(params, model_uri) if members == 1 else self._fresh_ensemble(params, members, model_uri)
        )
        with local_copy(model_uri) as path:
            load_weights(model, path)
        metrics = model.evaluate(
            x,
            y,
            sample_weight=weights[0] if weights else None,
            batch_size=self.spec.validation_batch_size or self.spec.batch_size_for(params),
            verbose=0,
            return_dict=True,
        )
        if members > 1:
            metrics["loss"] -= combined_models.surplus_penalty(model, members)
        self.source.clean_up(None)
        return numbers_of(metrics)

    def _defaulted(self) -> tuple[str, ...]:
        """`name = default` of the hyperparameters that a KerasTuner builder asked for beyond the space."""
        return tuple(f"{name} = {value!r}" for name, value in self._build.defaulted.items())

    def _fresh_model(self, params: Mapping[str, Any], file: str) -> Any:
        """A model of its own, with variables, for the weights of a file that is in the trial's place, or will be."""
        context = self._contexts.of_saved(params, file)
        keras_session.begin_trial(context.seed)  # the trial's own: a builder may draw what no variable holds
        model = self._build(dict(params), context)
        self.source.build_wholly(model, params)
        if context.folder is not None:
            remove_if_empty(context.folder)
        return model

    def _fresh_ensemble(self, params: Mapping[str, Any], members: int, file: str) -> Any:
        models = [self._fresh_model(params, file) for _ in range(members)]
        return combined_models.make_ensemble(models, for_keras(self.data["train"][0]))

    def _callbacks_for(self, params: Mapping[str, Any], context: Context) -> list[Any]:
        return [callback for maker in self._callback_makers for callback in maker.make(params, context)]


def _goes_on(assignment: Assignment) -> bool:
    """Whether the trial continues itself; else it begins, be it from another's checkpoint."""
    return assignment.checkpoint_of == assignment.trial


def _failure(error: Exception) -> Failure:
    out_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return Failure(
        kind="out_of_memory" if out_of_memory else "exception",
        message=said_with_place(error),
        cause=f"{type(error).__name__} at {place}",
        detail="".join(traceback.format_exception(error))[-20_000:],
    )
