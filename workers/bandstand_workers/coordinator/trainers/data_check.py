"""One data set for all trainers of a study: no trainer is given work whose data are others.

Knows what trainers say of their data. Must not know what they train.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ray

from bandstand.errors import BandstandError, ServiceError, one_line
from bandstand.trials.data_fingerprint import DataPrint
from bandstand_workers.coordinator.opened_study import OpenedStudy
from bandstand_workers.coordinator.signals import Departure
from bandstand_workers.fleet.handles import TrainerHandle

__all__ = ["DataCheck"]


class DataCheck:
    """Holds each trainer's data against the study's. The first trainer's are the study's, where it has none yet."""

    def __init__(self, study: OpenedStudy, *, may_differ: bool):
        """`may_differ`: whether trainers are given work all the same, of which the study tells its user."""
        self.refusal: str | None = None
        """Why a trainer was refused for its data, if one was; the study stops then."""
        self._study = study
        self._may_differ = may_differ
        self._passed: set[str] = set()  # trainers

    async def all_pass(self, trainers: Mapping[str, TrainerHandle]) -> bool:
        """Whether all of these trainers have the study's data; if not, the study stops."""
        for name, trainer in trainers.items():
            try:
                if not await self.passes(name, trainer):
                    return False
            except ray.exceptions.RayError:
                continue  # it is replaced when it is given work
        return True

    async def admits(self, name: str, trainer: TrainerHandle) -> bool:
        """Whether a trainer may join. One that has died is to be replaced; other data stop the study."""
        try:
            return await self.passes(name, trainer)
        except ray.exceptions.RayActorError as error:
            self._study.signals.departures.put_nowait(Departure(name=name, reason=f"it died: {one_line(error)}"))
        except BandstandError as error:
            self._study.signals.fail(error)
        return False

    async def passes(self, name: str, trainer: TrainerHandle) -> bool:
        """Whether a trainer has the study's data; if not, the study stops.

        Raises:
            ServiceError: the trainer cannot say.
            RayActorError: the trainer is dead.
        """
        if name in self._passed:
            return True
        try:
            remarks = [] if self._study.search.history.data else await trainer.remarks.remote()
            fingerprint = await trainer.fingerprint.remote()
        except ray.exceptions.RayTaskError as error:
            raise ServiceError(f"a trainer cannot describe its data: {one_line(error.cause or error)}") from error
        if await self.take(fingerprint, remarks):
            self._passed.add(name)
        return name in self._passed

    async def take(self, fingerprint: DataPrint, remarks: Sequence[str]) -> bool:
        """Whether a trainer with these data may be given work; if not, the study stops.

        Args:
            fingerprint: of the data. Those of the first trainer are the study's.
            remarks: on the data, of which the study tells its user where they are the first.
        """
        search = self._study.search
        if search.history.data is None:
            search.data.see(fingerprint)
            for remark in remarks:
                search.note(remark)
            if self._study.signals.taken_up.is_set():
                await self._study.note_environment()
        refusal = search.data.compare(fingerprint, may_differ=self._may_differ)
        if refusal and self.refusal is None:
            self.refusal = refusal
            self._study.stop()
        await self._study.journal.durable()
        return not refusal
