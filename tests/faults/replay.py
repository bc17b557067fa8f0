"""The audit of a study by replay: each decision is asked for again, of a fresh Search that has seen the events before.

Knows events and Search. Must not know where events come from, nor what has interrupted the study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bandstand.search.search import Search
from bandstand.strategies.strategy import ForeseeingStrategy, Promotion, Proposal, Retirement, Step
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action, Decided, Ended, Event, Measured, Promoted, Proposed

__all__ = ["replay_decisions"]

_OF_SEARCH = ("max_epochs", "early_stopping", "budget", "diverged", "missing_metric", "the study is being stopped")
"""Reasons that say what has happened, and judge nothing."""


def replay_decisions(spec: StudySpec, events: Sequence[Event]) -> tuple[int, list[str]]:
    """How many decisions were asked for again, and where a fresh Search would have decided otherwise.

    Decisions that Ray Tune takes are not Search's, so that none is compared.
    """
    search = Search(spec)
    directed = spec.sampler.startswith("tune-")
    compared, found = 0, []
    for place, event in enumerate(events):
        asked = None if directed else _asked_again(search, event, events[place - 1] if place else None)
        if asked is not None:
            compared += 1
            if not asked[0]:
                found.append(f"{spec.name}: event {place + 1} is {event}, and a fresh search says {asked[1]}")
        search._state.apply(event)
    return compared, found


def _asked_again(search: Search, event: Event, before: Event | None) -> tuple[bool, Any] | None:
    """Whether this is what the search decides, and what it does; None where the event is not its decision."""
    match event:
        case Proposed() if event.request is None:
            steps = _steps(search)
            return any(_is_proposal(search, step, event) for step in steps), steps
        case Promoted():
            steps = _steps(search)
            wanted = Promotion(trial=event.trial, reason=event.reason)
            trial = search.history.trials[event.trial]
            return wanted in steps and search._state.granted(trial, trial.epochs) == event.granted, steps
        case Decided() if event.reason not in _OF_SEARCH:
            return _is_judgement(search, event)
        case Decided() if event.reason == "max_epochs":
            return event.action is Action.STOP and event.epoch == search.spec.max_epochs, event
        case Measured():
            trial = search.history.trials[event.trial]
            return event.epoch == trial.epochs + 1 and event.attempt == trial.attempt, trial
        case Ended() if search.history.trials[event.trial].state == "paused" and search.history.ended is None:
            steps = [*_steps(search), search.strategy.at_end(search.history.trials[event.trial])]
            return any(isinstance(step, Retirement) and step.reason == event.reason for step in steps), steps
    return None


def _steps(search: Search) -> list[Step | None]:
    """What the strategy may do now: with a free worker, ahead of one, or before what was foreseen."""
    state = search._state
    steps: list[Step | None] = [state.strategy.step(state.situation)]
    if isinstance(state.strategy, ForeseeingStrategy) and state.strategy.foresees:
        steps.append(state.strategy.foresee(state.situation))
        steps.append(state.strategy.overtaking(replace(state.situation, may_propose=True)))
    return steps


def _is_proposal(search: Search, step: Step | None, event: Proposed) -> bool:
    if not isinstance(step, Proposal):
        return False
    told = (step.params, step.bracket, step.parent, step.from_epoch, step.weights, tuple(step.learning_rates))
    stored = (
        event.params, event.bracket, event.parent, event.from_epoch, event.weights, tuple(event.learning_rates)
    )  # fmt: skip
    return _plain(told) == _plain(stored)


def _is_judgement(search: Search, event: Decided) -> tuple[bool, Any]:
    judgement, granted = search._judging._judgement(search.history.trials[event.trial])
    same = (judgement.action, granted, judgement.reason, judgement.completes) == (
        event.action, event.granted, event.reason, event.completes
    )  # fmt: skip
    halted = event.action is Action.PAUSE and judgement.action is Action.CONTINUE and judgement.reason == event.reason
    return same or halted, (judgement, granted)


def _plain(value: Any) -> Any:
    """As JSON would have it."""
    if hasattr(value, "items"):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
