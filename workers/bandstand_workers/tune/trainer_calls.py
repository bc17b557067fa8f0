"""Calls of trainers, on their way from the coordinator to whichever process Tune finds for them, and back.

Lives on the coordinator's event loop. Must not know Tune, nor what a call is about.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray

from bandstand.errors import ServiceError
from bandstand_workers.fleet.handles import RemoteMethod

__all__ = ["Suggestion", "TrainerCall", "TrainerCalls", "TuneTrainer", "TuneTrainers"]

_STARTS = 5
"""How often in a row a process may die before it takes its call, after which a study cannot be run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainerCall:
    """A method of `Trainer` that is to be called."""

    number: int
    method: str
    arguments: tuple[Any, ...]
    config: Mapping[str, Any]
    """What Tune is told of it: plain values, as Tune writes them into its files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """What Tune may do next."""

    config: dict[str, Any] | None = None  # of a call; None: nothing for now
    over: bool = False  # there will be no more calls


class TrainerCalls:
    """The calls of one study. Each is suggested to Tune, taken once by a process, answered by it, and completed.

    It is completed when Tune knows that it is over. The coordinator hears of the answer only then, so that it never has
    more calls than Tune has processes.
    """

    def __init__(self) -> None:
        self._numbered = 0
        self._new: deque[TrainerCall] = deque()
        self._suggested: dict[int, TrainerCall] = {}
        self._waiting: dict[int, asyncio.Future[Any]] = {}  # of calls that are not completed
        self._answers: dict[int, Any] = {}
        self._takers: dict[int, Any] = {}  # call -> the process that does it
        self._untaken = 0  # processes in a row that died before they took their call
        self._over = False
        self._changed = asyncio.Event()

    @property
    def latest(self) -> int:
        """The number of the call that was asked for last."""
        return self._numbered

    def ask(self, method: str, arguments: tuple[Any, ...], config: Mapping[str, Any]) -> asyncio.Future[Any]:
        """Have a method called; the future is its answer.

        The future raises:
            RayActorError: the process died under it.
            RayTaskError: the method raised.
            ServiceError: Tune does not get a process to begin with it.
        """
        self._numbered += 1
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[self._numbered] = waiting
        self._new.append(TrainerCall(number=self._numbered, method=method, arguments=arguments, config=config))
        self._changed.set()
        return waiting

    async def suggest(self, wait_seconds: float) -> Suggestion:
        """The config of the next call, if there is one within this time."""
        if not self._new and not self._over:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), wait_seconds)
            except TimeoutError:
                return Suggestion()
        if not self._new:
            return Suggestion(over=self._over)
        call = self._new.popleft()
        self._suggested[call.number] = call
        return Suggestion(config={"call": call.number, "method": call.method, **call.config})

    def take(self, number: int, process: Any = None) -> TrainerCall | None:
        """What is to be done, for the process that begins with it, by its actor handle; None where another has."""
        self._untaken = 0
        call = self._suggested.pop(number, None)
        if call is not None:
            self._takers[number] = process
        return call

    @property
    def has_begun(self) -> bool:
        """Whether a process does a call."""
        return bool(self._takers)

    def taker(self, number: int) -> Any:
        """The process that does a call; None if none has begun with it."""
        return self._takers.get(number)

    def answer(self, number: int, value: Any) -> None:
        """The method returned this, or raised it."""
        if number in self._waiting:
            self._answers[number] = value

    def complete(self, number: int) -> None:
        """Tune is done with it. Without an answer the process has died; another begins where this one had not."""
        call = self._suggested.pop(number, None)
        if call is not None:
            self._untaken += 1
            if self._untaken < _STARTS:
                self._new.appendleft(call)
                self._changed.set()
                return
            self._answers[number] = ServiceError(f"Ray Tune did not get a process to start, {_STARTS} times in a row")
        self._takers.pop(number, None)
        waiting = self._waiting.pop(number, None)
        died = ray.exceptions.RayActorError(error_msg="the process that Ray Tune gave it died")
        value = self._answers.pop(number, died)
        if waiting is None or waiting.done():
            return
        if isinstance(value, BaseException):
            waiting.set_exception(value)
        else:
            waiting.set_result(value)

    def close(self) -> None:
        """There will be no more."""
        self._over = True
        self._changed.set()


class TuneTrainer:
    """What the coordinator takes for a trainer's handle: its calls wait for a process."""

    def __init__(self, calls: TrainerCalls):
        self.latest_call = 0
        """The number of its latest call, which is the only one that may be under way."""
        self.prepare: RemoteMethod = _Method(self, calls, "prepare")
        self.train: RemoteMethod = _Method(self, calls, "train")
        self.make_model: RemoteMethod = _Method(self, calls, "make_model")
        self.combine: RemoteMethod = _Method(self, calls, "combine")
        self.evaluate: RemoteMethod = _Method(self, calls, "evaluate")
        self.wait_for_checkpoints: RemoteMethod = _Nothing()  # its process does so after each call
        self.check: RemoteMethod = _Method(self, calls, "check")
        self.inputs: RemoteMethod = _Method(self, calls, "inputs")
        self.baseline_memory_bytes: RemoteMethod = _Method(self, calls, "baseline_memory_bytes")
        self.memory_bytes: RemoteMethod = _Method(self, calls, "memory_bytes")


class _Method:
    """Called like a method of an actor handle."""

    def __init__(self, trainer: TuneTrainer, calls: TrainerCalls, name: str):
        self._trainer = trainer
        self._calls = calls
        self._name = name

    def remote(self, *arguments: Any) -> asyncio.Future[Any]:
        """See `TrainerCalls.ask`."""
        config: dict[str, Any] = {}
        if self._name == "train":
            _, assignment, *_ = arguments
            config = {"trial": assignment.trial, "attempt": assignment.attempt, "params": dict(assignment.params)}
        answer = self._calls.ask(self._name, arguments, config)
        self._trainer.latest_call = self._calls.latest
        return answer


class _Nothing:
    """Called like a method of an actor handle that has nothing to do."""

    def remote(self, *arguments: Any) -> asyncio.Future[Any]:
        """A call that has ended."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class TuneTrainers:
    """The stand-ins of one study, by names that are unique in its run."""

    def __init__(self, calls: TrainerCalls):
        self._calls = calls
        self._count = 0

    def add(self) -> tuple[str, TuneTrainer]:
        """One more: its name, and what stands for its handle."""
        self._count += 1
        return f"trainer-{self._count}", TuneTrainer(self._calls)
