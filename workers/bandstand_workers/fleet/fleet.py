"""The fleet: the trainers of a process on the Ray cluster, as many as are wanted and there is room for.

Knows how trainers come to be. Must not know a study's decisions.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import ray

from bandstand.errors import InputError, ServiceError
from bandstand.study.study_spec import Resources, StudySpec
from bandstand.study.users_code.user_modules import CodePlace
from bandstand_workers.fleet.handles import TrainerHandle
from bandstand_workers.fleet.places import Place, node_died
from bandstand_workers.fleet.trainer import TrainerActor

__all__ = ["LOAD_SECONDS", "Fleet"]

_MOST_TRAINERS = 64
"""Of a fleet that takes what it finds; whoever wants more names the number."""
_FAILED_FIRST_STARTS = 2
"""Trainers that do not start before any did, after which nothing can be run."""
_FAILED_STARTS = 5
"""Trainers in a row that do not start, after which the fleet fails, or goes on for a while with those it has."""
_HOLD_SECONDS = 60.0
_PLACE_SECONDS = 0.2
"""A cluster with room gives places within milliseconds."""
_DOUBT_SECONDS = 0.2
LOAD_SECONDS = 6 * 3600.0
"""The limit for a trainer to prepare, where the study sets none."""
_ERRANDS = 2
"""Calls that a trainer answers beside the trials that it trains at once."""
_log = logging.getLogger(__name__)


class Fleet:
    """Trainer actors of one kind, each on a place of its own. Names are unique in a fleet's life.

    A trainer waits for its place, starts, prepares for the study, and is ready. Whoever owns the fleet waits for what
    is `awaited` and lets it `advance`.
    """

    def __init__(
        self,
        resources: Resources,
        code: CodePlace,
        size: int | None,
        labels: Mapping[str, str] = MappingProxyType({}),
    ):
        """Nothing is asked for before `take_up`.

        Args:
            resources: of one trainer.
            code: where trainers find the user's.
            size: how many trainers; None for as many as the cluster comes to have room for, of which the fleet asks for
                one more at a time, so that fleets share what becomes free.
            labels: that the nodes of its trainers must have.
        """
        self.resources = resources
        self.size = size
        self.may_grow = True
        """Of a fleet without a size: whether there is work for one more trainer."""
        self.ready: dict[str, TrainerHandle] = {}
        """The trainers that are prepared for the study, by name."""
        self._code = code
        self._labels = labels
        self._counter = itertools.count(1)
        self._asked: dict[Any, Place] = {}  # reference of its being given -> place
        self._placed: dict[str, tuple[Place, TrainerHandle]] = {}  # name -> place and trainer
        self._answers: dict[Any, str] = {}  # answer of `prepare` -> name
        self._settings: dict[str, Any] = {}
        self.load_seconds = LOAD_SECONDS
        """How long a trainer may take to start and prepare, and to check the study."""
        self._preparing: dict[str, float] = {}  # name -> since when
        self._most = _MOST_TRAINERS
        self._was_ready = False
        self._failed_starts = 0
        self._held_until = 0.0

    @property
    def placed(self) -> int:
        """How many trainers have a place, ready or not."""
        return len(self._placed)

    @property
    def awaited(self) -> list[Any]:
        """References to wait for: places that are given, trainers that are prepared."""
        return [*self._asked, *self._answers]

    @property
    def preparing_seconds(self) -> float:
        """How long the trainer has been starting or preparing that takes longest; 0 if none does."""
        return time.monotonic() - min(self._preparing.values()) if self._preparing else 0.0

    def take_up(self, spec: StudySpec) -> None:
        """Prepare for this study, whose resources must be the fleet's; what there is room for starts at once."""
        self._settings = spec.model_dump(mode="json")
        self.load_seconds = spec.load_seconds or LOAD_SECONDS
        self._most = min(_MOST_TRAINERS, spec.budget.trials or _MOST_TRAINERS)
        self.may_grow = True
        self.ready.clear()
        self._answers = {
            trainer.prepare.remote(self._settings, False): name for name, (_, trainer) in self._placed.items()
        }
        self._preparing = dict.fromkeys(self._placed, time.monotonic())
        self.ask()
        asked = list(self._asked)
        if asked:
            self.advance(ray.wait(asked, num_returns=len(asked), timeout=_PLACE_SECONDS)[0])

    def ask(self) -> None:
        """Ask for the places that are missing, or leave those that are not wanted any more to others."""
        wanted = self.size if self.size is not None else min(self._most, self.placed + self.may_grow)
        if time.monotonic() < self._held_until:
            wanted = self.placed
        while self.placed + len(self._asked) < wanted:
            place = Place(self.resources, self._labels)
            self._asked[place.given] = place
        while self._asked and self.placed + len(self._asked) > wanted:
            self._asked.popitem()[1].give_back()

    def advance(self, references: Iterable[Any]) -> dict[str, TrainerHandle]:
        """Go on after these references, of which those that are `awaited` count; returns the trainers ready now.

        Raises:
            InputError: the study is refused, and no trainer has taken it.
            ServiceError: trainers do not start, and none is ready.
        """
        joined = {}
        for reference in references:
            if reference in self._asked:
                self._start_on(self._asked.pop(reference))
            elif reference in self._answers:
                name = self._answers.pop(reference)
                if self._is_prepared(name, reference):
                    joined[name] = self.ready[name] = self._placed[name][1]
        self._end_slow()
        self.ask()
        return joined

    def replace(self, name: str) -> None:
        """End a trainer, and start another one on its place, or ask for a new place if its node is gone."""
        if name not in self._placed:
            return
        self.ready.pop(name, None)
        self._preparing.pop(name, None)
        place, trainer = self._placed.pop(name)
        self._answers = {answer: other for answer, other in self._answers.items() if other != name}
        ray.kill(trainer)
        if place.is_alive and time.monotonic() >= self._held_until:
            self._start_on(place)
        else:
            place.give_back()
        self.ask()

    def end(self) -> None:
        """End all trainers, and give their places back."""
        for place in [*self._asked.values(), *(place for place, _ in self._placed.values())]:
            place.give_back()
        for waiting in (self._asked, self._placed, self._answers, self.ready, self._preparing):
            waiting.clear()

    def _start_on(self, place: Place) -> None:
        name = f"trainer-{next(self._counter)}"
        at_once = self.resources.trials_at_once
        trainer = place.start(
            TrainerActor,
            self.resources.model_dump(),
            self._code,
            calls_at_once=1 if at_once == 1 else at_once + _ERRANDS,
        )
        self._placed[name] = place, trainer
        self._preparing[name] = time.monotonic()
        self._answers[trainer.prepare.remote(self._settings, False)] = name

    def _is_prepared(self, name: str, answer: Any) -> bool:
        """Whether a trainer is ready for the study; one that is not is replaced."""
        try:
            refusal = ray.get(answer)
            if not refusal:
                self._preparing.pop(name, None)
                self._was_ready = True
                self._failed_starts = 0
                return True
            if not self.ready:
                raise InputError(refusal)
            reason = f"it refuses the study: {refusal}"
        except ray.exceptions.ActorUnavailableError:
            time.sleep(_DOUBT_SECONDS)  # Ray takes a while to know whether the node is dead
            self._answers[self._placed[name][1].prepare.remote(self._settings, False)] = name
            return False
        except ray.exceptions.RayError as error:
            if node_died(error):
                _log.warning("the node of %s died before it was ready", name)
                self.replace(name)
                return False
            reason = str(error).strip().splitlines()[-1]
            if isinstance(error, ray.exceptions.RayTaskError) and not self.ready:
                raise ServiceError(f"a trainer cannot prepare for the study: {reason}") from error
        self._count_failed_start(name, reason)
        self.replace(name)
        return False

    def _end_slow(self) -> None:
        """End the trainers that have been preparing for too long: the user's code or loader may wait for ever.

        Raises:
            ServiceError: none is ready, so that the study cannot begin.
        """
        now = time.monotonic()
        for name, since in list(self._preparing.items()):
            if now - since < self.load_seconds:
                continue
            reason = f"it did not load the study's code and data within {self.load_seconds:.0f} s (load_seconds)"
            if not self.ready:
                raise ServiceError(
                    f"a trainer must load the study's code and data within {self.load_seconds:.0f} s (load_seconds); "
                    f"{name} did not: see what the import or the loader {self._settings.get('data')!r} waits for, or "
                    "set load_seconds higher"
                )
            self._count_failed_start(name, reason)
            self.replace(name)

    def _count_failed_start(self, name: str, reason: str) -> None:
        self._failed_starts += 1
        _log.warning("%s did not start: %s", name, reason)
        if self._failed_starts < (_FAILED_STARTS if self._was_ready else _FAILED_FIRST_STARTS):
            return
        if not self.ready:
            raise ServiceError(f"trainers do not start: {reason}")
        self._held_until = time.monotonic() + _HOLD_SECONDS  # the study goes on with those it has
