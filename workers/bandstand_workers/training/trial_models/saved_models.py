"""Models that are saved, and what is made of saved ones: from a checkpoint, combined of several, scored on a split.

Knows files of models and the study's data. Must not know how a trial is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from bandstand.study.study_spec import StudySpec
from bandstand_workers import keras_session
from bandstand_workers.programs.logs import numbers_of
from bandstand_workers.training.checkpoint_keeper import CheckpointKeeper
from bandstand_workers.training.checkpoints import Arrays
from bandstand_workers.training.contexts import Contexts, remove_if_empty
from bandstand_workers.training.data.batches import epoch_permutation, for_keras
from bandstand_workers.training.data.loading import Data
from bandstand_workers.training.trial_models import combined_models, model_state
from bandstand_workers.training.trial_models.model_files import load_weights, local_copy, save_model
from bandstand_workers.training.trial_models.model_source import ModelSource

__all__ = ["SavedModels"]


class SavedModels:
    """The saved models of one study."""

    def __init__(
        self,
        spec: StudySpec,
        data: Data,
        source: ModelSource,
        checkpoints: CheckpointKeeper,
        build: Callable[..., Any],
        contexts: Contexts,
    ):
        """Of these parts of the study's training."""
        self._spec = spec
        self._data = data
        self._source = source
        self._checkpoints = checkpoints
        self._build = build
        self._contexts = contexts

    def save(self, model: Any, weights: Arrays, stem: str) -> str:
        """As `save_model`; that a model is saved as weights alone is noted."""
        uri, obstacle = save_model(model, weights, stem)
        untracked = model_state.untracked_variables(model)
        if untracked:
            self._source.notes.append(
                f"the saved model lacks variable {untracked[0]}, which Keras does not track, so its score may differ "
                "from the reported one: create the variable by add_weight, or keep it as an attribute of a layer"
            )
        if obstacle is not None:
            self._source.notes.append(
                f"Keras cannot save the whole model ({obstacle}), so only its weights are saved. To use them, build "
                f"the model by {self._spec.model} with the trial's params, call it on data, and call load_weights"
            )
        return uri

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
        best = self._checkpoints.load(checkpoint_uri).best
        if best.epoch != epoch or not best.weights:
            return None
        model = self._fresh_model(params, place)
        uri = self.save(model, best.weights, place)
        self._source.clean_up(None)
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
        states = (self._checkpoints.load(uri) for uri in checkpoint_uris)
        if how == "average":
            model = self._fresh_model(params, place)
            combined_models.set_average(model, states)
            x = self._data["train"][0]
            examples = len(keras.tree.flatten(x)[0])
            order, size = epoch_permutation(self._spec.seed, 1, examples), self._spec.batch_size_for(params)
            batches = (order[first : first + size] for first in range(0, examples, size))
            combined_models.renew_statistics(model, x, batches)
        else:
            model = self._fresh_ensemble(params, len(checkpoint_uris), place)
            for member, state in zip(combined_models.members_of(model), states, strict=True):
                model_state.take_weights(state, member)
        uri = self.save(model, model.get_weights(), place)
        self._source.clean_up(None)
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
        x, y, *weights = for_keras(self._data[split])
        model = (
            self._fresh_model(params, model_uri) if members == 1 else self._fresh_ensemble(params, members, model_uri)
        )
        with local_copy(model_uri) as path:
            load_weights(model, path)
        metrics = model.evaluate(
            x,
            y,
            sample_weight=weights[0] if weights else None,
            batch_size=self._spec.validation_batch_size or self._spec.batch_size_for(params),
            verbose=0,
            return_dict=True,
        )
        if members > 1:
            metrics["loss"] -= combined_models.surplus_penalty(model, members)
        self._source.clean_up(None)
        return numbers_of(metrics)

    def _fresh_model(self, params: Mapping[str, Any], file: str) -> Any:
        """A model of its own, with variables, for the weights of a file that is in the trial's place, or will be."""
        context = self._contexts.of_saved(params, file)
        keras_session.begin_trial(context.seed)  # the trial's own: a builder may draw what no variable holds
        model = self._build(dict(params), context)
        self._source.building.build_wholly(model, params)
        if context.folder is not None:
            remove_if_empty(context.folder)
        return model

    def _fresh_ensemble(self, params: Mapping[str, Any], members: int, file: str) -> Any:
        models = [self._fresh_model(params, file) for _ in range(members)]
        return combined_models.make_ensemble(models, for_keras(self._data["train"][0]))
