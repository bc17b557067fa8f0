"""XLA where it pays: tried once an architecture has trained long enough to repay the compilation, kept if faster.

Knows seconds. Must not know what either program is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from math import inf
from typing import Any

from bandstand_workers.programs.loop import EpochProgram, Order

__all__ = ["MeasuredProgram"]


class MeasuredProgram:
    """Trains by the plain program first, then by the one that XLA compiled, then by whichever was faster.

    Renting until the rent would have bought: the other program is tried when training has taken as long as compiling it
    may take, so a training never takes much more than twice what the better choice would have (the ski rental problem:
    Karlin et al., "Competitive snoopy caching", Algorithmica 3, 1988).
    """

    def __init__(self, plain: EpochProgram, make_other: Callable[[], EpochProgram], after_seconds: float = 20.0):
        """`make_other` is called when training by `plain` has taken `after_seconds`."""
        self._plain = plain
        self._make_other = make_other
        self._after_seconds = after_seconds
        self._other: EpochProgram | None = None
        self._chosen: EpochProgram | None = None
        self._trained_seconds = 0.0
        self._best = {True: inf, False: inf}  # seconds a step: of the plain program, of the other
        self._calls = 0
        self.steps = plain.steps

    @property
    def uses_other(self) -> bool:
        """Whether the program that XLA compiled has been chosen."""
        return self._chosen is not None and self._chosen is self._other

    def training(self) -> AbstractContextManager[None]:
        """As `EpochProgram.training`."""
        return self._plain.training()

    def begin_epoch(self) -> None:
        """Set the metrics to naught; both programs have the same model's."""
        self._plain.begin_epoch()

    def train(self, order: Order, first_step: int, last_step: int) -> dict[str, float]:
        """As `EpochProgram.train`."""
        if self._chosen is not None:
            return self._chosen.train(order, first_step, last_step)
        if self._other is None and self._trained_seconds >= self._after_seconds:
            self._other, self._calls = self._make_other(), 0
        program = self._other or self._plain
        began = time.monotonic()
        logs = program.train(order, first_step, last_step)
        seconds = time.monotonic() - began
        self._trained_seconds += seconds
        self._calls += 1
        if self._calls > 1:  # the first call compiles
            is_plain = program is self._plain
            self._best[is_plain] = min(self._best[is_plain], seconds / (last_step - first_step))
        if self._other is not None and self._calls > 2:
            self._chosen = self._other if self._best[False] < self._best[True] else self._plain
        return logs

    def validate(self) -> dict[str, float]:
        """As `EpochProgram.validate`."""
        return (self._chosen or self._plain).validate()

    def probe(self, *, train: bool) -> tuple[Any, dict[str, float]]:
        """As `EpochProgram.probe`."""
        return self._plain.probe(train=train)

    def own_step(self, model: Any, batch: Any, *, train: bool) -> dict[str, float]:
        """As `EpochProgram.own_step`."""
        return self._plain.own_step(model, batch, train=train)

    def retrace(self) -> None:
        """As `EpochProgram.retrace`."""
        self._plain.retrace()
        self._other = self._chosen = None

    def hidden_state(self, variables: Iterable[Any]) -> str | None:
        """As `EpochProgram.hidden_state`."""
        return self._plain.hidden_state(variables)

    def unknown_constants(self, variables: Iterable[Any], tensors: Collection[int]) -> str | None:
        """As `EpochProgram.unknown_constants`."""
        return self._plain.unknown_constants(variables, tensors)
