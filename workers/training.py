"""Trains one trial at a time in this process: build, restore, fit, report, save.

Knows Keras and the user's code. Must not know Ray, nor how a report travels (`EpochLink`).
"""

from __future__ import annotations

import dataclasses
import gc
import inspect
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import psutil

from service.errors import InputError, one_line
from service.events import Action
from service.search import Assignment
from service.study import StudySpec
from workers import checkpoints, model_state
from workers.batches import make_batches
from workers.callbacks import EpochLink, ReportEpochs, SeedEpochs
from workers.model_files import local_copy, save_model
from workers.outcome import Outcome, WorkerGoneError
from workers.user_code import Data, load_data, load_function

__all__ = ["Training"]

_PROBES = 3
"""Param sets that are tried, one after the other, to build a model before a study begins."""


class Training:
    """One study's code and data, loaded once, and the trainings done with them."""

    def __init__(self, spec: StudySpec, data: Data | None = None):
        """Import the user's code and load the data.

        Raises:
            InputError: something of the study does not import, load or fit.
        """
        self.spec = spec
        self._build = load_function("model", spec.model)
        self._make_callbacks = [load_function("callbacks", reference) for reference in spec.callbacks]
        self.data = load_data(spec.data) if data is None else data
        self._tensors: Any = None

    def check(self) -> None:
        """Refuse a study whose epochs would not report its objective. Trains nothing, where that suffices to know.

        A builder that raises for every params tried is not refused here: that is a result of the study.

        Raises:
            InputError: the objective is not among the metrics of a model that could be built.
        """
        for number in range(_PROBES):
            params = self.spec.space.sample(np.random.default_rng([self.spec.seed, number]))
            try:
                model = self._build(dict(params))
            except Exception:
                continue
            self._check_model(model, params)
            keras.backend.clear_session()
            return

    def _check_model(self, model: Any, params: Mapping[str, Any]) -> None:
        metric = self.spec.objective.metric
        if not isinstance(model, keras.Model) or not getattr(model, "compiled", False):
            raise InputError(
                f"model must return a compiled keras.Model; {self.spec.model!r} returned {type(model).__name__}"
                f"{' that is not compiled: call model.compile in it' if isinstance(model, keras.Model) else ''}"
            )
        model.run_eagerly = True  # one batch does not repay tracing
        batch = keras.tree.map_structure(lambda array: array[:2], self.data["validation"])
        try:
            names = list(model.test_on_batch(*batch, return_dict=True))
        except Exception as error:
            raise InputError(
                f"model and data must fit together; a batch raised {type(error).__name__}: {one_line(error)}"
            ) from error
        known = {*names, *(f"val_{name}" for name in names), "learning_rate"}
        if metric not in known:
            known |= set(self._metrics_of_an_epoch(model, params))
        if metric not in known:
            raise InputError(
                f"objective.metric must be what an epoch reports; got {metric!r}, it reports "
                f"{', '.join(sorted(known))}: name one of these, or add the metric in model.compile"
            )

    def _metrics_of_an_epoch(self, model: Any, params: Mapping[str, Any]) -> list[str]:
        """The metrics that two steps of `fit` report, for models whose train_step or callbacks add their own."""
        x, y, *weights = keras.tree.map_structure(lambda array: array[:2], self.data["train"])
        validation = keras.tree.map_structure(lambda array: array[:2], self.data["validation"])
        callbacks = self._callbacks_for(params)
        history = model.fit(
            x, y, sample_weight=weights[0] if weights else None, validation_data=validation, verbose=0,
            callbacks=callbacks,
        )  # fmt: skip
        return list(history.history)

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
            resume_uri: the checkpoint at `assignment.from_epoch`, None for a fresh start.
            seconds_left: until the study's time is up.

        Returns:
            How it ended. Failures of the user's code are outcomes, not exceptions.

        Raises:
            WorkerGoneError: from the link; nobody wants the outcome.
        """
        deadline = None if seconds_left is None else time.monotonic() + seconds_left
        try:
            outcome = self._run(assignment, link, folder, resume_uri, deadline)
        except WorkerGoneError:
            raise
        except MemoryError as error:
            outcome = _failure("out_of_memory", error)
        except Exception as error:  # the user's model may raise anything
            out_of_memory = type(error).__name__ == "ResourceExhaustedError"
            outcome = _failure("out_of_memory" if out_of_memory else "exception", error)
        self._clean_up()
        return _with_memory(outcome)

    def _run(
        self, assignment: Assignment, link: EpochLink, folder: str, resume_uri: str | None, deadline: float | None
    ) -> Outcome:
        keras.utils.set_random_seed(assignment.seed)
        model = self._build(dict(assignment.params))
        user_callbacks = self._callbacks_for(assignment.params)
        resume = None if resume_uri is None else checkpoints.load(resume_uri)

        def checkpoint_uri(epoch: int) -> str:
            return f"{folder}/epoch-{epoch:04d}-attempt-{assignment.attempt}.checkpoint"

        report = ReportEpochs(
            link=link,
            objective=self.spec.objective,
            user_callbacks=user_callbacks,
            resume=resume,
            until_epoch=assignment.until_epoch,
            max_epochs=self.spec.max_epochs,
            checkpoint_every=self.spec.checkpoint_every,
            checkpoint_uri=checkpoint_uri,
            deadline=deadline,
        )
        verdict = None
        if resume is not None:
            self._build_on_data(model)  # so that there are variables to restore
        if assignment.until_epoch > report.epochs:
            self._fit(model, assignment, [SeedEpochs(assignment.seed), *user_callbacks, report], report.epochs)
            verdict = report.verdict
        elif resume is not None:  # it was told to stop before its last worker died
            model_state.restore(resume, model, user_callbacks)
        if verdict is None and report.epochs:
            verdict = link.report(
                report.epochs, {}, seconds=0.0, learning_rate=None, checkpoint=None, ended="budget", wait=True
            )
        # Not where a resumed attempt was cut off before the epoch that is wanted: no model beats a wrong one.
        keep = verdict is not None and bool(report.best.weights) and verdict.keep_epoch == report.best.epoch
        model_uri = save_model(model, report.best, f"{folder}/model-attempt-{assignment.attempt}") if keep else None
        return Outcome(action=verdict.action if verdict else Action.STOP, model_uri=model_uri)

    def _fit(self, model: Any, assignment: Assignment, callbacks: list[Any], epochs_done: int) -> None:
        spec = self.spec
        batch_size = spec.batch_size_for(assignment.params)
        batches, steps = make_batches(
            self._train_tensors(),
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

    def evaluate(self, model_uri: str, params: Mapping[str, Any], split: str) -> dict[str, float]:
        """A saved model's metrics on a split of the data.

        The model is built anew and given the saved weights, because a file cannot bring a user's own classes along.

        Raises:
            KeyError: the data have no such split.
        """
        x, y, *weights = self.data[split]
        model = self._build(dict(params))
        self._build_on_data(model)
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
        self._clean_up()
        return {name: float(value) for name, value in metrics.items()}

    def _callbacks_for(self, params: Mapping[str, Any]) -> list[Any]:
        callbacks: list[Any] = []
        for make in self._make_callbacks:
            made = make(dict(params)) if _takes_an_argument(make) else make()
            callbacks.extend(made if isinstance(made, list | tuple) else [made])
        return callbacks

    def _train_tensors(self) -> Any:
        """The training data as tensors, converted once."""
        if self._tensors is None:
            import tensorflow as tf

            with tf.device("CPU"):
                self._tensors = keras.tree.map_structure(tf.convert_to_tensor, self.data["train"])
        return self._tensors

    def _build_on_data(self, model: Any) -> None:
        """Make the variables of a model that has no input shape of its own."""
        if not model.built:
            model(keras.tree.map_structure(lambda array: array[:1], self.data["train"][0]))

    @staticmethod
    def _clean_up() -> None:
        """Let go of the trial's graph and model."""
        keras.backend.clear_session()
        gc.collect()


def _takes_an_argument(make: Callable[..., Any]) -> bool:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(
        parameter.default is parameter.empty and parameter.kind in positional
        for parameter in inspect.signature(make).parameters.values()
    )


def _failure(kind: str, error: BaseException) -> Outcome:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return Outcome(
        kind=kind,
        message=f"{type(error).__name__}: {one_line(error)}",
        signature=f"{type(error).__name__} at {place}",
        detail="".join(traceback.format_exception(error))[-20_000:],
    )


def _with_memory(outcome: Outcome) -> Outcome:
    return dataclasses.replace(outcome, memory_bytes=psutil.Process().memory_info().rss)
