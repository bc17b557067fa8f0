"""Search spaces as plain data: the form that PostgreSQL, JSON and TOML hold.

A space is a table of name to parameter, a parameter a table with a `type`:

    {"units": {"type": "int", "low": 16, "high": 128, "step": 16},
     "optimizer": {"type": "categorical", "choices": ["sgd", "adam"],
                   "when": {"sgd": {"momentum": {"type": "float", "low": 0.0, "high": 0.99}}}}}

The order of names is part of a space, so a store must keep it: PostgreSQL's `json` and `text` do, its `jsonb` does not.
"""

import json
import tomllib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from bandstand_spaces.parameters import Categorical, Float, Int, Parameter
from bandstand_spaces.values import Value, key_of


class _Form(NamedTuple):
    """How one type of parameter is written."""

    kind: type[Float] | type[Int] | type[Categorical]
    required: tuple[str, ...]
    optional: tuple[str, ...]


_FORMS = MappingProxyType(
    {
        "categorical": _Form(Categorical, ("choices",), ("when",)),
        "float": _Form(Float, ("low", "high"), ("log", "step")),
        "int": _Form(Int, ("low", "high"), ("log", "step")),
    }
)


def parameters_from_dict(data: object) -> dict[str, Parameter]:
    """The parameters that `data` describes, in its order.

    Raises:
        ValueError: `data` is not of that form; the message names the parameter.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"a search space must map names to parameters; got {data!r}; write it as a table")
    return {name: _parameter_from_dict(name, value) for name, value in data.items()}


def parse_json(text: str) -> object:
    """The data in JSON text; ValueError where it is none, or names a key twice, of which JSON would drop one."""
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        raise ValueError(f"a search space must be valid JSON; got {error}; correct the text") from error


def parse_toml(text: str) -> object:
    """The data in TOML text; ValueError where it is none."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"a search space must be valid TOML; got {error}; correct the text") from error


def _parameter_from_dict(name: str, data: object) -> Parameter:
    options = _checked_options(name, data)
    form = _FORMS[options.pop("type")]
    when = options.pop("when", {})
    try:
        parameter = form.kind(**options)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if isinstance(parameter, Categorical):
        return Categorical(parameter.choices, branches=_branches_from_dict(name, parameter, when))
    return parameter


def _checked_options(name: str, data: object) -> dict[str, Any]:
    """A copy of `data` with a known type, all the keys that type requires, and no key that it does not know."""
    if not isinstance(data, Mapping):
        raise ValueError(f"{name}: a parameter must be a table; got {data!r}; write {{type = ..., ...}}")
    kind = data.get("type")
    if not isinstance(kind, str) or kind not in _FORMS:
        got = repr(kind) if "type" in data else "none"
        raise ValueError(f"{name}: type must be one of {', '.join(_FORMS)}; got {got}; set it to one of them")
    form = _FORMS[kind]
    allowed = ("type", *form.required, *form.optional)
    for key in data:
        if key not in allowed:
            raise ValueError(
                f"{name}: a key of type {kind} must be one of {', '.join(allowed)}; got {key!r}; remove it"
            )
    for key in form.required:
        if key not in data:
            raise ValueError(f"{name}: type {kind} needs {', '.join(form.required)}; got no {key}; add it")
    return dict(data)


def _branches_from_dict(name: str, parameter: Categorical, when: object) -> dict[Value, dict[str, Parameter]]:
    if not isinstance(when, Mapping):
        raise ValueError(f"{name}: the table when must map choices to parameters; got {when!r}; write it as a table")
    choices = {key_of(choice): choice for choice in parameter.choices}
    for key in when:
        if key not in choices:
            raise ValueError(
                f"{name}: a key of the table when must be one of the choices {', '.join(choices)}; got {key!r}; "
                "rename it or add the choice"
            )
    return {choices[key]: parameters_from_dict(branch) for key, branch in when.items()}


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"a key must not be used twice in one table; got {twice!r}; rename or remove one")
    return result
