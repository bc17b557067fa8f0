"""Calls of several threads made as one: those that want the same thing at the same time share a call.

Knows threads and a clock. Must not know what is called.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["Together"]

_LEAST_PATIENCE, _MOST_PATIENCE = 0.02, 1.0
"""Seconds that a call waits for a member that lags behind: about as long as the last call took, within these bounds."""


class Together:
    """Members that call in step, such as trainings whose epochs take equally long.

    A call waits until every member has called, unless one takes too long: then those who are there go on without it.
    One call is under way at a time; whoever calls meanwhile goes with the next.
    """

    def __init__(self, run: Callable[[Any, list[Any]], Sequence[Any]]):
        """`run(kind, requests)` answers several requests of one kind, in their order."""
        self._run = run
        self._changed = threading.Condition()
        self._members = 0
        self._calls: list[_Call] = []
        self._running = False
        self._patience = _MOST_PATIENCE

    @contextmanager
    def member(self) -> Iterator[None]:
        """While the calling thread is one for whom the others wait."""
        with self._changed:
            self._members += 1
        try:
            yield
        finally:
            with self._changed:
                self._members -= 1
                self._changed.notify_all()

    def ask(self, kind: Hashable, request: Any) -> Any:
        """The answer to a request, which may have been run together with others of its kind.

        Raises:
            Exception: whatever `run` raised, for every request that it was given.
        """
        call = _Call(kind, request)
        with self._changed:
            self._calls.append(call)  # nobody needs to wake for it: if it is the last that is waited for, it runs them
            impatient_at = time.monotonic() + self._patience
            while not call.done:
                wait = impatient_at - time.monotonic()
                if self._running:
                    self._changed.wait()
                elif len(self._calls) >= self._members or wait <= 0:
                    self._run_commonest()
                else:
                    self._changed.wait(wait)
        if call.error is not None:
            raise call.error
        return call.answer

    def _run_commonest(self) -> None:
        """Run the calls of the kind that most have; those who called lock on entry and on return, not meanwhile."""
        kind = Counter(call.kind for call in self._calls).most_common(1)[0][0]
        group = [call for call in self._calls if call.kind == kind]
        self._calls = [call for call in self._calls if call.kind != kind]
        self._running = True
        self._changed.release()
        began = time.monotonic()
        try:
            answers, error = self._run(kind, [call.request for call in group]), None
        except BaseException as raised:  # noqa: BLE001  # it is every caller's, who are other threads
            answers, error = [None] * len(group), raised
        finally:
            seconds = time.monotonic() - began
            self._changed.acquire()
        self._running = False
        self._patience = min(max(seconds, _LEAST_PATIENCE), _MOST_PATIENCE)
        for call, answer in zip(group, answers, strict=True):
            call.answer, call.error, call.done = answer, error, True
        self._changed.notify_all()


class _Call:
    """What one thread wants."""

    def __init__(self, kind: Hashable, request: Any):
        self.kind = kind
        self.request = request
        self.answer: Any = None
        self.error: BaseException | None = None
        self.done = False
