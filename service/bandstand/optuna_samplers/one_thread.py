"""Linear algebra on one thread.

Matrices here are small, and threads that wait for each other on busy cores make it ten times as slow.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["one_thread"]


def one_thread() -> AbstractContextManager[Any]:
    """Within this, NumPy's and SciPy's libraries use a single thread in this process."""
    return _thread_pools().limit(limits=1)  # type: ignore[no-any-return]  # threadpoolctl has no types.


@cache
def _thread_pools() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401  # brings a library of its own, which is found only once it is loaded

    return ThreadpoolController()
