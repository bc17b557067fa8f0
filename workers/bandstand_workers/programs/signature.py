"""Which models may share a program: equal signatures mean equal traces.

Knows what of a model a trace depends on. Must not know what a program is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import keras

from bandstand_workers.programs.constants import Slot

__all__ = ["signature_of"]


def signature_of(
    model: Any, slots: list[Slot], sizes: Mapping[str, Any], made_by: Mapping[str, Any]
) -> tuple[str, bool]:
    """A digest of all that a program has baked in, and whether models of different params may share it.

    Args:
        model: freshly built and compiled; its slots are hidden while it is read, and shown again.
        slots: of the model, from `find_slots`.
        sizes: what else a program depends on, such as batch sizes where they are compiled in.
        made_by: the builder and the params, as JSON.

    Returns:
        The signature. Where everything of the model is Keras's own, it is made of the configurations, without initial
        weights, learning rate and slots. A class or function of the user's may hold anything; then it is made
        of `made_by`, and the second value is False.
    """
    for slot in slots:
        slot.hide()
    try:
        content: Any = _describe(model)
        shared = True
    except _NotKerasError:
        content, shared = dict(made_by), False
    finally:
        for slot in slots:
            slot.show()
    sharing = [next(i for i, other in enumerate(slots) if slot.is_at(other)) for slot in slots] if shared else []
    text = json.dumps([content, sharing, dict(sizes), keras.config.floatx()], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:24], shared


class _NotKerasError(Exception):
    """Something of the model is not Keras's own, so that its configuration does not say all of it."""


def _describe(model: Any) -> list[Any]:
    if not type(model).__module__.startswith("keras."):
        raise _NotKerasError
    try:
        compiled = model.get_compile_config()
        optimizer = keras.saving.serialize_keras_object(model.optimizer)
        architecture = keras.saving.serialize_keras_object(model)
    except Exception as error:  # what cannot be written down cannot be compared
        raise _NotKerasError from error
    architecture["config"].pop("compile_config", None)
    architecture.pop("compile_config", None)
    compiled = {name: value for name, value in (compiled or {}).items() if name != "optimizer"}
    return [_own(architecture), _own(compiled), _without_rate(_own(optimizer))]


def _own(config: Any) -> Any:
    """A configuration without its initializers.

    Raises:
        _NotKerasError: it names something that is not Keras's own.
    """
    if isinstance(config, Mapping):
        if "class_name" in config:
            module = config.get("module") or ""
            own = module == "keras" or module.startswith("keras.") or module == "builtins"
            if not own or config["class_name"] in ("Lambda", "__lambda__") or config.get("registered_name"):
                raise _NotKerasError
        return {name: _own(value) for name, value in config.items() if not name.endswith("initializer")}
    if isinstance(config, list | tuple):
        return [_own(value) for value in config]
    return config


def _without_rate(optimizer: Any) -> Any:
    """An optimizer's configuration without a learning rate that is a number, which is a variable of every optimizer."""
    if not isinstance(optimizer, Mapping):
        return optimizer
    return {
        name: "a variable" if name == "learning_rate" and isinstance(value, float) else _without_rate(value)
        for name, value in optimizer.items()
    }
