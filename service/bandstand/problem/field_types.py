"""Types of settings that the models of a study share.

Knows pydantic, and a space as a field of it. Must not know which settings there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, PlainValidator

from bandstand_spaces import SEARCH_SPACES, SearchSpace

__all__ = ["Frozen", "Positive", "Space"]


class Frozen(BaseModel):
    """Settings that never change; unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def _not_a_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"must be a number; got {value}")
    return value


Positive = Annotated[int, Field(ge=1), BeforeValidator(_not_a_bool)]
"""A whole number from 1."""


def _space_from(value: Any) -> SearchSpace:
    if isinstance(value, SearchSpace):
        return value
    if isinstance(value, str):
        if value not in SEARCH_SPACES:
            raise ValueError(f"must be a table of parameters or one of {', '.join(SEARCH_SPACES)}; got {value!r}")
        return SEARCH_SPACES[value]
    if isinstance(value, Mapping):
        return SearchSpace.from_dict(dict(value))
    raise ValueError(f"must be a table of parameters or a name; got {type(value).__name__}")


if TYPE_CHECKING:
    Space = SearchSpace
else:  # pydantic would try to read the classes of a space as models of its own
    Space = Annotated[Any, PlainValidator(_space_from), PlainSerializer(lambda space: space.to_dict())]
