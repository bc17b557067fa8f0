"""What must be installed on a machine that trains.

Knows the extras that training needs. Must not import what they bring.
"""

from __future__ import annotations

import os

from bandstand.extras import require
from bandstand.locations import checkpoints_uri

__all__ = ["require_training"]


def require_training(who: str) -> None:
    """Refuse to begin where what trains is not installed; takes milliseconds.

    Args:
        who: what trains, as a message begins.

    Raises:
        MissingExtraError: Ray, Keras, its backend or what reaches the checkpoints is not installed.
    """
    require("workers", who)
    if os.environ.get("KERAS_BACKEND") == "jax":
        require("jax", "KERAS_BACKEND=jax", otherwise="unset KERAS_BACKEND")
    if checkpoints_uri().startswith("s3://"):
        require("s3", "BANDSTAND_CHECKPOINTS=s3://…")
