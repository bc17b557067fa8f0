"""The trainers of a study: which there are, which trials each has under way, who is to go.

Knows names. Must not know what a trial is, nor how a trainer is told anything.
"""

from __future__ import annotations

from bandstand_workers.fleet.handles import TrainerHandle

__all__ = ["TrainerPool"]


class TrainerPool:
    """Trainers by name, each with as many *seats* as it trains trials at once."""

    def __init__(self, trials_at_once: int):
        """Nobody is there yet."""
        self.trainers: dict[str, TrainerHandle] = {}
        """Those that are there, by name."""
        self._at_once = trials_at_once
        self._under_way: dict[str, tuple[str, int]] = {}  # seat -> its trainer, its trial
        self._leaving: dict[str, str] = {}  # trainer -> why it is given no more work
        self._died_with: dict[str, frozenset[int]] = {}

    def join(self, name: str, trainer: TrainerHandle) -> None:
        """A trainer is there."""
        self.trainers[name] = trainer

    def seats_of(self, name: str) -> list[str]:
        """The names of a trainer's seats; its own where it has one."""
        if self._at_once == 1:
            return [name]
        return [f"{name}.{number}" for number in range(1, self._at_once + 1)]

    @property
    def seats(self) -> int:
        """How many trials can be trained at the same time."""
        return len(self.trainers) * self._at_once

    @property
    def busy(self) -> int:
        """How many trainers have anything under way."""
        return len({name for name, _ in self._under_way.values()})

    @property
    def busy_names(self) -> list[str]:
        """The trainers that have anything under way, once for each trial."""
        return [name for name, _ in self._under_way.values()]

    @property
    def idle(self) -> int:
        """How many trainers that are there have nothing under way."""
        return len(self.trainers.keys() - {name for name, _ in self._under_way.values()})

    def begins(self, seat: str, name: str, trial: int) -> None:
        """A trainer begins a trial."""
        self._under_way[seat] = name, trial

    def ends(self, seat: str) -> None:
        """What a seat had under way has ended, however."""
        self._under_way.pop(seat, None)

    def under_way(self, name: str) -> frozenset[int]:
        """The trials that a trainer has under way."""
        return frozenset(trial for trainer, trial in self._under_way.values() if trainer == name)

    def died_with(self, name: str) -> frozenset[int]:
        """The trials that a dead trainer had under way when this was first asked, say by the first to notice."""
        return self._died_with.setdefault(name, self.under_way(name))

    def works(self, name: str) -> bool:
        """Whether a trainer is to be given work."""
        return name in self.trainers and name not in self._leaving

    def dismiss(self, name: str, reason: str) -> None:
        """Give a trainer no more work; what it has under way goes on."""
        self._leaving.setdefault(name, reason)

    def dismissed(self, name: str) -> str | None:
        """Why a trainer may go now, its work done; None if it may not."""
        return None if self.under_way(name) else self._leaving.get(name)

    def leave(self, name: str) -> bool:
        """A trainer is gone; whether it was there until now."""
        self._leaving.pop(name, None)
        return self.trainers.pop(name, None) is not None
