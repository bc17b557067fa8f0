"""One data set and one code for all trainers of a study: no trainer is given work whose own are others.

Knows what trainers say of what they train with. Must not know what they train.
"""

from __future__ import annotations

from collections.abc import Mapping

import ray

from bandstand.errors import BandstandError, ServiceError, one_line
from bandstand.running.messages import Conditions
from bandstand_workers.coordinator.opened_study import OpenedStudy
from bandstand_workers.coordinator.signals import Departure
from bandstand_workers.fleet.handles import TrainerHandle
from bandstand_workers.messages import Inputs

__all__ = ["InputsCheck"]


class InputsCheck:
    """Holds each trainer's data and code against the study's; the first trainer's data are the study's."""

    def __init__(self, study: OpenedStudy, conditions: Conditions):
        """`conditions`: whether trainers are given work all the same, of which the study tells its user."""
        self.refusal: str | None = None
        """Why a trainer was refused, if one was; the study stops then."""
        self._study = study
        self._conditions = conditions
        self._passed: set[str] = set()  # trainers

    async def all_pass(self, trainers: Mapping[str, TrainerHandle]) -> bool:
        """Whether all of these trainers have the study's data and code; if not, the study stops."""
        for name, trainer in trainers.items():
            try:
                if not await self.passes(name, trainer):
                    return False
            except ray.exceptions.RayError:
                continue  # it is replaced when it is given work
        return True

    async def admits(self, name: str, trainer: TrainerHandle) -> bool:
        """Whether a trainer may join. One that has died is to be replaced; other data or code stop the study."""
        try:
            return await self.passes(name, trainer)
        except ray.exceptions.RayActorError as error:
            self._study.signals.departures.put_nowait(Departure(name=name, reason=f"it died: {one_line(error)}"))
        except BandstandError as error:
            self._study.signals.fail(error)
        return False

    async def passes(self, name: str, trainer: TrainerHandle) -> bool:
        """Whether a trainer has the study's data and code; if not, the study stops.

        Raises:
            ServiceError: the trainer cannot say.
            RayActorError: the trainer is dead.
        """
        if name in self._passed:
            return True
        try:
            inputs = await trainer.inputs.remote()
        except ray.exceptions.RayTaskError as error:
            raise ServiceError(
                f"a trainer cannot describe its data and code: {one_line(error.cause or error)}"
            ) from error
        if await self.take(inputs):
            self._passed.add(name)
        return name in self._passed

    async def take(self, inputs: Inputs) -> bool:
        """Whether a trainer with these inputs may be given work; if not, the study stops."""
        search = self._study.search
        if search.history.data is None:
            search.data.see(inputs.data)
            for remark in inputs.remarks:
                search.note(remark)
            if self._study.signals.taken_up.is_set():
                await self._study.note_environment()
        refusal = search.data.compare(inputs.data, may_differ=self._conditions.data_may_differ)
        refusal = refusal or search.code.compare(inputs.code, may_differ=self._conditions.code_may_differ)
        if refusal and self.refusal is None:
            self.refusal = refusal
            self._study.stop()
        await self._study.journal.durable()
        return not refusal
