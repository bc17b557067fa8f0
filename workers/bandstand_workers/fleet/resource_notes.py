"""What is said of a study that waits for resources.

Knows what the cluster has and what a trainer takes. Must not know what a study does with its trainers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import ray

from bandstand.locations import ray_address
from bandstand.report.text import counted
from bandstand.study.study_spec import Resources
from bandstand_workers.fleet.fleet import Fleet
from bandstand_workers.fleet.places import bundle_of

__all__ = ["ResourceNotes", "describe_bundle", "note_of_size", "note_of_waiting"]

_SOON_SECONDS = 1.5
"""A cluster with room gives a place within milliseconds; what takes longer is waiting."""
_PATIENCE_SECONDS = 60.0
_COUNT_SECONDS = 15.0
_UNITS = {"CPU": ("CPU", "CPUs"), "GPU": ("GPU", "GPUs"), "memory": ("GB of memory", "GB of memory")}


def describe_bundle(bundle: Mapping[str, float]) -> str:
    """Resources in words: `2 CPUs, 1 GPU`."""
    amounts = {name: amount / 1e9 if name == "memory" else amount for name, amount in bundle.items()}
    return ", ".join(f"{round(amount, 2):g} {_UNITS[name][amount != 1]}" for name, amount in amounts.items())


def note_of_waiting(bundle: Mapping[str, float], there: Mapping[str, float], free: Mapping[str, float]) -> str:
    """That no trainer has a place yet; `there` and `free` are what the cluster has and has free."""
    has = describe_bundle({name: there.get(name, 0.0) for name in bundle})
    left = describe_bundle({name: free.get(name, 0.0) for name in bundle})
    return f"waiting for resources: each trainer needs {describe_bundle(bundle)}; the cluster has {has} (free: {left})"


def note_of_size(bundle: Mapping[str, float], nodes: list[Mapping[str, float]]) -> str | None:
    """That no node could hold a trainer; None if one could."""
    if any(all(node.get(name, 0.0) >= amount for name, amount in bundle.items()) for node in nodes):
        return None
    return (
        f"no node of the cluster is large enough for a trainer ({describe_bundle(bundle)}). The study waits for the "
        "autoscaler to add one. If no node type is large enough, stop the study and set smaller resources"
    )


class ResourceNotes:
    """Tells of what a fleet waits for, each thing once as long as it lasts. A local Ray has all resources at once."""

    def __init__(self, fleet: Fleet, note: Callable[[str], None]):
        """`note` is given sentences for the user."""
        self._fleet = fleet
        self._note = note
        self._waiting_since: float | None = None
        self._told_waiting = False
        self._told_size = False
        self._told_loading = False
        self._told_checking = False
        self._told_count: int | None = None
        self._counted_at = time.monotonic()

    def look(self) -> None:
        """See how things stand; to be called a few times a second."""
        self._look_at_loading()
        if ray_address() is None:
            return
        now = time.monotonic()
        if self._fleet.placed:
            self._waiting_since, self._told_waiting = None, False
            if now - self._counted_at >= _COUNT_SECONDS:
                self._counted_at = now
                self._tell_count()
            return
        if self._waiting_since is None:
            self._waiting_since = now
        if not self._told_waiting and now - self._waiting_since >= _SOON_SECONDS:
            self._told_waiting = True
            self._tell_waiting(self._fleet.resources)
        if not self._told_size and now - self._waiting_since >= _PATIENCE_SECONDS:
            self._told_size = True
            self._tell_size(self._fleet.resources)

    def checking(self, seconds: float) -> None:
        """The study has been checked for so long."""
        if not self._told_checking and seconds >= self._soon:
            self._told_checking = True
            self._note(
                f"the study has been checked for {seconds:.0f} s: its builder makes a model, or a batch is trained. "
                f"{self._limit}"
            )

    def _look_at_loading(self) -> None:
        seconds = self._fleet.preparing_seconds
        if not self._told_loading and seconds >= self._soon:
            self._told_loading = True
            self._note(
                f"a trainer has been starting, importing the study's code or loading its data for {seconds:.0f} s. "
                f"{self._limit}"
            )

    @property
    def _soon(self) -> float:
        """After so many seconds users are told."""
        return min(_PATIENCE_SECONDS, self._fleet.load_seconds / 2)

    @property
    def _limit(self) -> str:
        return f"It is ended after {self._fleet.load_seconds:.0f} s; the setting load_seconds changes this limit"

    def begun(self) -> None:
        """The study's display has just said how many trainers there are."""
        self._told_count = self._fleet.placed
        self._counted_at = time.monotonic()

    def _tell_waiting(self, resources: Resources) -> None:
        self._note(note_of_waiting(bundle_of(resources), ray.cluster_resources(), ray.available_resources()))

    def _tell_size(self, resources: Resources) -> None:
        note = note_of_size(bundle_of(resources), [node["Resources"] for node in ray.nodes() if node["Alive"]])
        if note is not None:
            self._note(note)

    def _tell_count(self) -> None:
        count = self._fleet.placed
        if self._told_count is None or count == self._told_count:
            return
        self._told_count = count
        wanted = self._fleet.size or count
        missing = f" of {wanted}; the others wait for resources" if count < wanted else ""
        self._note(f"{counted(count, 'worker')}{missing}")
