"""Finds the curves that a user names.

Knows names. Must not know what is behind one before it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import cast

from bandstand.errors import InputError
from bandstand.problem.broken_rules import did_you_mean
from bandstand.simulation.learning_curves.curves import CurveSource

__all__ = ["CURVES", "CurveKind", "choose", "data_files", "open_source"]


@dataclass(frozen=True, kw_only=True)
class CurveKind:
    """One kind of curves."""

    summary: str
    """One line for the help and the README's table."""
    module: str
    """The file of this package with `make_source(name, epoch_seconds) -> CurveSource`."""
    needs: str | None = None
    """What is to be named after a colon; None for nothing."""


CURVES: Mapping[str, CurveKind] = MappingProxyType(
    {
        "analytic": CurveKind(
            summary="Made up for the study's own space, with another landscape for each seed", module="analytic"
        ),
        "lcbench": CurveKind(
            summary="A surrogate of LCBench: multilayer perceptrons on tabular tasks, 52 epochs",
            module="lcbench",
            needs="an OpenML task, such as lcbench:3945",
        ),
        "taskset": CurveKind(
            summary="TaskSet: Adam's eight hyperparameters for recurrent text models, 50 epochs",
            module="taskset",
            needs="a recorded task, such as taskset:imdb_patch32_GRU64_avg_bs128",
        ),
    }
)


def open_source(text: str, epoch_seconds: float = 10.0) -> CurveSource:
    """The curves that `text` names.

    Args:
        text: a name of `CURVES`, with what it needs after a colon.
        epoch_seconds: what an epoch takes on a worker of speed 1, on average; lcbench has durations of its own.

    Raises:
        InputError: there are no such curves, or what they need is not there.
    """
    kind, colon, name = text.partition(":")
    if kind not in CURVES:
        raise InputError(f"curves must be one of {', '.join(CURVES)}; got {text!r}{did_you_mean(kind, CURVES)}")
    if CURVES[kind].needs and not name:
        raise InputError(f"curves {kind} need {CURVES[kind].needs}; got {text!r}")
    if colon and not CURVES[kind].needs:
        raise InputError(f"curves {kind} take nothing after a colon; got {text!r}")
    if not 0 < epoch_seconds < float("inf"):
        raise InputError(f"an epoch must take more than 0 seconds; got {epoch_seconds:g}")
    module = import_module(f"bandstand.simulation.learning_curves.{CURVES[kind].module}")
    return cast(CurveSource, module.make_source(name, epoch_seconds))


def data_files(kind: str) -> Path:
    """The folder of recorded curves of a kind, under the folder that BANDSTAND_DATA names.

    Raises:
        InputError: the variable is not set, or the folder is not there.
    """
    folder = os.environ.get("BANDSTAND_DATA")
    if not folder:
        raise InputError(
            f"--curves {kind} needs recorded curves, but BANDSTAND_DATA is not set: set it to a folder "
            f"that has curves/{kind}, or use --curves analytic"
        )
    path = Path(folder) / "curves" / kind
    if not path.is_dir():
        raise InputError(
            f"--curves {kind} needs the folder {str(path)!r}, which does not exist: set BANDSTAND_DATA to a folder "
            f"that has curves/{kind}, or use --curves analytic"
        )
    return path


def choose(kind: str, name: str, known: list[str]) -> str:
    """`name`, which must be among `known`.

    Raises:
        InputError: it is not.
    """
    if name in known:
        return name
    raise InputError(f"curves {kind} have {', '.join(known)}; got {name!r}{did_you_mean(name, known)}")
