"""Which models may share a program: equal signatures mean equal traces.

Knows what besides a model a trace depends on. Must not know what a program is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import keras

from bandstand_workers.programs.python_state.walk_results import PythonState

__all__ = ["signature_of"]


def signature_of(state: PythonState, sizes: Mapping[str, Any]) -> str:
    """A digest of all that a program has baked in: 24 hexadecimal digits.

    Args:
        state: of a freshly built and compiled model, understood as a whole.
        sizes: what else a program depends on, such as batch sizes where they are compiled in.
    """
    settings = [
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.image_data_format(),
        keras.config.dtype_policy().name,
    ]
    text = json.dumps([state.digest, dict(sizes), settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
