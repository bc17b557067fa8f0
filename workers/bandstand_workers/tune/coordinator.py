"""The coordinator of a study whose processes are Ray Tune's.

Knows that its trainers are desks and that errands need an end. Must not know Tune itself, nor Keras.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import ray

from bandstand.errors import BandstandError, InputError, ServiceError
from bandstand.running.messages import Refused, StudyOutcome
from bandstand_workers.coordinator.coordinator import Coordinator
from bandstand_workers.tune.errands import Desk, Errand, Errands

__all__ = ["DeskCoordinator", "DeskCoordinatorActor"]


class DeskCoordinator(Coordinator):
    """Runs a study at desks: each has one errand at a time, which Tune finds a process for."""

    def __init__(self, url_file: str, spec: Mapping[str, Any], checkpoints_uri: str, data_may_differ: bool = False):
        """As `Coordinator`."""
        super().__init__(url_file, spec, checkpoints_uri, data_may_differ)
        self._errands = Errands()
        self._desks = 0
        self._checked = asyncio.Event()

    # -- for the process that runs studies --------------------------------------------------------------------------

    async def run_at_desks(self, number: int) -> StudyOutcome | Refused:
        """Have the study checked, then run it to its end, or until it is stopped."""
        try:
            refusal = await Desk(self._errands).prepare.remote(self._spec.model_dump(mode="json"), True)
            if refusal:
                return Refused.because_of(InputError(refusal))
            self._checked.set()
            return await self.run(dict(self._new_desk() for _ in range(number)))
        except BandstandError as error:
            return Refused.because_of(error)
        except ray.exceptions.RayError as error:
            return Refused.because_of(ServiceError(f"it could not be checked: {error}"))
        finally:
            self._errands.close()

    async def checked(self) -> None:
        """Wait until the study is known to be sound."""
        await self._checked.wait()

    # -- for Tune's searcher and its processes ----------------------------------------------------------------------

    async def suggest(self, wait_seconds: float) -> dict[str, Any] | str | None:
        """As `Errands.suggest`."""
        return await self._errands.suggest(wait_seconds)

    async def take(self, errand: int) -> Errand | None:
        """As `Errands.take`."""
        return self._errands.take(errand)

    async def answer(self, errand: int, value: Any) -> None:
        """As `Errands.answer`."""
        self._errands.answer(errand, value)

    async def complete(self, errand: int) -> None:
        """As `Errands.complete`."""
        self._errands.complete(errand)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _new_desk(self) -> tuple[str, Desk]:
        self._desks += 1
        name = f"desk-{self._desks}"
        self._baseline_memory[name] = 0  # a process that has grown leaves by itself
        return name, Desk(self._errands)

    def _depart(self, name: str, reason: str) -> None:
        """The process at a desk has died: there is another desk for the next one."""
        super()._depart(name, reason)
        name, desk = self._new_desk()
        self._crew.join(name, desk)
        self._seat(name, desk)

    def _preferred(self, name: str) -> set[int]:
        return set()  # Tune chooses the process, whatever that remembers

    async def _has_data(self, name: str, trainer: Any) -> bool:
        return True  # each process asks `take_data` before its first training

    def _watch_size(self, name: str, memory_bytes: int) -> None:
        """A process that has grown leaves by itself."""


DeskCoordinatorActor = ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0, max_concurrency=10_000)(
    DeskCoordinator
)
