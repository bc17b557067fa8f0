"""A trainer in a thread of a process that Ray Tune started, and when that process should leave.

Knows `Trainer`. Must not know Tune.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from bandstand.errors import InputError
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.user_modules import CodePlace
from bandstand_workers.fleet.trainer import Trainer
from bandstand_workers.messages import Inputs

__all__ = ["TrainerThread"]

_MEMORY_FACTOR = 3.0
"""Where the study sets no memory: a process that has grown to so many times what it began with leaves."""


class TrainerThread:
    """A trainer in a thread of its own, always the same one, because Keras keeps its names and seeds by thread."""

    def __init__(self, spec: StudySpec, code: CodePlace):
        """Set up this process's devices and import Keras; takes seconds."""
        self._spec = spec
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="trainer")
        resources = spec.resources.model_dump()
        self._trainer: Trainer = self._thread.submit(Trainer, resources, code).result()
        self._limit = 0.0  # bytes; 0 before the study is prepared
        self._is_admitted = False

    def is_admitted(self, take_inputs: Callable[[Inputs], bool]) -> bool:
        """Whether this process has the study's data and code, which `take_inputs` is asked once, as the coordinator.

        Where they do not load, what is submitted next says so.
        """
        if not self._is_admitted:
            try:
                inputs = self.submit("inputs").result()
            except InputError:
                return True
            self._is_admitted = take_inputs(inputs)
        return self._is_admitted

    def submit(self, method: str, *arguments: Any, **options: Any) -> Future[Any]:
        """Begin to call a method of the trainer, prepared for the study."""
        return self._thread.submit(self._call, method, arguments, options)

    def _call(self, method: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        if not self._limit and method != "prepare":
            refusal = self._trainer.prepare(self._spec.model_dump(mode="json"), False)
            if refusal:
                raise InputError(refusal)
            self._set_limit()
        value = getattr(self._trainer, method)(*arguments, **options)
        if not self._limit:
            self._set_limit()
        self._trainer.wait_for_checkpoints()  # Tune may end this process as soon as it has the last result
        return value

    def _set_limit(self) -> None:
        memory_gb = self._spec.resources.memory_gb
        self._limit = memory_gb * 1e9 if memory_gb else self._trainer.memory_bytes() * _MEMORY_FACTOR

    @property
    def has_grown(self) -> bool:
        """Whether this process is to be replaced."""
        return 0 < self._limit < self._trainer.memory_bytes()
