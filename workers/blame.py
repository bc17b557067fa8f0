"""Whether a trial is to blame for the death of the trainer under it.

Knows what trainers died of. Must not know what follows for the trial.
"""

from __future__ import annotations

from workers.places import node_died

__all__ = ["Blame"]

_NODES = 3
"""Nodes that may die under a trial, from the same checkpoint on, before it is suspected of killing them."""


class Blame:
    """What is known of the deaths under one study's trials."""

    def __init__(self) -> None:
        self._nodes: dict[int, tuple[int, int]] = {}  # trial -> epoch of its checkpoint, nodes lost since

    def falls_on(self, trial: int, error: BaseException, checkpoint_epoch: int) -> bool:
        """Whether a death counts against the trial.

        A dead process may have died of what the trial did; of a dead node that is not assumed, unless one follows the
        other and the trial comes no further: it may use up the memory of whole machines.

        Args:
            trial: whose worker died.
            error: what the worker died of.
            checkpoint_epoch: how far the trial had come for good.
        """
        if not node_died(error):
            return True
        epoch, count = self._nodes.get(trial, (checkpoint_epoch, 0))
        count = count + 1 if epoch == checkpoint_epoch else 1
        self._nodes[trial] = checkpoint_epoch, count
        return count > _NODES
