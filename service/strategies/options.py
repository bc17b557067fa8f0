"""Options of samplers and pruners, read from a study's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["Options", "check_min_epochs", "options_from"]


class Options(BaseModel):
    """What may be set for one sampler or pruner; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


O = TypeVar("O", bound=Options)  # noqa: E741


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
            known = ", ".join(model.model_fields) or "nothing"
            raise ValueError(f"options of {owner} may be {known}; got {name!r}")
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        errors = error.errors()
        name = _name_from(errors[0]["loc"])
        rules = [_rule_from(one["msg"]) for one in errors if _name_from(one["loc"]) == name]  # several in a union
        rule = " or ".join(dict.fromkeys(rules))
        raise ValueError(f"option {name} of {owner} must be {rule}; got {errors[0]['input']!r}") from None


def _name_from(location: tuple[int | str, ...]) -> str:
    """The option; pydantic also names the branch of a union that it tried, such as constrained-int."""
    return ".".join(str(part) for part in location if not re.search(r"[-\[]", str(part)))


def _rule_from(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Input should be ")


def check_min_epochs(owner: str, min_epochs: int, max_epochs: int) -> None:
    """Refuse a first judged epoch that no trial reaches.

    Raises:
        ValueError: one line.
    """
    if min_epochs > max_epochs:
        raise ValueError(
            f"option min_epochs of {owner} must be at most max_epochs; got {min_epochs} with max_epochs {max_epochs}"
        )
