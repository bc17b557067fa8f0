"""What is checked before a study's first trial, at the price of a model or two.

Knows Keras and the study. Must not know trainings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from bandstand.errors import InputError, one_line
from bandstand.study.directions import better_words
from bandstand.study.study import StudySpec
from bandstand_workers.programs.suitability import reason_for_fit
from bandstand_workers.training.compiled_directions import compiled_direction
from bandstand_workers.training.data.loading import Data

__all__ = ["check_study"]

_PROBES = 3
"""Param sets that are tried, one after the other, to build a model."""


def check_study(
    spec: StudySpec, build: Callable[..., Any], data: Data, make_callbacks: Callable[[Mapping[str, Any]], list[Any]]
) -> None:
    """Refuse a study whose epochs would not report its objective. Trains nothing, where that suffices to know.

    A builder that raises for every params tried is not refused here: that is a result of the study.

    Raises:
        InputError: the objective is not among the metrics of a model that could be built; or its direction was told
            from its name, and the compiled metric's is another; or `trainer` is `compiled` and that model cannot be
            trained so.
    """
    for number in range(_PROBES):
        params = spec.space.sample(np.random.default_rng([spec.seed, number]))
        try:
            model = build(dict(params))
        except Exception:  # noqa: BLE001  # a user's builder may raise anything, and that is a result
            continue
        _check_type(spec, model)
        callbacks = make_callbacks(params)
        reason = reason_for_fit(model, callbacks)
        if spec.trainer == "compiled" and reason is not None:
            raise InputError(
                f"trainer = 'compiled' must be possible; {reason}: use trainer = 'auto', which uses fit where it must"
            )
        _check_objective(spec, model, data, callbacks)
        _check_direction(spec, model)
        keras.backend.clear_session(free_memory=False)
        return


def _check_type(spec: StudySpec, model: Any) -> None:
    if not isinstance(model, keras.Model) or not getattr(model, "compiled", False):
        raise InputError(
            f"model must return a compiled keras.Model; {spec.model!r} returned {type(model).__name__}"
            f"{' that is not compiled: call model.compile in it' if isinstance(model, keras.Model) else ''}"
        )


def _check_objective(spec: StudySpec, model: Any, data: Data, callbacks: list[Any]) -> None:
    metric = spec.objective.metric
    model.run_eagerly = True  # one batch does not repay tracing
    batch = keras.tree.map_structure(lambda array: array[:2], data["validation"])
    try:
        names = list(model.test_on_batch(*batch, return_dict=True))
    except Exception as error:
        raise InputError(
            f"model and data must fit together; a batch raised {type(error).__name__}: {one_line(error)}"
        ) from error
    known = {*names, *(f"val_{name}" for name in names), "learning_rate"}
    if metric not in known:
        known |= set(_metrics_of_an_epoch(model, data, callbacks))
    if metric not in known:
        raise InputError(
            f"objective.metric must be what an epoch reports; got {metric!r}, it reports "
            f"{', '.join(sorted(known))}: name one of these, or add the metric in model.compile"
        )


def _check_direction(spec: StudySpec, model: Any) -> None:
    """Of a direction that nobody has written: what the name tells must not be against what was compiled."""
    objective = spec.objective
    compiled = compiled_direction(model, objective.metric)
    if objective.told_by_name and compiled is not None and compiled[0] != objective.direction:
        direction, kind = compiled
        raise InputError(
            f"objective.direction must be written where the metric's name and the metric differ; {objective.metric!r} "
            f"sounds as if {objective.better}, and it is a {kind} of Keras, where {better_words(direction)}: say "
            f'direction = "{direction}"'
        )


def _metrics_of_an_epoch(model: Any, data: Data, callbacks: list[Any]) -> list[str]:
    """The metrics that two steps of `fit` report, for models whose train_step or callbacks add their own."""
    x, y, *weights = keras.tree.map_structure(lambda array: array[:2], data["train"])
    validation = keras.tree.map_structure(lambda array: array[:2], data["validation"])
    history = model.fit(
        x, y, sample_weight=weights[0] if weights else None, validation_data=validation, verbose=0, callbacks=callbacks
    )
    return list(history.history)
