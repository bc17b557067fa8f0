"""Failed trials by kind, with where in the space they failed and what can be done about it.

Knows a study's record. Must not know pages or terminals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bandstand.report.records.params import params_by_trial
from bandstand.report.text import value_text
from bandstand.store.records import StudyOverview, StudyRecord
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import TrialState
from bandstand.trials.failure_kinds import FAILURE_KINDS, REMEDIES
from bandstand_spaces import Categorical, Parameter

__all__ = ["FailureGroup", "failure_groups", "overview_groups"]

_TELLING = 0.8
"""The share of pairs of a failed and a sound trial that a parameter must put in order, so that it is named."""


@dataclass(frozen=True, kw_only=True)
class FailureGroup:
    """Trials that failed in the same way."""

    reason: str
    message: str
    """Of the first of them."""
    same_message: bool
    """Whether all of them have it."""
    count: int
    trials: tuple[int, ...]
    """Of a large study's overview only the first of them."""
    advice: str | None
    """What can be done; None where the message is all that is known."""

    @property
    def words(self) -> str:
        """The message, or what their messages have in common and one of them."""
        if self.same_message or self.reason not in FAILURE_KINDS:
            return self.message
        return f"{FAILURE_KINDS[self.reason]}, for example: {self.message}"


def failure_groups(record: StudyRecord) -> list[FailureGroup]:
    """The failed trials, the largest group first: by kind where params decide it, else by message."""
    failed = record.trials[record.trials["state"] == TrialState.FAILED]
    groups: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for trial, reason, message in zip(failed["number"], failed["reason"], failed["message"], strict=True):
        text = str(message or "")
        key = (str(reason), "" if reason in FAILURE_KINDS else text)
        groups.setdefault(key, []).append((int(trial), text))
    found = [
        FailureGroup(
            reason=reason,
            message=members[0][1],
            same_message=len({text for _, text in members}) == 1,
            count=len(members),
            trials=tuple(trial for trial, _ in members),
            advice=_advice_on(record, reason, [trial for trial, _ in members]),
        )
        for (reason, _), members in groups.items()
    ]
    return sorted(found, key=lambda group: (-group.count, group.trials))


def overview_groups(overview: StudyOverview) -> list[FailureGroup]:
    """The same from a study's overview, with advice from the params of a few hundred trials."""
    return [
        FailureGroup(
            reason=failure.reason,
            message=failure.message,
            same_message=failure.same_message,
            count=failure.count,
            trials=tuple(failure.trials),
            advice=_advice(overview.spec, failure.reason, failure.failed_params, failure.sound_params),
        )
        for failure in overview.failures
    ]


def _advice_on(record: StudyRecord, reason: str, failed: list[int]) -> str | None:
    if reason not in REMEDIES:
        return None
    params, trials = params_by_trial(record), record.trials
    sound = [
        int(trial)
        for trial in trials.loc[(trials["reason"] != reason) & (trials["epochs"] > 0), "number"]
        if int(trial) in params
    ]
    return _advice(record.spec, reason, [params[trial] for trial in failed], [params[trial] for trial in sound])


def _advice(
    spec: StudySpec, reason: str, failed: Sequence[Mapping[str, Any]], sound: Sequence[Mapping[str, Any]]
) -> str | None:
    if reason not in REMEDIES:
        return None
    where = _telling_parameter(spec, failed, sound)
    remedy = f"{REMEDIES[reason][:1].upper()}{REMEDIES[reason][1:]}."
    return f"{where} {remedy}" if where else remedy


def _telling_parameter(
    spec: StudySpec, failed: Sequence[Mapping[str, Any]], sound: Sequence[Mapping[str, Any]]
) -> str | None:
    """A sentence on the parameter that tells failed trials from others best; None where none does."""
    best: tuple[float, str] | None = None
    for name, parameter, _ in spec.space.flat():
        bad = [params[name] for params in failed if name in params]
        good = [params[name] for params in sound if name in params]
        if len(bad) < len(failed) or not good:
            continue
        found = _choice_sentence(name, bad, good) if isinstance(parameter, Categorical) else None
        found = found or _range_sentence(name, parameter, bad, good)
        if found is not None and found[0] >= _TELLING and (best is None or found[0] > best[0]):
            best = found
    return None if best is None else best[1]


def _range_sentence(name: str, parameter: Parameter, bad: list[Any], good: list[Any]) -> tuple[float, str] | None:
    """How well a number tells them apart, from 0.5 to 1, and a sentence on it."""
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in [*bad, *good]):
        return None
    order = np.sort(np.array(good, float))
    below, upto = (np.searchsorted(order, np.array(bad, float), side=side) for side in ("left", "right"))
    higher = float(np.mean(below + upto)) / (2 * len(good))
    end, other_end, limit = ("upper", "at most", max(good)) if higher >= 0.5 else ("lower", "at least", min(good))
    low, high = value_text(min(bad)), value_text(max(bad))
    span = f"is {low}" if low == high else f"is {low} to {high}"
    sentence = (
        f"{name} {span} in the trials that failed so, and {other_end} {value_text(limit)} in the others: "
        f"move the {end} end of its range."
    )
    return max(higher, 1 - higher), sentence


def _choice_sentence(name: str, bad: list[Any], good: list[Any]) -> tuple[float, str] | None:
    """The same of a choice that all failed trials have."""
    if len(set(map(str, bad))) > 1 or len(bad) < 2:
        return None
    choice = bad[0]
    share = float(np.mean([value != choice for value in good]))
    return share, f"{name} is {value_text(choice)} in all trials that failed so: leave this choice out."
