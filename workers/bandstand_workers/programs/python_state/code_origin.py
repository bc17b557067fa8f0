"""Whose a module, a class or a function is, and whether what it answers may be another each time.

Knows names of modules and where they are installed. Must not know models, nor what is asked for.
"""

from __future__ import annotations

import functools
import pathlib
import sys
from typing import Any

__all__ = ["is_uncertain", "is_users", "is_users_module"]

_LIBRARIES = frozenset({"keras", "tensorflow", "jax", "jaxlib", "numpy", "scipy", "ml_dtypes", "optree", "absl"})
_UNCERTAIN_MODULES = (
    "random", "numpy.random", "secrets", "uuid", "time", "datetime", "os", "sys", "io", "socket", "subprocess", "glob",
    "shutil", "tempfile", "importlib", "pkgutil", "inspect", "gc", "ctypes", "contextvars", "pickle", "json", "csv",
    "pathlib", "pandas", "numpy.load", "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile", "numpy.memmap", "posix",
    "tensorflow.random", "tensorflow.summary", "tensorflow.io", "keras.saving",
)  # fmt: skip
"""What code takes from these may be different at each call, so that a trace holds one of many answers."""
_CERTAIN_WITHIN = ("os.path", "os.PathLike", "tensorflow.random.stateless", "datetime.timedelta", "pathlib.Pure")


@functools.cache
def is_users_module(name: str) -> bool:
    """Whether a module is neither Python's own nor installed."""
    root = name.partition(".")[0]
    if root in _LIBRARIES or (root in sys.stdlib_module_names and root != "__main__"):
        return False
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return not any(part in ("site-packages", "dist-packages") for part in pathlib.PurePath(file).parts)


def is_users(definition: Any) -> bool:
    """Whether a class or function is the user's, or was made by a function, so that its name does not say what it is.

    A function of a library's with a closure is looked at through its closure.
    """
    made = isinstance(definition, type) and "<locals>" in definition.__qualname__
    return made or is_users_module(definition.__module__ or "__main__")


def is_uncertain(dotted: str) -> bool:
    """Whether what this name stands for, such as `os.getenv`, may answer otherwise at each call."""
    if dotted.startswith(_CERTAIN_WITHIN):
        return False
    return any(dotted == module or dotted.startswith(f"{module}.") for module in _UNCERTAIN_MODULES)
