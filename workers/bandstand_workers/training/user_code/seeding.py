"""Random numbers of a user's loader: seeded from the study, unless the user's own modules seed them.

Knows Python's and NumPy's global generators, and that TensorFlow's global seed must not be set for a loader: with it a
random operation in `tf.data.Dataset.map` would draw the same numbers in every epoch. Must not know what a loader does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from bandstand_workers.internals import tensorflow_parts

__all__ = ["generator_states", "note_seeds_of", "seed_for_load"]

_AT_IMPORT = 0
"""What user modules are imported with: a process imports a module once, whichever study it serves first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seeded:
    """How the import of a module has left what it has seeded; None for what it has not."""

    python: Any = None  # the generator's state
    numpy: Any = None  # likewise
    tensorflow: int | None = None  # the global seed


_of_module: dict[str, _Seeded] = {}
"""By module, if its import has seeded anything."""


@contextmanager
def note_seeds_of(module: str) -> Iterator[None]:
    """Import a user's module within this context: what it draws is the same in every process, and its seeds count."""
    random.seed(_AT_IMPORT)
    np.random.seed(_AT_IMPORT)
    tensorflow_parts.set_seed(None)
    by_python, by_numpy = _Watch(random), _Watch(np.random)
    try:
        yield
    finally:
        python, numpy, tensorflow = by_python.end(), by_numpy.end(), tensorflow_parts.seed_now()
        if python or numpy or tensorflow is not None:
            _of_module[module] = _Seeded(
                python=random.getstate() if python else None,
                numpy=np.random.get_state() if numpy else None,
                tensorflow=tensorflow,
            )


def seed_for_load(seed: int, modules: Sequence[str]) -> None:
    """Seed Python's and NumPy's generators for a loader from the study, unless modules of the user's have seeded them.

    TensorFlow's is as those modules left it: in most cases without a seed, also where a trial had one before.

    Args:
        seed: the study's.
        modules: the user's, in the order of their imports; the last one that has seeded a generator wins.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    tensorflow_parts.set_seed(None)
    for seeded in (_of_module[module] for module in modules if module in _of_module):
        if seeded.python is not None:
            random.setstate(seeded.python)
        if seeded.numpy is not None:
            np.random.set_state(seeded.numpy)
        if seeded.tensorflow is not None:
            tensorflow_parts.set_seed(seeded.tensorflow)


def generator_states() -> tuple[Any, ...]:
    """The states of Python's and NumPy's generators; equal where nothing was drawn in between."""
    name, keys, *rest = np.random.get_state(legacy=True)
    return (random.getstate(), name, keys.tobytes(), *rest)  # type: ignore[union-attr]  # a tuple, with `legacy`


class _Watch:
    """Whether anybody seeds a generator from now on."""

    def __init__(self, generator: Any):
        self._generator = generator
        self._seed: Callable[..., Any] = generator.seed
        self._seen = False
        generator.seed = self._noted

    def _noted(self, *arguments: Any, **named: Any) -> Any:
        self._seen = True
        return self._seed(*arguments, **named)

    def end(self) -> bool:
        """Watch no longer; whether anybody did."""
        self._generator.seed = self._seed
        return self._seen
