"""A new trial as the database will give it back: what Optuna's template says, through the forms that are stored.

Pure. So a trial is the same whether it is read from memory or, in another process, from the database.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from bandstand.optuna_storage.internals import ID_ATTRIBUTE
from bandstand.optuna_storage.memory import changed
from bandstand.optuna_storage.values import (
    attribute_from_json,
    attribute_to_json,
    distribution_from_json,
    distribution_to_json,
    local_from_utc,
    utc_from_local,
)

__all__ = ["drafted", "numbered"]

_NO_ID = -1


def drafted(template: FrozenTrial | None) -> tuple[FrozenTrial, dict[str, tuple[float, str]]]:
    """A trial still without id and number, running since now if there is no template.

    Returns:
        The trial, and for each parameter its internal value and its distribution's text.

    Raises:
        TypeError: an attribute cannot be said in JSON.
        ValueError: a value is none of its distribution's choices.
    """
    if template is None:
        return _trial(TrialState.RUNNING, datetime_start=datetime.now()), {}
    internal = {
        name: (float(distribution.to_internal_repr(template.params[name])), distribution_to_json(distribution))
        for name, distribution in ((name, template.distributions[name]) for name in template.params)
    }
    distributions = {name: distribution_from_json(text) for name, (_, text) in internal.items()}
    trial = _trial(
        template.state,
        values=None if template.values is None else [float(value) for value in template.values],
        datetime_start=local_from_utc(utc_from_local(template.datetime_start)),
        datetime_complete=local_from_utc(utc_from_local(template.datetime_complete)),
        params={name: distributions[name].to_external_repr(value) for name, (value, _) in internal.items()},
        distributions=distributions,
        user_attrs=_stored(template.user_attrs),
        system_attrs=_stored(template.system_attrs),
        intermediate_values={int(step): float(value) for step, value in template.intermediate_values.items()},
    )
    return trial, internal


def numbered(trial: FrozenTrial, trial_id: int, number: int) -> FrozenTrial:
    """A draft that has got its id and number."""
    return changed(trial, number=number, **{ID_ATTRIBUTE: trial_id})


def _trial(state: TrialState, **attributes: Any) -> FrozenTrial:
    empty: dict[str, Any] = {
        "datetime_start": None,
        "datetime_complete": None,
        "params": {},
        "distributions": {},
        "user_attrs": {},
        "system_attrs": {},
        "intermediate_values": {},
    }
    return FrozenTrial(state=state, value=None, number=_NO_ID, trial_id=_NO_ID, **(empty | attributes))


def _stored(attrs: dict[str, Any]) -> dict[str, Any]:
    return {key: attribute_from_json(attribute_to_json(value)) for key, value in attrs.items()}
