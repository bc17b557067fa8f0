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
    """Options of sampler lr-restarts."""

    parameter: str = "learning_rate"
    """Name of the parameter that is the learning rate at the start of a cycle. It must be a float of the space and must
    always be active."""
    schedule: str = "cosine"
    """Shape of the learning rate within a cycle: `constant`, `time`, `exponential`, `step`, `cosine` or `linear`."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 0
    """Epochs at the start of each cycle in which the rate rises linearly to its first value. Less than a cycle."""
    decay: Annotated[float, Field(ge=0)] = 0.1
    """Decay of the rate per epoch, with the schedules `time` and `exponential`."""
    factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Number that the rate is multiplied by: at each drop of the schedule `step`, and at each restart with
    `restart = "decayed"`."""
    every_epochs: Annotated[int, Field(ge=1)] = 5
    """Epochs between two drops of the schedule `step`."""
    final_fraction: Annotated[float, Field(ge=1e-6, le=1)] = 0.01
    """Lowest rate of a cycle, as a fraction of the first rate of that cycle."""
    cycle_epochs: Annotated[int, Field(ge=1)] | None = None
    """Epochs of the first cycle, at most `max_epochs`. Default: a quarter of `max_epochs`."""
    cycle_multiplier: Annotated[float, Field(ge=1)] = 1.0
    """Length of each cycle divided by the length of the cycle before it (T_mult of SGDR)."""
    cycles: Annotated[int, Field(ge=1)] | None = None
    """Most cycles that one configuration can get. Default: as many as fit into `max_epochs`; with `weights = "fresh"`,
    four."""
    restart: Literal["initial", "decayed", "random"] = "random"
    """Rate at the start of the next cycle. `initial`: the rate of the first cycle. `decayed`: that rate, multiplied by
    `factor` at each restart. `random`: a new draw from the parameter's range."""
    weights: Literal["last", "best", "fresh"] = "last"
    """Weights at the start of the next cycle. `last`: those at the end of the cycle before. `best`: those of the best
    epoch so far. `fresh`: new random weights."""
    bandit: Literal["rejects", "ucb"] = "rejects"
    """Rule that chooses which configuration gets the next cycle: `rejects` (successive rejects) or `ucb` (UCB1)."""
    result: Literal["best", "average", "ensemble"] = "best"
    """Model of the study. `best`: the weights of the best epoch. `average`: the mean of the weights at the ends of the
    cycles that led to it. `ensemble`: one model with the mean of their outputs. An average or ensemble is taken only if
    it is not worse than the best snapshot on the validation data."""
    configurations: Annotated[int, Field(ge=1)] | None = None
    """Number of configurations that are tried. Default: `budget.trials`. With a budget of epochs, it is one and
    a half times as many as could train all their cycles, because rejected configurations leave their cycles to others.
    With neither, it is 10. If budget is left at the end, further configurations follow."""


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
