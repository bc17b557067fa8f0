"""Options of samplers and pruners, read from a study's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from bandstand.problem.broken_rules import did_you_mean, rule_from

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["Options", "check_min_epochs", "options_from"]


class Options(BaseModel):
    """What may be set for one sampler or pruner; unknown names are refused.

    The string below a field is what the field means. Pydantic keeps it as the field's `description`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


O = TypeVar("O", bound=Options)  # noqa: E741
_WORDS = {2: "two", 3: "three", 4: "four"}


def options_from(owner: str, model: type[O], settings: Mapping[str, Any]) -> O:
    """Validated options.

    Args:
        owner: `sampler tpe` or `pruner asha`, for the message.
        model: what may be set.
        settings: as in the study.

    Raises:
        ValueError: one line naming the option, its rule and the value.
    """
    for name in settings:
        if name not in model.model_fields:
            raise ValueError(_unknown(owner, str(name), list(model.model_fields)))
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        raise ValueError(_line_from(owner, error.errors())) from None


def _unknown(owner: str, name: str, known: list[str]) -> str:
    if not known:
        return f"{owner} has no options; got {name!r}: leave it out"
    return f"options of {owner} may be {', '.join(known)}; got {name!r}{did_you_mean(name, known)}"


def _line_from(owner: str, errors: Sequence[ErrorDetails]) -> str:
    """The first option that breaks a rule, with all that it may be instead."""
    first = errors[0]
    *above, last = first["loc"]
    where = _name_from(tuple(above))
    if first["type"] == "missing" and isinstance(last, int):  # of a list of fixed length
        return f"option {where} of {owner} must have {_WORDS.get(last + 1, last + 1)} values; got {first['input']!r}"
    if first["type"] == "missing" and not above:
        return f"{owner} needs option {last}; it is missing: add it to the options"
    if first["type"] == "missing":
        return f"option {where} of {owner} must have {last}; got {first['input']!r}: add it"
    if first["type"] == "extra_forbidden":
        return f"option {where} of {owner} must not have {last}; got {first['input']!r}: leave it out"
    name = _name_from(first["loc"])
    rules = [rule_from(one) for one in errors if _name_from(one["loc"]) == name]  # several in a union
    return f"option {name} of {owner} must be {' or '.join(dict.fromkeys(rules))}; got {first['input']!r}"


def _name_from(location: tuple[int | str, ...]) -> str:
    """The option; pydantic also names the branch of a union that it tried, such as constrained-int."""
    return ".".join(str(part) for part in location if not re.search(r"[-\[]", str(part)))


def check_min_epochs(owner: str, min_epochs: int, max_epochs: int) -> None:
    """Refuse a first judged epoch that no trial reaches.

    Raises:
        ValueError: one line.
    """
    if min_epochs > max_epochs:
        raise ValueError(
            f"option min_epochs of {owner} must be at most max_epochs; got {min_epochs} with max_epochs {max_epochs}"
        )
