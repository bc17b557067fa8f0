"""Whether a study goes on with the code that it began with.

Knows fingerprints, and what the user is told of a change. Must not know sources, nor who allowed the change.
"""

from __future__ import annotations

from bandstand.search.state import SearchState
from bandstand.trials.code_fingerprint import CodePrint, changed_parts, note_on_code, refusal_of_code
from bandstand.trials.events import CodeSeen

__all__ = ["OneCode"]


class OneCode:
    """The code of one study."""

    def __init__(self, state: SearchState):
        """For the study that stands there."""
        self._state = state

    def take(self, code: CodePrint, replayed: CodePrint | None = None) -> None:
        """This code trains from now on. A change of code that has trained epochs is noted.

        Args:
            code: of the trainers; without parts, nothing is known of it.
            replayed: that of the study that this one replays, if it is one.
        """
        history = self._state.history
        former = history.code if history.ledger.epochs else replayed
        if former is not None and (changed := changed_parts(former, code)):
            self._state.note(note_on_code(changed))
        if code.parts and code != history.code:
            self._state.record(CodeSeen(python=code.python, parts=code.parts))

    def compare(self, code: CodePrint, *, may_differ: bool = False) -> str | None:
        """Hold a trainer's code against the study's, as a file may have changed since the study was started.

        Args:
            code: as the trainer has imported it.
            may_differ: whether other code is taken, and noted.

        Returns:
            Why the trainer is to be given no work; None where it may.
        """
        known = self._state.history.code
        changed = [] if known is None else changed_parts(known, code, in_both=True)
        if changed and may_differ:
            self._state.note(note_on_code(changed))
        return refusal_of_code(changed, "this run of the study began") if changed and not may_differ else None
