"""What may be set for `lr-restarts`, and how long its cycles are.

Knows options and a study's limits. Must not know trials, nor who gets which cycle.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bandstand.learning_rates import LEARNING_RATES
from bandstand.problem.problem import Problem
from bandstand.strategies.options import Options, options_from
from bandstand_spaces import Float

__all__ = ["RestartOptions", "checked_options", "configurations", "cycle_lengths"]

_CYCLES = 4
_USUAL_CONFIGURATIONS = 10


class RestartOptions(Options):
    """Options of lr-restarts."""

    parameter: str = "learning_rate"
    """The parameter of the space that is the learning rate at the start of a cycle."""
    schedule: str = "cosine"
    """How the rate develops within a cycle."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 0
    decay: Annotated[float, Field(ge=0)] = 0.1
    """Of schedules time and exponential, per epoch."""
    factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Of schedule step, at each drop; of restarts at a decayed rate, at each restart."""
    every_epochs: Annotated[int, Field(ge=1)] = 5
    """Of schedule step: epochs between two drops."""
    final_fraction: Annotated[float, Field(ge=1e-6, le=1)] = 0.01
    """No rate is below this part of the cycle's first."""
    cycle_epochs: Annotated[int, Field(ge=1)] | None = None
    """Epochs of the first cycle; left out, a quarter of max_epochs."""
    cycle_multiplier: Annotated[float, Field(ge=1)] = 1.0
    """How much longer each cycle is than the one before (T_mult of SGDR)."""
    cycles: Annotated[int, Field(ge=1)] | None = None
    """Cycles of a configuration at most; left out, as many as fit into max_epochs."""
    restart: Literal["initial", "decayed", "random"] = "random"
    """The rate of the next cycle: the first one's, a decayed one, or a random one from the space."""
    weights: Literal["last", "best", "fresh"] = "last"
    """What the next cycle begins with: the last weights, those of the best epoch so far, or new random ones."""
    bandit: Literal["rejects", "ucb"] = "rejects"
    result: Literal["best", "average", "ensemble"] = "best"
    """The study's model: the best snapshot, or the average of the weights at the ends of the best lineage's cycles, or
    an ensemble of these, where on validation data it is not worse than the snapshot."""
    configurations: Annotated[int, Field(ge=1)] | None = None
    """How many are tried; left out, the trials of the budget, or half as many again as its epochs would give all cycles
    (the bandit gives those of the rejected to the others), and further ones where that leaves some of it."""


def checked_options(spec: Problem) -> RestartOptions:
    """The options of a study of lr-restarts.

    Raises:
        ValueError: one line: rule, value, way out.
    """
    options = options_from("sampler lr-restarts", RestartOptions, spec.sampler_options)
    names = {name: parameter for name, parameter, _ in spec.space.flat()}
    if not isinstance(spec.space.parameters.get(options.parameter), Float):
        floats = ", ".join(name for name in names if isinstance(spec.space.parameters.get(name), Float)) or "none"
        raise ValueError(
            f"option parameter of sampler lr-restarts must name the learning rate, an always-active float of the "
            f"space: {floats}; got {options.parameter!r}"
        )
    if options.schedule not in LEARNING_RATES:
        raise ValueError(
            f"option schedule of sampler lr-restarts must be one of {', '.join(LEARNING_RATES)}; "
            f"got {options.schedule!r}"
        )
    length = cycle_lengths(options, spec.max_epochs)[0]
    for name, value in (("cycle_epochs", options.cycle_epochs or 1), ("warmup_epochs", options.warmup_epochs + 1)):
        limit = spec.max_epochs if name == "cycle_epochs" else length
        if value > limit:
            raise ValueError(
                f"option {name} of sampler lr-restarts must be {'at most' if name == 'cycle_epochs' else 'below'} "
                f"{limit}, the epochs of {'a trial' if name == 'cycle_epochs' else 'a cycle'}; "
                f"got {getattr(options, name)}"
            )
    if options.result == "average" and options.weights == "fresh":
        raise ValueError(
            "option result of sampler lr-restarts must be best or ensemble with weights fresh, because weights that "
            "were trained apart have no average; got 'average'"
        )
    if options.result != "best" and not spec.objective.metric.startswith("val_"):
        raise ValueError(
            f"option result of sampler lr-restarts must be best unless the objective is measured on validation data, "
            f"such as val_loss; got {options.result!r} with {spec.objective.metric!r}"
        )
    return options


def cycle_lengths(options: RestartOptions, max_epochs: int) -> list[int]:
    """Epochs of each cycle of a configuration; with fresh weights each may be as long as a trial."""
    length = float(options.cycle_epochs or max(1, max_epochs // _CYCLES))
    lengths: list[int] = []
    used = 0
    while len(lengths) < (options.cycles or max_epochs):
        fresh = options.weights == "fresh"
        room = max_epochs if fresh else max_epochs - used
        if room <= 0 or (fresh and options.cycles is None and len(lengths) >= _CYCLES):
            break
        lengths.append(min(round(length), room))
        used += lengths[-1]
        length *= options.cycle_multiplier
    return lengths


def configurations(options: RestartOptions, spec: Problem, lengths: list[int]) -> int:
    """How many configurations a study tries, before it has some budget left."""
    if options.configurations is not None:
        return options.configurations
    if spec.budget.trials is not None:
        return spec.budget.trials
    if spec.budget.epochs is None:
        return _USUAL_CONFIGURATIONS
    return max(1, 3 * spec.budget.epochs // (2 * sum(lengths)))
