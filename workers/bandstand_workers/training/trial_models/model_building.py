"""Models of a study, built: with their first weights, or with variables for the values of a file.

Knows the builder and the data. Must not know programs, nor which trial is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bandstand.study.context import Context
from bandstand.study.study_spec import StudySpec
from bandstand_workers import keras_session
from bandstand_workers.programs.python_state.reading import read_python_state
from bandstand_workers.training.checkpoints import Checkpoint
from bandstand_workers.training.data.batches import first_rows, for_keras
from bandstand_workers.training.data.loading import Data
from bandstand_workers.training.memory.shortage import is_shortage
from bandstand_workers.training.trial_models import model_state

__all__ = ["ModelBuilding"]


class ModelBuilding:
    """Builds the models of one study."""

    def __init__(self, spec: StudySpec, build: Callable[..., Any], data: Data):
        """`build` is the study's model builder, `data` are arrays."""
        self._spec = spec
        self._build = build
        self._data = data

    def build_anew(self, seed: int, params: Mapping[str, Any], context: Context) -> Any:
        """A trial's model with its first weights: built before anything is seeded for an epoch, as `fit` does."""
        keras_session.begin_trial(seed)
        model = self._build(dict(params), context)
        self.build_on_data(model)
        return model

    def build_on_data(self, model: Any) -> None:
        """Make the variables of a model that has no input shape of its own, if a call makes them."""
        if model.built:
            return
        before = [(found.variable, found.value) for found in read_python_state(model).variables]
        try:
            model(for_keras(first_rows(self._data["train"][0], 1)))
        except Exception as error:  # models whose own steps never call them, such as two that compete
            if is_shortage(error):
                raise
            model.built = False
        for variable, value in before:  # random states, which `fit` does not use up here
            variable.assign(value)

    def build_wholly(self, model: Any, params: Mapping[str, Any]) -> None:
        """Make all variables of a model whose values come from elsewhere, by a step where a call does not make them."""
        self.build_on_data(model)
        if not model.built:
            self._take_step(model, params)

    def build_for(self, model: Any, checkpoint: Checkpoint, params: Mapping[str, Any]) -> None:
        """Make the variables that a checkpoint has values for, by a step on data where nothing less makes them."""
        self.build_on_data(model)
        if model_state.lacks_variables(checkpoint, model):
            self._take_step(model, params)

    def _take_step(self, model: Any, params: Mapping[str, Any]) -> None:
        size = self._spec.batch_size_for(params)
        x, y, *weights = for_keras(first_rows(self._data["train"], size))
        weight = weights[0] if weights else None
        model.fit(x, y, sample_weight=weight, batch_size=size, shuffle=False, verbose=0)
