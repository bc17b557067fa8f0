"""Ray Tune's search spaces as ours, and ours as Ray Tune's.

Tune's domains are recognised by the names of their classes, so that reading them needs no import of Ray: whoever holds
such a space has imported it. What both sides draw from is the same set of values; how often they draw each may differ
where Tune quantizes, because `quniform` rounds and so gives its two ends half a share.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bandstand_spaces.parameters import Categorical, Float, Int, Parameter

__all__ = ["parameters_from_tune", "tune_from_parameters"]

_DOMAINS = "ray.tune.search.sample"
_UNNAMED = "tune.grid_search, tune.uniform, tune.loguniform, tune.randint, tune.lograndint, tune.choice or a constant"


def parameters_from_tune(config: Mapping[str, Any]) -> dict[str, Parameter]:
    """The parameters that a Tune config describes; `SearchSpace.from_tune` says what becomes what.

    Raises:
        ValueError: an entry has no counterpart; the message names it and the way out.
    """
    if not isinstance(config, Mapping):
        raise ValueError(f"a Tune space must be a dict; got {config!r}; pass the dict that you gave to param_space")
    return _parameters(config, ())


def tune_from_parameters(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The Tune config that describes a space of these parameters; `SearchSpace.to_tune` says what becomes what.

    Raises:
        ValueError: the space has branches, for which Tune has no word.
    """
    for name, parameter in parameters.items():
        if isinstance(parameter, Categorical) and parameter.branches:
            below = next(iter(next(iter(parameter.branches.values()))))
            raise ValueError(
                f"a space for Tune must have no branches, because its samplers know no conditions; got {below} under "
                f"{name}; move {below} to the top level and let the builder ignore it when it does not apply"
            )
    # By name, because only `bandstand_workers` imports Ray: reading, drawing and storing spaces must start without it.
    tune = importlib.import_module("ray.tune")
    return {name: _domain(tune, parameter) for name, parameter in parameters.items()}


def _parameters(config: Mapping[str, Any], above: tuple[str, ...]) -> dict[str, Parameter]:
    parameters: dict[str, Parameter] = {}
    for key, value in config.items():
        name = "_".join((*above, str(key)))
        if isinstance(value, Mapping) and set(value) != {"grid_search"}:
            found = _parameters(value, (*above, str(key)))
        else:
            found = {name: _parameter(name, value)}
        for twin in found.keys() & parameters.keys():
            raise ValueError(f"a name must occur once in the whole space; got {twin!r} twice; rename one of the keys")
        parameters |= found
    return parameters


def _parameter(name: str, value: Any) -> Parameter:
    try:
        if isinstance(value, Mapping):
            return Categorical(value["grid_search"])
        kind = _class_name(value, "Domain")
        if kind == "Float":
            return _float(value)
        if kind == "Integer":
            return _int(value)
        if kind == "Categorical":
            return Categorical(value.categories)
        if kind:
            raise ValueError(f"tune.sample_from cannot be converted, because it is code; use {_UNNAMED}")
        if callable(value):
            raise ValueError(f"a function cannot be converted, because a space is data; got {value!r}; use {_UNNAMED}")
        return Categorical([value])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _float(domain: Any) -> Parameter:
    sampler, step = _sampler(domain)
    if sampler == "Normal":
        raise ValueError(
            f"tune.{'randn' if step is None else 'qrandn'} has no bounds, and a parameter needs bounds; "
            "use tune.uniform with bounds about two standard deviations from the mean"
        )
    if step is not None and sampler == "LogUniform":
        raise ValueError(
            f"tune.qloguniform has both a step and a log scale, and a parameter can have only one; got q={step}; "
            "use tune.loguniform, tune.quniform, or tune.choice with the values"
        )
    low, high = domain.lower, domain.upper
    if step is not None:
        # Tune's grid is the multiples of q, from which a bound may be off by a rounding error.
        low, high = (float(Decimal(str(step)) * round(bound / step)) for bound in (low, high))
    if low == high:
        return Categorical([float(low)])
    return Float(low, high, log=sampler == "LogUniform", step=step)


def _int(domain: Any) -> Parameter:
    sampler, step = _sampler(domain)
    log = sampler == "LogUniform"
    if step is None or step == 1:  # with q=1 the upper bound is exclusive too
        low, high, step = domain.lower, domain.upper - 1, 1
    elif log:
        raise ValueError(
            f"tune.qlograndint has both a step and a log scale, and a parameter can have only one; got q={step}; "
            "use tune.lograndint, tune.qrandint, or tune.choice with the values"
        )
    else:
        low, high = math.ceil(domain.lower / step) * step, math.floor(domain.upper / step) * step
    if low > high:
        raise ValueError(f"the range must contain a value; got lower={domain.lower}, upper={domain.upper}; raise upper")
    return Categorical([low]) if low == high else Int(low, high, log=log, step=step)


def _sampler(domain: Any) -> tuple[str, Any]:
    """The name of the domain's sampler below its quantization, and the quantum or None."""
    sampler = domain.get_sampler()
    step = None
    if _class_name(sampler, "Sampler") == "Quantized":
        sampler, step = sampler.sampler, sampler.q
    # `tune.uniform` uses Float._Uniform, a subclass of Uniform.
    return _class_name(sampler, "BaseSampler", "Sampler").lstrip("_"), step


def _class_name(value: Any, *roots: str) -> str:
    """The name of Tune's class that `value` is of, if it is below one of `roots` in Tune's module; else empty."""
    names = [kind.__name__ for kind in type(value).__mro__ if kind.__module__ == _DOMAINS]
    return names[0] if set(roots) & set(names) else ""


def _domain(tune: Any, parameter: Parameter) -> Any:
    if isinstance(parameter, Categorical):
        return tune.choice(list(parameter.choices))
    if isinstance(parameter, Int):
        if parameter.log:
            return tune.lograndint(parameter.low, parameter.high + 1)
        if parameter.step == 1:
            return tune.randint(parameter.low, parameter.high + 1)
        if parameter.low % parameter.step == 0:
            return tune.qrandint(parameter.low, parameter.high, parameter.step)
        return tune.choice(list(parameter.grid()))
    if parameter.step is None:
        return (tune.loguniform if parameter.log else tune.uniform)(parameter.low, parameter.high)
    # As Tune computes its values; where it would miss an end by a rounding error, that end would be no value of ours.
    ends = [round(end / parameter.step) * parameter.step for end in (parameter.low, parameter.high)]
    if all(map(parameter.contains, ends)):
        return tune.quniform(parameter.low, parameter.high, parameter.step)
    return tune.choice(list(parameter.grid() or ()))
