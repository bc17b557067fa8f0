"""Saved models: where a trial's chosen weights go, and how they come back.

Knows files and fsspec URLs. Must not know which model is worth keeping.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bandstand import stored_files
from bandstand_workers.training.checkpoints import Arrays
from bandstand_workers.training.user_code.errors import essential_line

__all__ = ["load_weights", "local_copy", "save_model"]


def save_model(model: Any, weights: Arrays, stem: str) -> tuple[str, str | None]:
    """Save a model with these weights; where Keras cannot write it as a whole, the weights alone.

    Args:
        model: with its variables; it has the weights afterwards.
        weights: as `model.get_weights` has them.
        stem: path or URL without an extension.

    Returns:
        `stem` with `.keras` or `.weights.h5`, and why it is not the former, None where it is.
    """
    model.set_weights(weights)
    try:
        if not model.built:
            raise ValueError("it was never called")
        return _save_to(f"{stem}.keras", model.save), None
    except OSError:
        raise  # a disk that is full would not take the weights either
    except Exception as error:  # noqa: BLE001  # what a user's get_config raises may be anything
        obstacle = essential_line(error)
    with _as_built(model):
        return _save_to(f"{stem}.weights.h5", model.save_weights), obstacle


@contextmanager
def _as_built(model: Any) -> Iterator[None]:
    """Keras asks whether a model was called before it looks at its variables, which may be there all the same."""
    built, model.built = model.built, True
    try:
        yield
    finally:
        model.built = built


def load_weights(model: Any, path: str) -> None:
    """Give a model the weights of a file, be it called or not."""
    with _as_built(model):
        model.load_weights(path)


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
        file = Path(uri)
        file.parent.mkdir(parents=True, exist_ok=True)
        stem, dot, suffix = file.name.partition(".")
        unfinished = file.with_name(f"{stored_files.unfinished_name(stem)}{dot}{suffix}")  # Keras wants its suffix
        with stored_files.without_remains(unfinished):
            save(str(unfinished))
            unfinished.replace(file)
        return uri
    import fsspec

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / uri.rsplit("/", 1)[-1])
        save(path)
        fs, remote = fsspec.core.url_to_fs(uri)
        fs.makedirs(remote.rsplit("/", 1)[0], exist_ok=True)
        fs.put_file(path, remote)
    return uri
