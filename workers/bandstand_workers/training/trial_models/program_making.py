"""Programs for the models of a study: which kind, on which data, for batches of which sizes.

Knows the backends that there are, and the data as tensors. Must not know trials, nor which programs are shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from bandstand.study.study_spec import StudySpec
from bandstand_workers.programs.loop import EpochProgram
from bandstand_workers.programs.python_state.walk_results import PythonState
from bandstand_workers.programs.reuse.kept_models import KeptModel, KeptModels
from bandstand_workers.programs.xla_choice import MeasuredProgram
from bandstand_workers.training.data.batches import first_rows
from bandstand_workers.training.data.loading import Data

__all__ = ["ProgramMaking"]


class ProgramMaking:
    """Makes the programs of one study."""

    def __init__(self, spec: StudySpec, data: Data, kept: KeptModels, tensors: dict[str, Any]):
        """Nothing is traced yet.

        Args:
            spec: the study.
            data: its data, as arrays.
            kept: the models that may have a program of the same signature.
            tensors: the data by split, as the backend's tensors; filled as they are asked for.
        """
        self.any_size: bool = not _may_use_xla()
        """Whether a program serves batches of any size, so that it is none of its signature."""
        self._spec = spec
        self._data = data
        self._kept = kept
        self._tensors = tensors

    def trace(self, signature: str, model: Any, state: PythonState, sizes: Mapping[str, Any]) -> KeptModel:
        """The model with a program of its own, traced; `sizes` are those of its batches."""
        arguments = (model, self._split("train"), self._split("validation"))
        if keras.backend.backend() == "jax":
            return self._trace_on_jax(signature, *arguments, state, sizes)
        from bandstand_workers.programs.tensorflow_program import TensorFlowProgram

        plain = TensorFlowProgram(*arguments, **sizes)
        if self.any_size:
            program: EpochProgram = plain
        else:
            program = MeasuredProgram(plain, lambda: TensorFlowProgram(*arguments, **sizes, xla=True))
        kept = KeptModel(signature, model, program, state)
        plain.trace()
        kept.traced()
        return kept

    def _trace_on_jax(
        self, signature: str, model: Any, train: Any, validation: Any, state: PythonState, sizes: Mapping[str, Any]
    ) -> KeptModel:
        from bandstand_workers.programs.jax_program import JaxFunctions, JaxProgram

        batch = first_rows(train, 1)
        sibling = self._kept.program(signature)
        if isinstance(sibling, JaxProgram):  # traced with its model, for all of the signature
            functions = sibling.functions
        else:
            width = self._spec.resources.trials_at_once
            functions = JaxFunctions(model, state.slots, train, validation, **sizes, width=width)
        program = JaxProgram(model, state.slots, functions, batch)
        kept = KeptModel(signature, model, program, state)
        if sibling is None:
            program.trace()
        kept.traced()
        return kept

    def resize(self, program: EpochProgram, params: Mapping[str, Any]) -> None:
        """Have a kept program take batches of a trial's size."""
        if self.any_size:
            from bandstand_workers.programs.tensorflow_program import TensorFlowProgram

            assert isinstance(program, TensorFlowProgram)
            program.resize(**self.sizes(params))

    def sizes(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Of the batches of a trial with these params."""
        batch_size = self._spec.batch_size_for(params)
        return {
            "batch_size": batch_size,
            "validation_batch_size": self._spec.validation_batch_size or batch_size,
        }

    def _split(self, name: str) -> Any:
        """A split of the data as the backend's tensors, converted once."""
        if name not in self._tensors:
            self._tensors[name] = keras.tree.map_structure(_as_tensor, tuple(self._data[name]))
        return self._tensors[name]


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
