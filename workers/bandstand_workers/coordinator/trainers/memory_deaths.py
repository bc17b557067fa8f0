"""Which trials ran out of memory, and which of them get one more chance alone.

Knows what trainers said of their memory, and what they died of. Must not know how a trial is ended or begun again.

A trial may run out of memory although it would fit: others train in the same process or on the same machine, or have
left their models behind. Such a trial is begun once more, in a fresh process, while nothing else of the study trains on
that machine. If it runs out again, it is too large.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from bandstand.trials.failure_kinds import memory_message
from bandstand_workers.internals.ray_parts import says_out_of_memory
from bandstand_workers.messages import MemoryWord

__all__ = ["MemoryDeaths"]


class MemoryDeaths:
    """What is known of the memory of one study's trials."""

    def __init__(self) -> None:
        self._words: dict[int, MemoryWord] = {}  # trial -> the last of its attempt
        self._nodes: dict[str, str] = {}  # trainer -> its machine
        self._wanted: dict[int, str] = {}  # trial that is to be begun again alone -> the machine where it ran out
        self._retried: set[int] = set()
        self._alone: dict[int, str] = {}  # trial that trains alone -> its trainer

    # -- what it died of ----------------------------------------------------------------------------------------------

    def begins(self, trial: int) -> None:
        """An attempt of a trial begins, of which nothing is known."""
        self._words.pop(trial, None)

    def heard(self, trial: int, word: MemoryWord) -> None:
        """The process of a trial says how much memory it has."""
        self._words[trial] = word

    def message(self, trial: int, under_way: Iterable[int], error: BaseException, batch_size: int) -> str | None:
        """What a process died of, for people, where it died for want of memory; None where it did not.

        Args:
            trial: one of those that were under way.
            under_way: all of them.
            error: that Ray tells of the death.
            batch_size: of the trial.
        """
        word = self._words.get(trial) or next((self._words[each] for each in under_way if each in self._words), None)
        if word is None:
            return memory_message(killed=True, batch_size=batch_size) if says_out_of_memory(error) else None
        return memory_message(
            used_bytes=word.used_bytes,
            limit_bytes=word.limit_bytes,
            of_machine=word.machine,
            parameters=word.parameters,
            batch_size=batch_size,
        )

    def had_company(self, trial: int, others_train: bool) -> bool:
        """Whether others may have taken the memory that a dead process lacked."""
        word = self._words.get(trial)
        if word is None:
            return others_train
        return word.crowded or (word.machine and others_train)

    # -- one more chance ----------------------------------------------------------------------------------------------

    def retries_alone(self, trial: int, name: str) -> bool:
        """Whether a trial that ran out of memory beside others is to be begun once more; true once for each trial."""
        if trial in self._retried:
            return False
        self._retried.add(trial)
        self._wanted[trial] = self._nodes.get(name, "")
        return True

    def seen_on(self, name: str, node: str) -> None:
        """A trainer is on this machine."""
        self._nodes[name] = node

    def to_begin(self, waiting: Container[int]) -> int | None:
        """The trial that is to be begun alone next; None where none is."""
        self._wanted = {trial: node for trial, node in self._wanted.items() if trial in waiting}
        return next(iter(self._wanted), None)

    def must_wait(self, name: str, busy: Iterable[str]) -> bool:
        """Whether a trainer may begin nothing now, for another trial of its machine trains alone or is to.

        Args:
            name: the trainer.
            busy: the trainers that train anything, once for each trial.
        """
        if any(self._share(name, other) for other in self._alone.values()):
            return True
        if not self._wanted or not any(self._share(name, other) for other in busy):
            return False
        node = self._nodes.get(name, "")
        return any(not node or not wanted or wanted == node for wanted in self._wanted.values())

    def begins_alone(self, trial: int, name: str) -> None:
        """A trainer begins with the trial that was `to_begin`, if it is that one."""
        if self._wanted.pop(trial, None) is not None:
            self._alone[trial] = name

    def ends(self, trial: int) -> None:
        """A trial is not under way any more."""
        self._alone.pop(trial, None)

    def _share(self, one: str, other: str) -> bool:
        """Whether two trainers are on one machine, as far as is known."""
        nodes = self._nodes.get(one, ""), self._nodes.get(other, "")
        return one == other or not all(nodes) or nodes[0] == nodes[1]
