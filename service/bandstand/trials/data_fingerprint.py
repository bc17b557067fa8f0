"""Fingerprints of a data set, and how two of them differ: in their content, or by rounding alone.

Knows numbers about arrays. Must not know arrays, nor who made the fingerprints.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

__all__ = [
    "ArrayPrint",
    "DataDifference",
    "DataPrint",
    "describe_print",
    "difference_between",
    "refusal_of",
    "words_on",
]


class ArrayPrint(TypedDict):
    """What is known of one array; plain data, because it travels and is stored as JSON."""

    name: str  # x, y, sample_weight; x.age of a structure of arrays
    type: str  # NumPy's, such as <f4
    shape: list[int]
    digest: str  # of its content
    sketch: list[float]  # random sums of its columns, each column divided by its size; empty where nothing is rounded
    tolerance: float  # how far sketches of arrays that differ by rounding alone may lie apart


DataPrint = Mapping[str, Sequence[ArrayPrint]]
"""By split, its arrays."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataDifference:
    """How two data sets differ, by split."""

    other: tuple[str, ...] = ()  # other content, another shape or type, or there in one of them only
    rounded: tuple[str, ...] = ()  # equal but for rounding
    same_shapes: bool = True  # whether those of `other` have the same shapes and types


def describe_print(data: DataPrint) -> dict[str, str]:
    """`data`: the first 16 digits of a SHA-256 of all arrays, their types and shapes; `examples`: counts by split."""
    exact = [
        [split, [[array["name"], array["type"], array["shape"], array["digest"]] for array in data[split]]]
        for split in sorted(data)
    ]
    counts = ", ".join(f"{split} {data[split][0]['shape'][0]:,}" for split in sorted(data))
    return {"data": hashlib.sha256(json.dumps(exact).encode()).hexdigest()[:16], "examples": counts}


def difference_between(first: DataPrint, second: DataPrint) -> DataDifference:
    """How the second data set differs from the first."""
    other: list[str] = []
    rounded: list[str] = []
    same_shapes = True
    for split in sorted({*first, *second}):
        ours, theirs = first.get(split, ()), second.get(split, ())
        if not _are_alike(ours, theirs):
            other.append(split)
            same_shapes = False
        elif any(a["digest"] != b["digest"] for a, b in zip(ours, theirs, strict=True)):
            near = all(_are_near(a, b) for a, b in zip(ours, theirs, strict=True))
            (rounded if near else other).append(split)
    return DataDifference(other=tuple(other), rounded=tuple(rounded), same_shapes=same_shapes)


def refusal_of(difference: DataDifference) -> str:
    """Why a trainer with other data is refused, what the usual cause is, and the way out: one line."""
    cause = "the loader draws at random without a seed" if difference.same_shapes else "a file has changed"
    also = "a file has changed" if difference.same_shapes else "the loader draws at random without a seed"
    return (
        f"data must be the same for all trainers of a study; {words_on(difference.other)} from the data of the first "
        f"trainer, usually because {cause}, or because {also}: set a seed in the loader (random_state=0, "
        "np.random.default_rng(0)), restore the file, or accept the difference (--data-may-differ; in Python "
        "data_may_differ=True)"
    )


def words_on(splits: Sequence[str]) -> str:
    """Such as `split test differs`."""
    return f"split {splits[0]} differs" if len(splits) == 1 else f"splits {', '.join(splits)} differ"


def _are_alike(first: Sequence[ArrayPrint], second: Sequence[ArrayPrint]) -> bool:
    """Whether there are arrays, in both the same ones by name, type and shape."""

    def forms(arrays: Sequence[ArrayPrint]) -> list[object]:
        return [(array["name"], array["type"], list(array["shape"])) for array in arrays]

    return bool(first) and forms(first) == forms(second)


def _are_near(first: ArrayPrint, second: ArrayPrint) -> bool:
    if first["digest"] == second["digest"]:
        return True
    pairs = list(zip(first["sketch"], second["sketch"], strict=False))
    if not pairs or len(first["sketch"]) != len(second["sketch"]):
        return False
    distance = math.sqrt(sum((a - b) ** 2 for a, b in pairs) / len(pairs))
    return distance <= min(first["tolerance"], second["tolerance"])
