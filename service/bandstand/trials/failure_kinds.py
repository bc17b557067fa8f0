"""The kinds of failure that depend on a trial's params, and what people are told of them.

Knows words and numbers. Must not know how a failure was noticed, nor what follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["DIVERGED", "FAILURE_KINDS", "OUT_OF_MEMORY", "REMEDIES", "TOO_SLOW", "memory_message", "size_words"]

OUT_OF_MEMORY = "out_of_memory"
"""The trial wanted more memory than there is."""
DIVERGED = "diverged"
"""Its loss or its objective was not finite."""
TOO_SLOW = "too_slow"
"""It finished no epoch in the time that one may take."""

FAILURE_KINDS: Mapping[str, str] = MappingProxyType(
    {OUT_OF_MEMORY: "out of memory", DIVERGED: "not finite (NaN)", TOO_SLOW: "too slow"}
)
"""The reasons with which a trial ends where its params are likely to be the cause, and what people call them."""


REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        OUT_OF_MEMORY: "search smaller models or batches, or raise resources.memory_gb if the machine has more",
        DIVERGED: "lower the upper end of the learning rate, clip gradients (clipnorm), or scale the inputs",
        TOO_SLOW: "raise epoch_seconds, or search smaller models and larger batches",
    }
)
"""What can be done about each kind."""


def size_words(count: float) -> str:
    """Such as `4.2 GB` (of 10^9 bytes) or `310 MB`."""
    return f"{count / 1e9:,.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"


def memory_message(
    *,
    asked_bytes: int | None = None,
    used_bytes: int | None = None,
    limit_bytes: int | None = None,
    on_gpu: bool = False,
    of_machine: bool = False,
    killed: bool = False,
    parameters: int | None = None,
    batch_size: int | None = None,
    place: str | None = None,
) -> str:
    """What is said of a trial that ran out of memory, as far as it is known.

    Args:
        asked_bytes: what was asked for last.
        used_bytes: what its process had.
        limit_bytes: what it may have.
        on_gpu: it is the GPU's memory.
        of_machine: the limit is the machine's, and not `resources.memory_gb`.
        killed: the machine ended the process.
        parameters: of the model.
        batch_size: of the training.
        place: `file:line` of the user's code.

    Example:
        >>> memory_message(asked_bytes=4_200_000_000, parameters=12_345_678, batch_size=4096)
        'out of memory: 4.2 GB were asked for; the model has 12,345,678 parameters, batch 4,096'
    """
    if asked_bytes is not None:
        what = f"{size_words(asked_bytes)} were asked for"
        beyond = " beyond"
    elif used_bytes is not None:
        what, beyond = f"its process had {size_words(used_bytes)}", " of"
    elif killed:
        what, beyond = "its machine had no more, and its process was ended", ""
    else:
        what, beyond = "more was asked for", " beyond"
    whose = "of the machine" if of_machine else "(resources.memory_gb)"
    limit = f"{beyond} {size_words(limit_bytes)} {whose}" if limit_bytes is not None else ""
    where = " on the GPU" if on_gpu else ""
    sizes = [f"the model has {parameters:,} parameters"] if parameters else []
    sizes += [f"batch {batch_size:,}"] if batch_size else []
    text = f"out of memory: {what}{limit}{where}"
    text += f"; {', '.join(sizes)}" if sizes else ""
    return f"{text} ({place})" if place else text
