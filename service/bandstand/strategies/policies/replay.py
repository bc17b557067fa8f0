"""Replays a schedule of params from fresh weights: one lineage, segment by segment."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import PolicyFacts
from bandstand.strategies.options import Options, options_from
from bandstand.strategies.strategy import Judgement, Promotion, Proposal, Retirement, Situation, Step
from bandstand.trials.broken_study import PARENT_CHECKPOINT
from bandstand.trials.events import Action, Ended, Event, Lost, Paused, Promoted, Proposed, TrialState
from bandstand.trials.history import Trial

__all__ = ["Replay"]


class ReplaySegment(BaseModel):
    """A number of epochs that are trained with the same params."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    params: dict[str, Any]
    """One point of the study's space."""
    epochs: Annotated[int, Field(ge=1)]
    """Number of epochs."""
    learning_rates: tuple[float, ...] = ()
    """Learning rate of each epoch. Default: the builder sets the learning rate."""


class ReplayOptions(Options):
    """Options of sampler replay. `bandstand replay` writes them."""

    segments: Annotated[tuple[ReplaySegment, ...], Field(min_length=1)]
    """Segments in the order of their training. Each has `params`, `epochs` and, if wanted, `learning_rates` (one
    an epoch). Each segment continues from the last weights of the segment before it."""
    study: str | None = None
    """Name of the study that the segments come from. It has no effect on the training."""
    trial: int | None = None
    """Number of the trial that the segments come from. It has no effect on the training."""


class Replay(PolicyFacts):
    """Trains one lineage: the first segment is a trial, each further one a child of the one before.

    `bandstand replay` makes such a study of what population-based training or learning-rate restarts have found.
    """

    options: ClassVar[type[ReplayOptions]] = ReplayOptions
    summary: ClassVar[str] = (
        "Trains a given schedule of params once from new random weights. `bandstand replay` makes such a study."
    )
    exhausted = "the schedule was replayed to its end"
    closed = "it trains one given schedule and nothing else"

    def __init__(self, spec: Problem):
        self._segments = options_from("sampler replay", ReplayOptions, spec.sampler_options).segments
        self._trials: list[Trial] = []
        self._paused: Trial | None = None

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        options = options_from("sampler replay", ReplayOptions, spec.sampler_options)
        for segment in options.segments:
            spec.space.check(segment.params)
        epochs = sum(segment.epochs for segment in options.segments)
        if epochs > spec.max_epochs:
            raise ValueError(
                f"max_epochs must cover the segments of sampler replay; got {spec.max_epochs} for {epochs} epochs"
            )

    @classmethod
    def make(cls, spec: Problem) -> Replay:
        """As `Policy.make`."""
        return cls(spec)

    def step(self, situation: Situation) -> Step | None:
        """As `Strategy.step`."""
        paused, count = self._paused, len(self._trials)
        if paused is not None and paused.checkpoint_epoch < paused.epochs:
            return Promotion(trial=paused.number, reason="its last epoch has no usable checkpoint")
        if paused is not None and paused is not self._trials[-1] and not self._trials[-1].has_own_checkpoint:
            return None  # should its checkpoint turn out to be damaged, it must train again
        if paused is not None and (paused is not self._trials[-1] or count == len(self._segments)):
            place = self._trials.index(paused) + 1
            return Retirement(trial=paused.number, reason=f"segment {place} of {len(self._segments)}", completes=True)
        if count == len(self._segments) or (count and paused is None) or (not count and not situation.may_propose):
            return None
        segment = self._segments[count]
        return Proposal(
            params=segment.params,
            learning_rates=segment.learning_rates,
            parent=None if paused is None else paused.number,
            from_epoch=0 if paused is None else paused.epochs,
            origin=None if paused is None else f"segment {count + 1} of the schedule",
        )

    def adopt(self, params: Mapping[str, Any], number: int) -> Proposal | None:
        """As `Strategy.adopt`: never."""
        return None

    def next_ask(self, trial: Trial, after_epoch: int) -> int:
        """As `Strategy.next_ask`: the end of its segment."""
        return next(end for end in self.ask_epochs() if end > trial.from_epoch)

    def judge(self, trial: Trial) -> Judgement:
        """As `Strategy.judge`."""
        if trial.epochs < self.next_ask(trial, trial.epochs):
            return Judgement(action=Action.CONTINUE, reason="within its segment")
        return Judgement(action=Action.PAUSE, reason="the end of its segment")

    def at_end(self, trial: Trial) -> Retirement:
        """As `Strategy.at_end`."""
        return Retirement(trial=trial.number, reason="budget", completes=True)

    def keeps(self, trial: Trial) -> bool:
        """As `Strategy.keeps`."""
        return False

    def ask_epochs(self) -> tuple[int, ...]:
        """As `Strategy.ask_epochs`."""
        return tuple(accumulate(segment.epochs for segment in self._segments))

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Strategy.observe`."""
        if trial is None:
            return
        if isinstance(event, Proposed):
            self._trials.append(trial)
        elif isinstance(event, Paused | Lost) and trial.state is TrialState.PAUSED:
            self._paused = trial
        elif isinstance(event, Ended | Promoted) and self._paused is trial:
            self._paused = None
        elif isinstance(event, Ended) and event.reason == PARENT_CHECKPOINT and self._trials[-1] is trial:
            self._trials.pop()  # its segment is to be trained by another trial

    def notices(self) -> list[str]:
        """As `Strategy.notices`."""
        return []
