"""How a checkpoint is written down.

Knows the bytes. Must not know models or callbacks, nor where files are kept. Layout: docs/explanation/checkpoints.md.

A file is a head of a fixed length (mark, version, checksum) and a block in safetensors' format with all arrays and, as
JSON among its metadata, all else. Nothing in it is code and nothing of it is ever run: a reader makes numbers, texts
and arrays. What cannot be read is refused with one kind of exception.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np

from bandstand_workers.training.checkpoints.array_file import (
    ArrayFile,
    Spec,
    arrays_from,
    is_count,
    parsed,
    take_array,
    text_of,
)
from bandstand_workers.training.checkpoints.checkpoint import (
    Arrays,
    BestWeights,
    CallbackState,
    Checkpoint,
    CheckpointError,
)

__all__ = ["VERSION", "decode", "encode", "sealed"]

VERSION = 2
_MARK = b"\x89BANDSTAND CHECKPOINT\r\n\n"
"""As PNG's: a transfer that changes line ends or drops a bit shows at once."""
_HEAD = len(_MARK) + 4 + 32
_PICKLE = b"\x80"
"""How files of versions before this form begin."""


def encode(checkpoint: Checkpoint, uri: str) -> bytes:
    """A checkpoint's file content.

    Args:
        checkpoint: what to write.
        uri: where the file will lie, which it says of itself.
    """
    return sealed(_payload_of(checkpoint, uri))


def decode(content: bytes, uri: str) -> Checkpoint:
    """The checkpoint that a file holds. The arrays are the reader's own.

    Raises:
        CheckpointError: it holds none that can be used.
    """
    if content[: len(_MARK)] != _MARK:
        raise _stranger(content, uri)
    version = int.from_bytes(content[len(_MARK) : len(_MARK) + 4], "little")
    if version > VERSION:
        raise CheckpointError(
            f"a checkpoint must be of version {VERSION} at most; {uri} is of version {version}: a newer version "
            "of Bandstand wrote it, so use that one",
            "newer",
        )
    view = memoryview(content)
    if not version or len(content) < _HEAD or hashlib.sha256(view[_HEAD:]).digest() != view[_HEAD - 32 : _HEAD]:
        raise CheckpointError(f"a checkpoint must be as it was written; {uri} is damaged: its checksum differs")
    return _opened(bytes(view[_HEAD:]), uri)


def _payload_of(checkpoint: Checkpoint, uri: str) -> bytes:
    file = ArrayFile()
    text = {
        "place": _place_of(uri),
        "epoch": checkpoint.epoch,
        "variables": _add_all(file, checkpoint.variables, "variables"),
        "random_states": list(checkpoint.random_states),
        "optimizer": _add_all(file, checkpoint.optimizer, "optimizer"),
        "others": {
            path: file.add(array, f"others/{place}") for place, (path, array) in enumerate(checkpoint.others.items())
        },
        "best": {
            "loss": repr(checkpoint.best.loss),  # JSON has no infinity
            "epoch": checkpoint.best.epoch,
            "weights": _add_all(file, checkpoint.best.weights, "best"),
        },
        "callbacks": [
            {
                "name": state.name,
                "changes": state.changes,
                "arrays": _add_all(file, state.arrays, f"callbacks/{place}"),
            }
            for place, state in enumerate(checkpoint.callbacks)
        ],
    }
    return file.block(json.dumps(text))


def sealed(payload: bytes) -> bytes:
    """A file's content: the head, and what follows it."""
    return b"".join((_MARK, VERSION.to_bytes(4, "little"), hashlib.sha256(payload).digest(), payload))


def _opened(payload: bytes, uri: str) -> Checkpoint:
    try:
        text = parsed(text_of(payload))
        place = text["place"]
        checkpoint = _checkpoint_from(text, arrays_from(payload))
    except MemoryError:
        raise
    except Exception as error:  # whoever wrote it may have meant harm, so anything may be wrong with it
        raise CheckpointError(
            f"a checkpoint must be as it was written; {uri} is damaged: reading it raised {type(error).__name__}"
        ) from error
    if place != _place_of(uri):
        raise CheckpointError(
            f"a checkpoint must stay where it was written; {uri} is foreign: it was written as {str(place)[:200]!r}",
            "foreign",
        )
    return replace(checkpoint, file=uri)


def _checkpoint_from(text: Mapping[str, Any], arrays: dict[str, np.ndarray[Any, Any]]) -> Checkpoint:
    epoch, variables = _count(text["epoch"]), _take_all(text["variables"], arrays)
    return Checkpoint(
        epoch=epoch,
        variables=variables,
        optimizer=_take_all(text["optimizer"], arrays),
        others=_others_from(text.get("others", {}), arrays),  # version 1 had none
        callbacks=[_callback_from(of, arrays) for of in _list(text["callbacks"])],
        best=_best_from(text["best"], epoch, arrays),
        random_states=_random_states_from(text["random_states"], len(variables)),
    )


def _others_from(specs: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    if not isinstance(specs, dict):
        raise TypeError("other variables must be named by their paths")
    return {path: take_array(spec, arrays) for path, spec in specs.items()}


def _callback_from(text: Mapping[str, Any], arrays: dict[str, np.ndarray[Any, Any]]) -> CallbackState:
    if not isinstance(text["name"], str) or not isinstance(text["changes"], dict):
        raise TypeError("a callback must have a name and changes by attribute")
    return CallbackState(name=text["name"], changes=text["changes"], arrays=_take_all(text["arrays"], arrays))


def _best_from(text: Mapping[str, Any], epoch: int, arrays: dict[str, np.ndarray[Any, Any]]) -> BestWeights:
    best = BestWeights(
        loss=_loss(text["loss"]), epoch=_count(text["epoch"]), weights=_take_all(text["weights"], arrays)
    )
    if best.epoch > epoch:
        raise ValueError("the best epoch must be one of those that were trained")
    return best


def _loss(text: Any) -> float:
    """A loss; infinite where no epoch had a finite one."""
    loss = float(text) if isinstance(text, str) else nan
    if not loss > -inf:  # nor is what is no number
        raise ValueError("a loss must be a number")
    return loss


def _random_states_from(text: Any, variables: int) -> tuple[int, ...]:
    places = tuple(map(_count, _list(text)))
    if len(set(places)) != len(places) or any(place >= variables for place in places):
        raise ValueError("random states must be among the variables")
    return places


def _count(number: Any) -> int:
    if not is_count(number):
        raise ValueError("it must count")
    return int(number)


def _list(items: Any) -> list[Any]:
    if not isinstance(items, list):
        raise TypeError("it must be a list")
    return items


def _add_all(file: ArrayFile, arrays: Arrays, section: str) -> list[Spec]:
    return [file.add(array, f"{section}/{place}") for place, array in enumerate(arrays)]


def _take_all(specs: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Arrays:
    return [take_array(spec, arrays) for spec in _list(specs)]


def _place_of(uri: str) -> str:
    """What a file says of itself: its study's folder, its trial's folder, its name. The folder above may move."""
    return "/".join(uri.split("/")[-3:])


def _stranger(content: bytes, uri: str) -> CheckpointError:
    if content[:1] == _PICKLE:
        return CheckpointError(
            f"a checkpoint must be data; an earlier version of Bandstand wrote {uri} as a pickle, which is not read "
            "because it can run code",
            "old form",
        )
    what = "is empty" if not content else "is another kind of file"
    return CheckpointError(f"a checkpoint must be a file that Bandstand wrote; {uri} {what}", "foreign")
