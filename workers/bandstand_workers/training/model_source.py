"""Where a trial's model comes from: built anew, or kept from an earlier trial with the program that trains it.

Knows the builder, the data as tensors and the kept models. Must not know epochs, reports or checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from bandstand.errors import one_line
from bandstand.study.context import Context
from bandstand.study.study import StudySpec
from bandstand_workers.programs.choice import MeasuredProgram
from bandstand_workers.programs.constants import Slot, find_slots
from bandstand_workers.programs.kept import KeptModel, KeptModels
from bandstand_workers.programs.loop import EpochProgram
from bandstand_workers.programs.signature import signature_of
from bandstand_workers.programs.suitability import reason_for_fit
from bandstand_workers.training import keras_session
from bandstand_workers.training.data.loading import Data

__all__ = ["ModelSource", "TrialModel"]

_LITTER_LIMIT = 16.0
"""Trials that traced something, after which their graphs and kernels are let go."""
_LITTER_OF_A_BUILD = 0.1
"""What a model that was built and not traced leaves behind, in proportion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialModel:
    """A compiled model in the state that its builder gives it."""

    model: Any
    lent: KeptModel | None = None  # with the program that trains it by compiled epochs; None: `fit` trains it
    kept: bool = False  # it was there before the trial
    reason: str = ""  # why `fit` trains it, where compiled epochs were wanted

    @property
    def signature(self) -> str:
        """Of its program; empty where there is none."""
        return "" if self.lent is None else self.lent.signature


class ModelSource:
    """Builds the models of one study; keeps those whose programs may serve again."""

    def __init__(self, spec: StudySpec, build: Callable[..., Any], data: Data, earlier: ModelSource | None = None):
        """Nothing is built yet.

        Args:
            spec: the study.
            build: its model builder.
            data: its data, as arrays.
            earlier: of a study with the same data, whose tensors and kept models go on serving.
        """
        self._spec = spec
        self._build = build
        self._data = data
        self.tensors: dict[str, Any] = {} if earlier is None else earlier.tensors
        """The data by split, as the backend's tensors; filled as they are asked for."""
        self.kept: KeptModels = KeptModels() if earlier is None else earlier.kept
        """The models whose programs may serve again."""
        self._of_trial: dict[int, tuple[str, list[float]]] = {}
        self._litter = 0.0
        self._policy = keras.config.dtype_policy()
        self._any_size: bool = not _may_use_xla()
        """Whether a program serves batches of any size, so that it is none of its signature."""

    @property
    def programs(self) -> int:
        """How many programs are kept."""
        return len(self.kept)

    def model_for(
        self,
        trial: int,
        params: Mapping[str, Any],
        seed: int,
        callbacks: list[Any],
        context: Context,
        *,
        restores: bool,
    ) -> TrialModel:
        """A model for a trial.

        Args:
            trial: its number.
            params: of the trial.
            seed: of the trial.
            callbacks: the user's, which decide whether compiled epochs will do.
            context: of the trial, for the builder.
            restores: whether its variables will be set from a checkpoint, so that they need no initial values.
        """
        with keras_session.EXCLUSIVE:
            keras_session.use_policy(self._policy)
            known = self._of_trial.get(trial) if restores else None
            lent = self.kept.take(known[0]) if known else None
            if lent is not None and known is not None:
                if reason_for_fit(lent.model, callbacks) is None:
                    lent.renew_optimizer(known[1])
                    self._resize(lent.program, params)
                    return TrialModel(model=lent.model, lent=lent, kept=True)
                self.kept.give_back(lent)
            keras_session.begin_trial(seed)
            model = self._build(dict(params), context)
            if self._spec.trainer == "fit":
                return TrialModel(model=model)
            reason = reason_for_fit(model, callbacks)
            if reason is not None:
                return TrialModel(model=model, reason=reason)
            return self._compiled(trial, params, seed, context, model)

    def _compiled(self, trial: int, params: Mapping[str, Any], seed: int, context: Context, fresh: Any) -> TrialModel:
        self.build_on_data(fresh)
        slots = find_slots(fresh)
        sizes = self._sizes(params)
        made_by = {"builder": self._spec.model, "params": dict(params)}
        signature, shared = signature_of(fresh, slots, {} if self._any_size else sizes, made_by)
        slots = slots if shared else []
        constants = [slot.value for slot in slots]
        lent = self.kept.take(signature)
        was_there = lent is not None
        if lent is None:
            try:
                lent = self._trace(signature, fresh, slots, sizes)
            except Exception as error:  # noqa: BLE001  # a model may hold anything; `fit` tells what is its own fault
                keras_session.begin_trial(seed)
                reason = f"it cannot be traced as one program: {type(error).__name__}: {one_line(error)}"
                return TrialModel(model=self._build(dict(params), context), reason=reason)
            self.kept.lent(lent)
        else:
            lent.renew(fresh, constants)
            self._resize(lent.program, params)
        self._of_trial[trial] = (signature, constants)
        return TrialModel(model=lent.model, lent=lent, kept=was_there)

    def _trace(self, signature: str, model: Any, slots: list[Slot], sizes: Mapping[str, Any]) -> KeptModel:
        arguments = (model, self._split("train"), self._split("validation"))
        if keras.backend.backend() == "jax":
            return self._trace_on_jax(signature, *arguments, slots, sizes)
        from bandstand_workers.programs.tensorflow_program import TensorFlowProgram

        plain = TensorFlowProgram(*arguments, **sizes)
        if self._any_size:
            program: EpochProgram = plain
        else:
            program = MeasuredProgram(plain, lambda: TensorFlowProgram(*arguments, **sizes, xla=True))
        kept = KeptModel(signature, model, program, slots)
        plain.trace()
        return kept

    def _trace_on_jax(
        self, signature: str, model: Any, train: Any, validation: Any, slots: list[Slot], sizes: Mapping[str, Any]
    ) -> KeptModel:
        from bandstand_workers.programs.jax_program import JaxFunctions, JaxProgram

        batch = keras.tree.map_structure(lambda array: array[:1], train)
        sibling = self.kept.program(signature)
        if isinstance(sibling, JaxProgram):  # traced with its model, for all of the signature
            functions = sibling.functions
        else:
            width = self._spec.resources.trials_at_once
            functions = JaxFunctions(model, slots, train, validation, **sizes, width=width)
        program = JaxProgram(model, slots, functions, batch)
        kept = KeptModel(signature, model, program, slots)
        if sibling is None:
            program.trace()
        return kept

    def give_back(self, trial_model: TrialModel) -> None:
        """Have a model serve other trials. One whose training raised is not given back."""
        if trial_model.lent is not None:
            with keras_session.EXCLUSIVE:
                self.kept.give_back(trial_model.lent)

    def clean_up(self, trial_model: TrialModel | None) -> None:
        """Let go, now and then, of what trials leave behind: models are full of cycles, which only this frees."""
        kept = trial_model is not None and trial_model.kept
        with keras_session.EXCLUSIVE:
            self._litter += _LITTER_OF_A_BUILD if kept else 1
            if self._litter >= _LITTER_LIMIT:
                keras_session.clear(self._policy)
                self._litter = 0

    def build_on_data(self, model: Any) -> None:
        """Make the variables of a model that has no input shape of its own."""
        if not model.built:
            model(keras.tree.map_structure(lambda array: array[:1], self._data["train"][0]))

    def _resize(self, program: EpochProgram, params: Mapping[str, Any]) -> None:
        """Have a kept program take batches of a trial's size."""
        if self._any_size:
            from bandstand_workers.programs.tensorflow_program import TensorFlowProgram

            assert isinstance(program, TensorFlowProgram)
            program.resize(**self._sizes(params))

    def _sizes(self, params: Mapping[str, Any]) -> dict[str, Any]:
        batch_size = self._spec.batch_size_for(params)
        return {
            "batch_size": batch_size,
            "validation_batch_size": self._spec.validation_batch_size or batch_size,
        }

    def _split(self, name: str) -> Any:
        """A split of the data as the backend's tensors, converted once."""
        if name not in self.tensors:
            self.tensors[name] = keras.tree.map_structure(_as_tensor, tuple(self._data[name]))
        return self.tensors[name]


def _may_use_xla() -> bool:
    """Whether XLA may compile programs, which it does for fixed shapes.

    On CPUs it took as long a step for small dense layers, 80 times as long for convolutions, and seconds to compile;
    and where the clock chooses the program, the same study need not give the same last digits twice.
    """
    if keras.backend.backend() != "tensorflow":
        return True
    import tensorflow as tf

    return bool(tf.config.list_logical_devices("GPU"))


def _as_tensor(array: Any) -> Any:
    if keras.backend.backend() == "jax":
        import jax.numpy as jnp

        return jnp.asarray(array)
    import tensorflow as tf

    return tf.constant(array)
