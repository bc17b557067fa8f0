"""A plugin of pytest that runs the tests once, to see which enter which function, and then once for each change.

Knows pytest and processes: each change is made in a process of its own, forked when all tests are collected. Must not
know what a change is.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import pytest

from tests.mutation.mutants import Mutant, apply, function_of

__all__ = ["Mutating"]

Key = tuple[str, str]


@dataclass
class Mutating:
    """The tests of a session, and what they say of each change."""

    mutants: Sequence[Mutant]
    seconds: float
    """How long a change is looked for, plus as long as the tests take without one."""
    survivors: list[Mutant] = field(default_factory=list)
    untested: list[Mutant] = field(default_factory=list)
    killed: int = 0
    impossible: int = 0
    _entered: dict[Key, set[int]] = field(default_factory=lambda: defaultdict(set))
    _durations: list[float] = field(default_factory=list)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of running the tests once."""
        if session.testsfailed or session.config.option.collectonly:
            return False
        self._watch(session)
        if session.testsfailed:
            print("tests fail without any change", flush=True)
            return True
        for number, mutant in enumerate(self.mutants, 1):
            self._try(session, mutant)
            if number % 50 == 0:
                self._tell(number)
        return True

    def _tell(self, number: int) -> None:
        left = f"{len(self.survivors)} survive, {len(self.untested)} are in code that no test enters"
        print(
            f"{time.strftime('%H:%M:%S')} {number} of {len(self.mutants)} changes: {self.killed} noticed, {left}",
            flush=True,
        )

    # -- which tests enter what ---------------------------------------------------------------------------------------

    def _watch(self, session: pytest.Session) -> None:
        codes: dict[Any, Key] = {}
        for key in {(mutant.module, mutant.function) for mutant in self.mutants}:
            function = function_of(*key)
            if function is not None:
                codes[function.__code__] = key
        number = 0

        def note(frame: FrameType, event: str, _: object) -> None:
            if event == "call" and (key := codes.get(frame.f_code)) is not None:
                self._entered[key].add(number)

        for number, item in enumerate(session.items):
            begun = time.perf_counter()
            sys.setprofile(note)
            try:
                _run(session, number, item)
            finally:
                sys.setprofile(None)
            self._durations.append(time.perf_counter() - begun)

    # -- one change ---------------------------------------------------------------------------------------------------

    def _try(self, session: pytest.Session, mutant: Mutant) -> None:
        entering = sorted(self._entered[mutant.module, mutant.function], key=lambda number: self._durations[number])
        if not entering:
            self.untested.append(mutant)
            return
        chosen, needed = [], 0.0
        for number in entering:
            needed += self._durations[number]
            if chosen and needed > self.seconds:
                break
            chosen.append(number)
        noticed = self._in_a_fork(session, mutant, chosen, 10 + 5 * min(needed, 2 * self.seconds))
        if noticed is None:
            self.impossible += 1
        elif noticed:
            self.killed += 1
        else:
            self.survivors.append(mutant)

    def _in_a_fork(self, session: pytest.Session, mutant: Mutant, chosen: list[int], seconds: float) -> bool | None:
        """Whether a test fails, or never ends; None where the change cannot be made."""
        sys.stdout.flush()
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            answer = b"?"
            try:
                if apply(mutant):
                    answer = b"0"
                    for number in chosen:
                        _run(session, number, session.items[number])
                        if session.testsfailed:
                            answer = b"1"
                            break
            except BaseException:  # noqa: BLE001  # whatever is raised here, the change did it
                answer = b"1"
            finally:
                os.write(write, answer)
                os._exit(0)
        os.close(write)
        try:
            ready, _, _ = select.select([read], [], [], seconds)
            answer = os.read(read, 1) if ready else b"1"  # it runs for ever
        finally:
            os.close(read)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        return None if answer == b"?" else answer != b"0"


def _run(session: pytest.Session, number: int, item: pytest.Item) -> None:
    following = session.items[number + 1] if number + 1 < len(session.items) else None
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
