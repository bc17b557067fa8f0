"""Saved models: where a trial's chosen weights go, and how they come back.

Knows files and fsspec URLs. Must not know which model is worth keeping.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bandstand_workers.training.checkpoints import Arrays

__all__ = ["local_copy", "save_model"]


def save_model(model: Any, weights: Arrays, stem: str) -> str:
    """Save a model with these weights; where its architecture cannot be written, the weights alone.

    Args:
        model: a built Keras model; it has the weights afterwards.
        weights: as `model.get_weights` has them.
        stem: path or URL without an extension.

    Returns:
        `stem` with `.keras` or `.weights.h5`.
    """
    model.set_weights(weights)
    try:
        return _save_to(f"{stem}.keras", model.save)
    except (ValueError, TypeError, NotImplementedError):
        return _save_to(f"{stem}.weights.h5", model.save_weights)


@contextmanager
def local_copy(uri: str) -> Iterator[str]:
    """A path at which a saved model can be read; a temporary one for a URL."""
    if "://" not in uri:
        yield uri
        return
    import fsspec

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / uri.rsplit("/", 1)[-1])
        fs, remote = fsspec.core.url_to_fs(uri)
        fs.get_file(remote, path)
        yield path


def _save_to(uri: str, save: Callable[[str], Any]) -> str:
    if "://" not in uri:
        Path(uri).parent.mkdir(parents=True, exist_ok=True)
        save(uri)
        return uri
    import fsspec

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / uri.rsplit("/", 1)[-1])
        save(path)
        fs, remote = fsspec.core.url_to_fs(uri)
        fs.makedirs(remote.rsplit("/", 1)[0], exist_ok=True)
        fs.put_file(path, remote)
    return uri
