"""The values a hyperparameter may take, and the rules for its bounds, steps and choices.

Every rule here exists because a value would otherwise change on its way through Optuna (float64 inside), PostgreSQL
(text without NUL) or JSON. Each one raises ValueError with the rule, the value and the way out.
"""

import json
import math
import numbers
from collections.abc import Sequence
from decimal import Decimal
from typing import TypeAlias, TypeGuard

Value: TypeAlias = bool | int | float | str

# Optuna accepts a stepped value this far from the grid, in steps; another tolerance here would disagree with it.
GRID_TOLERANCE = 1e-8
# With more steps than this between zero and a bound, float64 leaves less precision than that tolerance.
_MAX_STEPS = 1_000_000
# Optuna stores parameters as float64, and JSON readers keep no more: beyond this an integer comes back as another one.
_MAX_INT = 2**53


def is_integer(value: object) -> TypeGuard[int]:
    """Whether `value` is a plain int; a bool is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is a plain int or float; a bool is not."""
    return is_integer(value) or isinstance(value, float)


def is_same_choice(choice: Value, value: object) -> bool:
    """Whether `value` means `choice`: equal and of its type, but for an int that stands for the float it equals."""
    if isinstance(choice, float):
        return is_number(value) and choice == value
    return type(value) is type(choice) and value == choice


def key_of(choice: Value) -> str:
    """The text that stands for `choice` where it is a key: a string itself, the JSON text of anything else."""
    return choice if isinstance(choice, str) else json.dumps(choice)


def as_bool(name: str, value: object) -> bool:
    """`value` as it is if it is a bool; ValueError otherwise."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false; got {value!r}; write it without quotes")
    return value


def as_float(name: str, value: object) -> float:
    """`value` as a plain finite float, from any real number; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"{name} must be a number; got {value!r}; write it without quotes, as 0.001 or 1e-3")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite; got {value!r}; use the largest number that makes sense")
    return number + 0.0  # -0.0 becomes 0.0: they are equal, but not written alike.


def as_int(name: str, value: object) -> int:
    """`value` as a plain int, from any integer that float64 holds exactly; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError(f"{name} must be an integer; got {value!r}; use a whole number, or Float instead of Int")
    if abs(int(value)) > _MAX_INT:
        raise ValueError(f"{name} must be between -2**53 and 2**53; got {value!r}; count in larger units, or use Float")
    return int(value)


def as_choice(value: object) -> Value:
    """`value` as a plain bool, int, float or str that PostgreSQL and JSON give back unchanged; ValueError otherwise."""
    if isinstance(value, bool):
        return value
    if isinstance(value, numbers.Integral):
        return as_int("an integer among the choices", value)
    if isinstance(value, numbers.Real):
        return as_float("a number among the choices", value)
    if not isinstance(value, str):
        raise ValueError(
            f"a choice must be a str, int, float or bool, because the database stores it as JSON; got {value!r}; use "
            "a string and translate it in the builder"
        )
    if "\0" in value or not _is_unicode(value):
        raise ValueError(f"a choice that is a string must not have NUL or surrogates; got {value!r}; rename it")
    return str.__str__(value)  # The plain string below a str enum, whose own str() may be its name.


def checked_choices(choices: object) -> tuple[Value, ...]:
    """`choices` as a tuple of plain values, none twice; ValueError otherwise."""
    if isinstance(choices, str | bytes) or not isinstance(choices, Sequence):
        raise ValueError(f"choices must be a list or tuple, because their order counts; got {choices!r}; write [a, b]")
    if not choices:
        raise ValueError(f"choices must not be empty; got {choices!r}; name at least one")
    values = tuple(map(as_choice, choices))
    seen: dict[Value, Value] = {}
    keys: dict[str, Value] = {}
    for value in values:
        twin = seen.get(value, keys.get(key_of(value)))
        if twin is not None:
            raise ValueError(
                f"choices must differ in value and in text; got {twin!r} and {value!r}; leave out one, or use strings"
            )
        seen[value] = keys[key_of(value)] = value
    return values


def check_range(low: float, high: float, log: bool) -> None:
    """Raises ValueError unless `low` < `high`, both fit the scale, and their distance is finite."""
    if low == high:
        raise ValueError(f"low must be < high; got low={low}, high={high}; for a constant use Categorical([{low}])")
    if low > high:
        raise ValueError(f"low must be < high; got low={low}, high={high}; swap them")
    if log and low <= 0:
        raise ValueError(f"log needs low > 0; got low={low}; raise low, or leave log out")
    if not math.isfinite(high - low):
        raise ValueError(f"high - low must be finite; got low={low}, high={high}; narrow the range")


def check_step(step: float, log: bool) -> None:
    """Raises ValueError unless `step` > 0 and the scale is linear."""
    if step <= 0:
        raise ValueError(f"step must be > 0; got step={step}; use the distance between neighbouring values")
    if log:
        raise ValueError(f"step and log must not be used together; got step={step}, log=True; leave one out")


def check_fraction(u: float) -> None:
    """Raises ValueError unless 0 <= `u` < 1."""
    if not 0 <= u < 1:
        raise ValueError(f"u must be at least 0 and below 1; got {u!r}; draw it with rng.random()")


def last_grid_value(low: float, high: float, step: float) -> float:
    """`high` as `low + k * step` in decimals, which is how Optuna computes it; ValueError where no k leads there.

    Optuna quietly moves a high that is off by one rounding error down by a whole step.
    """
    if max(abs(low), abs(high)) > step * _MAX_STEPS:
        raise ValueError(
            f"step must be at least a millionth of the bounds; got step={step}, low={low}, high={high}; raise it"
        )
    steps = round((high - low) / step)
    if steps < 1 or abs((high - low) / step - steps) >= GRID_TOLERANCE:
        below = max(1, math.floor((high - low) / step))
        raise unreachable(low, high, step, f"use high={grid_value(low, step, below)}")
    last = grid_value(low, step, steps)
    if (Decimal(str(last)) - Decimal(str(low))) % Decimal(str(step)):
        raise unreachable(low, high, step, "give low and step fewer digits")
    return last


def grid_value(low: float, step: float, index: int) -> float:
    """`low + index * step`, computed in decimals, so that 3 steps of 0.1 make 0.3."""
    return float(Decimal(str(low)) + index * Decimal(str(step)))


def unreachable(low: float, high: float, step: float, way_out: str) -> ValueError:
    """The error for a high that is no whole number of steps above low."""
    return ValueError(
        f"high must be low plus a whole number of steps; got low={low}, high={high}, step={step}; {way_out}"
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
