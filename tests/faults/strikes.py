"""Strikes: whom a storm kills or freezes, when, and what it notes of that.

Knows victims, signals and gates. Must not know studies, nor what must hold of them.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil
import psycopg

from tests.faults.gates import END_STEPS, MOMENTS, STEPS, Gate
from tests.faults.processes import KINDS, kind_of, living, of_kind

__all__ = ["Strikes"]

_GATE_SECONDS = 6.0
_END_SECONDS = 60.0
_FREEZE_SECONDS = (0.3, 5.0)
_WEIGHTS = {
    "trainer": 4, "coordinator": 9, "workers": 2, "front": 1, "raylet": 1, "gcs": 1, "postmaster": 1, "backend": 3,
    "group": 2, "all": 1, "freeze": 3, "terminated-backend": 3, "gate": 14,
}  # fmt: skip
"""How often each is drawn; a new coordinator is there in seconds, a new Ray is not."""
_AT_GATES = (*["coordinator"] * 6, *["backend"] * 2, "trainer", "workers", "group", "raylet", "all", "postmaster")


@dataclass
class Strikes:
    """All strikes of a storm, drawn from its seed."""

    rng: random.Random
    url: str
    kills: Counter[str] = field(default_factory=Counter)
    """Deaths that were brought about, by victim; at a gate also by step and moment."""
    freezes: int = 0
    missed: int = 0
    """Strikes that found no victim, and gates at which nobody came by."""
    _connection: psycopg.Connection[tuple[object, ...]] | None = None

    @property
    def total(self) -> int:
        """Kills so far."""
        return sum(count for name, count in self.kills.items() if " " not in name)

    def draw(self) -> str:
        """What to do next."""
        return self.rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]

    def strike_end(self, front: int) -> str | None:
        """Wait for one of the last steps of a study, and strike there."""
        return self._at_gate(front, END_STEPS, _END_SECONDS)

    def strike(self, what: str, front: int) -> str | None:
        """Do it; returns a line about it, None where there was nobody to strike.

        Args:
            what: a name from `draw`.
            front: the front process's id.
        """
        if what == "gate":
            return self._at_gate(front, STEPS, _GATE_SECONDS)
        if what == "freeze":
            return self._freeze()
        return self._kill(what, front)

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()

    # -- kills --------------------------------------------------------------------------------------------------------

    def _kill(self, what: str, front: int) -> str | None:
        if what == "terminated-backend":
            return self._terminate_backend()
        if what == "group":
            try:
                os.killpg(front, signal.SIGKILL)
            except ProcessLookupError:
                return self._miss()
            self.kills[what] += 1
            return f"killed the process group {front}"
        if what == "all":
            victims = [one for one in living() if kind_of(one) not in ("backend", "postmaster")]
            victims = [one for one in victims if not _is_of_postgres(one)]
            if not victims:
                return self._miss()
            for victim in victims:
                _send(victim, signal.SIGKILL)
            self.kills[what] += 1
            return f"killed {len(victims)} processes at once"
        found = of_kind(what, but=[self._own_backend()] if what == "backend" else [])
        if not found:
            return self._miss()
        victim = self.rng.choice(found)
        if not _send(victim, signal.SIGKILL):
            return self._miss()
        self.kills[what] += 1
        return f"killed {what} {victim.pid}"

    def _terminate_backend(self) -> str | None:
        try:
            rows = self._connected().execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            pids = [int(str(row[0])) for row in rows.fetchall()]
            if not pids:
                return self._miss()
            pid = self.rng.choice(pids)
            self._connected().execute("SELECT pg_terminate_backend(%s)", (pid,))
        except psycopg.OperationalError:
            return self._miss()
        self.kills["terminated-backend"] += 1
        return f"had the server end backend {pid}"

    def _freeze(self) -> str | None:
        kind = self.rng.choice([kind for kind in KINDS if kind != "postmaster"])
        found = of_kind(kind, but=[self._own_backend()])
        if not found:
            return self._miss()
        victim, seconds = self.rng.choice(found), self.rng.uniform(*_FREEZE_SECONDS)
        if not _send(victim, signal.SIGSTOP):
            return self._miss()
        time.sleep(seconds)
        _send(victim, signal.SIGCONT)
        self.freezes += 1
        return f"froze {kind} {victim.pid} for {seconds:.1f} s"

    # -- at durable steps ---------------------------------------------------------------------------------------------

    def _at_gate(self, front: int, steps: Sequence[str], seconds: float) -> str | None:
        step, moment, what = self.rng.choice(steps), self.rng.choice(MOMENTS), self.rng.choice(_AT_GATES)
        try:
            with Gate(self._connected(), step, moment) as gate:
                if not gate.wait(seconds):
                    return self._miss()
                told = self._kill(what, front)
        except psycopg.OperationalError:
            self._connection = None
            return self._miss()
        if told is None:
            return None
        self.kills[f"{moment} {step}"] += 1
        return f"{moment} {step} was stored: {told}"

    # -- inside -------------------------------------------------------------------------------------------------------

    def _miss(self) -> None:
        self.missed += 1

    def _connected(self) -> psycopg.Connection[tuple[object, ...]]:
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = psycopg.connect(self.url, autocommit=True, connect_timeout=5)
        return self._connection

    def _own_backend(self) -> int:
        if self._connection is None or self._connection.closed or self._connection.broken:
            return 0
        return self._connection.info.backend_pid


def _is_of_postgres(process: psutil.Process) -> bool:
    try:
        return bool(process.name() in ("postgres", "pg_ctl"))
    except psutil.Error:
        return False


def _send(process: psutil.Process, number: int) -> bool:
    try:
        process.send_signal(number)
    except psutil.Error:
        return False
    return True
