"""Ray's private parts, but for those of its job client, which are in `ray_job_parts`.

Knows Ray 2.52 to 2.60. Must not know trainers, nor what is done about one that died.
"""

from __future__ import annotations

import re

__all__ = ["dead_parts_of_ray", "raylet_socket", "says_node_died", "says_out_of_memory"]

_KILLED_FOR_MEMORY = re.compile(
    r"node running low on memory|memory pressure \(OOM\)|memory usage threshold|OOM kill reason|OutOfMemoryError"
)


def says_node_died(error: BaseException) -> bool:
    """Whether the error of a dead actor says that its machine is gone.

    Stands on the words of Ray's message: `preempted` is set only where a preemption was announced. If the words change,
    a trial whose machine vanishes is blamed for it, without a word.
    """
    return "node has died" in str(error)


def says_out_of_memory(error: BaseException) -> bool:
    """Whether the error of a dead actor says that Ray ended it because its machine ran out of memory.

    Stands on the words of Ray's message: of an actor's end no error has a field for it, and `OutOfMemoryError` is for
    tasks. Ray also names the kernel's killer among the possible causes of any sudden end, which says nothing. If the
    words change, such a trial counts as one whose worker died, and is begun again.
    """
    return bool(_KILLED_FOR_MEMORY.search(f"{type(error).__name__}: {error}"))


def dead_parts_of_ray() -> list[str]:
    """Names of the processes that this process has started for a local Ray and that have died, such as `raylet`.

    Stands on the node that `ray.init` keeps. If that is gone, a dead raylet is found out by nobody, and a study waits
    for it for ever.
    """
    import ray

    node = ray._private.worker._global_node
    return [] if node is None else sorted(name for name, _ in node.dead_processes())


def raylet_socket() -> str | None:
    """The file of the socket of this machine's raylet, once Ray is connected; None if it is not known.

    Stands on the node that `ray.init` keeps. If that is gone, the death of this machine's raylet is found out by Ray
    alone, later and without a word on what is missing.
    """
    import ray

    node = ray._private.worker._global_node
    found = None if node is None else node.raylet_socket_name
    return found if isinstance(found, str) and found.startswith("/") else None
