"""Trains one trial at a time in this process: build, restore, fit, report, save.

Knows Keras and the user's code. Must not know Ray, nor how a report travels (`EpochLink`).
"""

from __future__ import annotations

import dataclasses
import inspect
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import psutil

from bandstand import stored_files
from bandstand.errors import InputError, one_line
from bandstand.search.events import Action
from bandstand.search.failures import HOPELESS
from bandstand.search.protocol import Assignment, Verdict
from bandstand.study.study import StudySpec
from bandstand_spaces import KerasTunerBuilder
from bandstand_workers.messages import EpochLink, Measurement, Outcome, WorkerGoneError
from bandstand_workers.programs.kept import KeptModel
from bandstand_workers.programs.loop import train_epochs
from bandstand_workers.training import checkpoints, combined_models, keras_session, model_state
from bandstand_workers.training.callbacks import FollowLearningRates, ReportEpochs, SeedEpochs
from bandstand_workers.training.checkpoint_keeper import CheckpointKeeper
from bandstand_workers.training.checkpoints import Checkpoint, CheckpointError
from bandstand_workers.training.data.batches import epoch_permutation, make_batches
from bandstand_workers.training.data.loading import Data, load_data
from bandstand_workers.training.data.summary import describe_data
from bandstand_workers.training.model_files import local_copy, save_model
from bandstand_workers.training.model_source import ModelSource, TrialModel
from bandstand_workers.training.study_check import check_study
from bandstand_workers.training.user_code import load_builder, load_function

__all__ = ["Training"]


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
        same_data = earlier if earlier is not None and earlier.spec.data == spec.data else None
        self.spec: StudySpec = spec
        self._build = load_builder(spec.model)
        self._make_callbacks = [load_function("callbacks", reference) for reference in spec.callbacks]
        self.data: Data = same_data.data if same_data else load_data(spec.data)
        self.description: dict[str, str] = same_data.description if same_data else {}
        self.checkpoint_keeper: CheckpointKeeper = earlier.checkpoint_keeper if earlier else CheckpointKeeper()
        self.source: ModelSource = ModelSource(spec, self._build, self.data, same_data.source if same_data else None)

    @property
    def programs(self) -> int:
        """How many compiled programs are kept."""
        return self.source.programs

    def describe_data(self) -> dict[str, str]:
        """As `describe_data`, of the study's data."""
        if not self.description:
            self.description |= describe_data(self.data)
        return self.description

    def wait_for_checkpoints(self) -> None:
        """Wait until every checkpoint made so far is durable and its link told."""
        self.checkpoint_keeper.wait()

    def check(self) -> None:
        """Refuse a study whose epochs would not report its objective, or that asks for more than can be.

        Raises:
            InputError: as `check_study`.
        """
        check_study(self.spec, self._build, self.data, self._callbacks_for)

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
            WorkerGoneError: from the link; nobody wants the outcome.
        """
        deadline = None if seconds_left is None else time.monotonic() + seconds_left
        trial_model: TrialModel | None = None
        try:
            callbacks = self._callbacks_for(assignment.params)
            trial_model = self.source.model_for(
                assignment.trial, assignment.params, assignment.seed, callbacks, restores=_goes_on(assignment)
            )
            outcome = self._train(trial_model, callbacks, assignment, link, folder, resume_uri, deadline)
        except WorkerGoneError:
            if trial_model is not None:
                self.source.give_back(trial_model)
            raise
        except CheckpointError as error:
            outcome = Outcome(refused=one_line(error), cause=error.kind)
        except model_state.OtherShapeError as error:
            outcome = dataclasses.replace(_failure(error), kind=HOPELESS, message=one_line(error))
        except Exception as error:  # noqa: BLE001  # the user's builder may raise anything
            outcome = _failure(error)
        if not outcome.kind and not outcome.refused and trial_model is not None:
            self.source.give_back(trial_model)
        self.source.clean_up(trial_model)
        return dataclasses.replace(
            outcome, defaulted=self._defaulted(), memory_bytes=psutil.Process().memory_info().rss
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
        except (WorkerGoneError, CheckpointError, model_state.OtherShapeError):
            raise
        except Exception as error:  # noqa: BLE001  # the user's model may raise anything
            return self._failed(error, model, report, place)
        if verdict is None and report.epochs:
            verdict = link.report(Measurement(epoch=report.epochs, metrics={}, ended="budget"), wait=True)
        # Not where a resumed attempt was cut off before the epoch that is wanted: no model beats a wrong one.
        keep = verdict is not None and bool(report.best.weights) and verdict.keep_epoch == report.best.epoch
        end_uri = None if report.end is None else self._write_end(report.end, link, uri_of(report.end))
        with keras_session.EXCLUSIVE:
            model_uri = save_model(model, report.best.weights, place) if keep else None
        action = verdict.action if verdict else Action.STOP
        return Outcome(
            action=action,
            paused_at=report.epochs if action is Action.PAUSE else 0,
            model_uri=model_uri,
            model_epoch=report.best.epoch if keep else 0,
            end_uri=end_uri,
            signature=trial_model.signature,
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
                self.source.build_on_data(model)  # so that there are variables to restore
        if assignment.until_epoch > report.epochs:
            rates = FollowLearningRates(assignment.learning_rates, assignment.first_epoch)
            callbacks = [rates, *user_callbacks, report]
            if trial_model.lent is None or self.spec.resources.trials_at_once == 1:
                # Those generators are the process's: trainings beside each other would draw from one another's.
                callbacks.insert(0, SeedEpochs(assignment.seed))
            if trial_model.lent is None:
                with keras_session.EXCLUSIVE:
                    self._fit(model, assignment, callbacks, report.epochs)
            else:
                self._train_compiled(trial_model.lent, assignment, callbacks, report)
        elif resume is not None:  # it was told to stop before its last worker died
            model_state.restore(dataclasses.replace(resume, callbacks=[]), model, [])
        return report.verdict

    def _failed(self, error: Exception, model: Any, report: ReportEpochs, place: str) -> Outcome:
        """What came of a training that raised, with the model of its best epoch, which may be the study's best."""
        failure = _failure(error)
        if self.spec.objective.epoch == "last" or not report.best.weights:
            return failure
        try:
            with keras_session.EXCLUSIVE:
                model_uri = save_model(model, report.best.weights, place)
        except Exception:  # noqa: BLE001  # what broke the training may break this too; the failure is what is told
            return failure
        return dataclasses.replace(failure, model_uri=model_uri, model_epoch=report.best.epoch)

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
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            model.fit(
                batches,
                steps_per_epoch=steps,
                initial_epoch=epochs_done,
                epochs=spec.max_epochs,
                shuffle=False,  # the batches come in the epoch's order already
                validation_data=self.data["validation"],
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
        model = self._fresh_model(params)
        uri = save_model(model, best.weights, place)
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
            model = self._fresh_model(params)
            combined_models.set_average(model, states)
            x = self.data["train"][0]
            examples = len(keras.tree.flatten(x)[0])
            order, size = epoch_permutation(self.spec.seed, 1, examples), self.spec.batch_size_for(params)
            batches = (order[first : first + size] for first in range(0, examples, size))
            combined_models.renew_statistics(model, x, batches)
        else:
            model = self._fresh_ensemble(params, len(checkpoint_uris))
            for member, state in zip(combined_models.members_of(model), states, strict=True):
                model_state.take_weights(state, member)
        uri = save_model(model, model.get_weights(), place)
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
        x, y, *weights = self.data[split]
        model = self._fresh_model(params) if members == 1 else self._fresh_ensemble(params, members)
        with local_copy(model_uri) as path:
            model.load_weights(path)
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
        return {name: float(value) for name, value in metrics.items()}

    def _defaulted(self) -> tuple[str, ...]:
        """`name = default` of the hyperparameters that a KerasTuner builder asked for beyond the space."""
        if not isinstance(self._build, KerasTunerBuilder):
            return ()
        return tuple(f"{name} = {value!r}" for name, value in self._build.defaulted.items())

    def _fresh_model(self, params: Mapping[str, Any]) -> Any:
        """A model of its own, with variables, for weights that come from elsewhere."""
        keras_session.begin_trial(self.spec.seed)
        model = self._build(dict(params))
        self.source.build_on_data(model)
        return model

    def _fresh_ensemble(self, params: Mapping[str, Any], members: int) -> Any:
        return combined_models.make_ensemble([self._fresh_model(params) for _ in range(members)], self.data["train"][0])

    def _callbacks_for(self, params: Mapping[str, Any]) -> list[Any]:
        callbacks: list[Any] = []
        for make in self._make_callbacks:
            made = make(dict(params)) if _takes_an_argument(make) else make()
            callbacks.extend(made if isinstance(made, list | tuple) else [made])
        return callbacks


def _goes_on(assignment: Assignment) -> bool:
    """Whether the trial continues itself; else it begins, be it from another's checkpoint."""
    return assignment.checkpoint_of == assignment.trial


def _takes_an_argument(make: Callable[..., Any]) -> bool:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(
        parameter.default is parameter.empty and parameter.kind in positional
        for parameter in inspect.signature(make).parameters.values()
    )


def _failure(error: Exception) -> Outcome:
    out_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return Outcome(
        kind="out_of_memory" if out_of_memory else "exception",
        message=f"{type(error).__name__}: {one_line(error)}",
        cause=f"{type(error).__name__} at {place}",
        detail="".join(traceback.format_exception(error))[-20_000:],
    )
