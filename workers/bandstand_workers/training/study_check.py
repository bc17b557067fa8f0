"""What is checked before a study's first trial, at the price of a model or two.

Knows Keras and the study. Must not know trainings.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from bandstand.errors import InputError
from bandstand.extras import require
from bandstand.problem.directions import better_words
from bandstand.study.context import Context
from bandstand.study.study_spec import StudySpec
from bandstand_workers.programs.logs import numbers_of, sizes_of_arrays
from bandstand_workers.programs.suitability import reason_for_fit
from bandstand_workers.training.compiled_directions import compiled_direction
from bandstand_workers.training.contexts import Contexts
from bandstand_workers.training.data.batches import first_rows, for_keras
from bandstand_workers.training.data.loading import Data
from bandstand_workers.training.data.options import way_from_text_labels
from bandstand_workers.training.memory.shortage import is_shortage
from bandstand_workers.training.user_code.callback_files import CallbackFiles
from bandstand_workers.training.user_code.calling import ending_nothing
from bandstand_workers.training.user_code.errors import essential_line, missing_param, place_of, said_with_place
from bandstand_workers.training.user_code.read_params import WatchedParams, unread_remark

__all__ = ["check_study"]

_PROBES = 12
"""Param sets that are tried, one after the other, until a model can be built. A builder that raises for half of all
params raises for all of so many once in 4,000 studies."""
_PROBE_SECONDS = 10.0
"""After which no further ones are tried, and the verdict is left to the trials."""


class _MemoryShortError(Exception):
    """A model that was tried is too large for the memory, which says nothing of others."""

    def __init__(self, reason: Exception):
        super().__init__(str(reason))
        self.reason = reason


def check_study(
    spec: StudySpec,
    build: Callable[[dict[str, Any], Context], Any],
    data: Data,
    make_callbacks: Callable[[Mapping[str, Any], Context], list[Any]],
    contexts: Contexts,
) -> list[str]:
    """Refuse a study whose epochs would not report its objective. Trains nothing, where that suffices to know.

    Returns:
        What its user should know of it.

    Raises:
        InputError: builder or callbacks raise the same for all params tried, or ask for a parameter that the space does
            not have; the objective is not among the metrics of a model that could be built; its direction was told
            from its name, and the compiled metric's is another; or `trainer` is `compiled` and that model cannot be
            trained so.
    """
    errors: list[Exception] = []
    began = time.monotonic()
    for number in range(_PROBES):
        params = WatchedParams(spec.space.sample(np.random.default_rng([spec.seed, number])))
        with contexts.of_probe(params) as context:
            role = "model"
            try:
                model = build(params.copy(), context)
                role = "callbacks"
                callbacks, _ = CallbackFiles().prepare(make_callbacks(params, context), context)
            except Exception as error:  # noqa: BLE001  # a user's function may raise anything, which may be a result
                errors.append(error)
                if _asks_for_inactive(spec, role, error, params) or time.monotonic() - began > _PROBE_SECONDS:
                    return []
                continue
            _check_packages(callbacks)
            try:
                _check_model(spec, model, data, callbacks)
            except _MemoryShortError as error:
                errors.append(error.reason)
                if time.monotonic() - began > _PROBE_SECONDS:
                    return []
                continue
            remark = unread_remark(params, [spec.batch_size] if isinstance(spec.batch_size, str) else [])
            return [] if remark is None else [remark]
    _refuse_if_all_alike(spec, role, errors)
    return []


def _check_packages(callbacks: list[Any]) -> None:
    wanted = any(isinstance(callback, keras.callbacks.TensorBoard) for callback in callbacks)
    if wanted:
        require("tensorboard", "the callback TensorBoard")


def _check_model(spec: StudySpec, model: Any, data: Data, callbacks: list[Any]) -> None:
    _check_type(spec, model)
    reason = reason_for_fit(model, callbacks)
    if spec.trainer == "compiled" and reason is not None:
        raise InputError(
            f"trainer = 'compiled' must be possible; {reason}: use trainer = 'auto', which uses fit if it must"
        )
    _check_objective(spec, model, data, callbacks)
    _check_direction(spec, model)
    keras.backend.clear_session(free_memory=False)


def _asks_for_inactive(spec: StudySpec, role: str, error: Exception, params: Mapping[str, Any]) -> bool:
    """Whether code asks for what only these params do not have, so that other trials may do without the error.

    Raises:
        InputError: it asks for what no params have.
    """
    names = [name for name, _, _ in spec.space.flat()]
    asked = missing_param(error, params, names)
    if asked is not None and error.args[0] not in names:
        raise InputError(f"{role} must ask for parameters of the space; {asked}") from error
    return asked is not None


def _refuse_if_all_alike(spec: StudySpec, role: str, errors: list[Exception]) -> None:
    """Refuse a study of which no trial would get as far as its training, for one and the same reason.

    A model that is too large for the memory says nothing of others.
    """
    last = errors[-1]
    kinds = {(type(error).__name__, place_of(error)) for error in errors}
    if len(kinds) > 1 or any(map(is_shortage, errors)):
        return
    name = spec.model if role == "model" else ", ".join(spec.callbacks)
    raise InputError(
        f"{role} must work for the params of a trial; {name!r} raised {said_with_place(last)} for each of "
        f"{len(errors)} that were tried: fix it"
    ) from last


def _check_type(spec: StudySpec, model: Any) -> None:
    if not isinstance(model, keras.Model) or not getattr(model, "compiled", False):
        raise InputError(
            f"model must return a compiled keras.Model; {spec.model!r} returned {type(model).__name__}"
            f"{' that is not compiled: call model.compile in it' if isinstance(model, keras.Model) else ''}"
        )


def _check_objective(spec: StudySpec, model: Any, data: Data, callbacks: list[Any]) -> None:
    metric = spec.objective.metric
    model.run_eagerly = True  # one batch does not repay tracing
    batch = for_keras(first_rows(data["validation"], 2))
    try:
        # As `evaluate` gives a step its data, (x, y), where `test_on_batch` adds a None for the weights.
        x, y, *weights = batch
        with ending_nothing():
            logs = model.evaluate(x, y, sample_weight=weights[0] if weights else None, verbose=0, return_dict=True)
    except Exception as error:
        if is_shortage(error):
            raise _MemoryShortError(error) from error
        raise InputError(
            f"model and data must fit together; a batch of {_sizes_of(batch)} raised {type(error).__name__}: "
            f"{essential_line(error)}: change the model's layers, its loss or the data{way_from_text_labels(data)}"
        ) from error
    several = sizes_of_arrays(logs).get(metric.removeprefix("val_"))
    if several is not None:
        raise InputError(
            f"objective.metric must be one number; {metric!r} gives {several} numbers, for example one for each class: "
            "let the metric average them (average='macro'), or choose another metric"
        )
    names = numbers_of(logs)
    known = {*names, *(f"val_{name}" for name in names), "learning_rate"}
    if metric not in known:
        known |= set(_metrics_of_an_epoch(model, data, callbacks))
    if metric not in known:
        raise InputError(
            f"objective.metric must be one that an epoch reports ({', '.join(sorted(known))}); got {metric!r}: "
            f"{_way_to(metric, known)}"
        )


def _way_to(metric: str, known: set[str]) -> str:
    near = difflib.get_close_matches(metric.lower(), [name.lower() for name in known], 1, 0.75)
    meant = next((name for name in sorted(known) if near == [name.lower()]), None)
    if meant is not None:
        return f"did you mean {meant!r}?"
    return "name one of these, or add the metric in model.compile"


def _check_direction(spec: StudySpec, model: Any) -> None:
    """Of a direction that nobody has written: what the name tells must not be against what was compiled."""
    objective = spec.objective
    compiled = compiled_direction(model, objective.metric)
    if objective.told_by_name and compiled is not None and compiled[0] != objective.direction:
        direction, kind = compiled
        raise InputError(
            f"objective.direction must be set if the metric's name is misleading; {objective.metric!r} sounds as if "
            f"{objective.better}, but it is a Keras {kind}, for which {better_words(direction)}: set "
            f'direction = "{direction}"'
        )


def _metrics_of_an_epoch(model: Any, data: Data, callbacks: list[Any]) -> list[str]:
    """The metrics that two steps of `fit` report, for models whose train_step or callbacks add their own."""
    x, y, *weights = for_keras(first_rows(data["train"], 2))
    validation = for_keras(first_rows(data["validation"], 2))
    history = model.fit(
        x, y, sample_weight=weights[0] if weights else None, validation_data=validation, verbose=0, callbacks=callbacks
    )
    return list(history.history)


def _sizes_of(batch: Any) -> str:
    """Such as `x (2, 64), y (2,)`."""
    names = ("x", "y", "sample_weight")
    shapes = ([str(array.shape) for array in keras.tree.flatten(part)] for part in batch)
    return ", ".join(f"{name} {'/'.join(each)}" for name, each in zip(names, shapes, strict=False))
