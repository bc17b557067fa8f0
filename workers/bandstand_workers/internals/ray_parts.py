"""Ray's private parts, but for those of its job client, which are in `ray_job_parts`.

Knows Ray 2.52 to 2.60. Must not know trainers, nor what is done about one that died.
"""

from __future__ import annotations

__all__ = ["says_node_died"]


def says_node_died(error: BaseException) -> bool:
    """Whether the error of a dead actor says that its machine is gone.

    Stands on the words of Ray's message: `preempted` is set only where a preemption was announced. If the words change,
    a trial whose machine vanishes is blamed for it, without a word.
    """
    return "node has died" in str(error)
