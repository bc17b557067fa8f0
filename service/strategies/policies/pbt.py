"""Population-based training: members train side by side, and the worst go on from the best with changed params."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, isfinite
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from service.events import Action, Ended, Event, Lost, Measured, Paused, Promoted, Proposed, TrialState
from service.history import Trial
from service.strategies.options import Options, options_from
from service.strategies.policies.explore import check_changeable, explored, usually_changed
from service.strategies.randomness import coin_for, generator_for
from service.strategies.strategy import Judgement, Promotion, Proposal, Retirement, Situation, Step

if TYPE_CHECKING:
    import numpy as np

    from service.study import StudySpec

__all__ = ["PBTOptions", "PopulationBasedTraining"]

_USUAL_POPULATION = 20
_INTERVALS = 10


class PBTOptions(Options):
    """Options of pbt."""

    population: Annotated[int, Field(ge=2)] | None = None
    """Members; left out, as many as the budget can train to the end (the trials of the budget, or its epochs over
    max_epochs), and 20 where it sets neither."""
    interval: Annotated[int, Field(ge=1)] | None = None
    """Epochs between two comparisons of a member with the others; left out, a tenth of max_epochs."""
    exploit: Literal["truncation", "tournament"] = "truncation"
    """`truncation`: a member among the worst `fraction` goes on from one of the best `fraction`. `tournament`: a member
    goes on from a random other where that is better."""
    fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    explore: tuple[str, ...] | None = None
    """Parameters that change when a member goes on from another; left out, every float and the batch size. All others
    are taken over, as the weights depend on them."""
    resample: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Probability that such a parameter is drawn anew rather than perturbed."""
    factors: tuple[float, float] = (0.8, 1.2)
    """By which a number is multiplied, one or the other."""

    @model_validator(mode="after")
    def _factors_differ(self) -> PBTOptions:
        down, up = self.factors
        if not 0 < down < 1 < up:
            raise ValueError(f"one below and one above 1, such as [0.8, 1.2]; got {list(self.factors)}")
        return self


class PopulationBasedTraining:
    """Asynchronous population-based training (Jaderberg et al., 2017, arXiv 1711.09846), on any number of workers.

    A member is a slot of the population: the trial in it, and the trials that it was before. At every interval a member
    pauses, and the free worker takes the member that has trained least. If that is among the worst, its trial ends and
    a child takes the slot, with the checkpoint of one of the best at that one's epoch and explored params; else it
    trains on. Members count by their latest value, whatever epoch that was. A member whose training failed is replaced
    in the same way. When all have ended and there is budget left, another population begins.

    Everything is read from the trials: the slot is the trial's bracket, the lineage its parent.
    """

    summary: ClassVar[str] = "population-based training: the worst go on from the checkpoints of the best, explored"
    name: ClassVar[str] = "pbt"
    options: ClassVar[type[PBTOptions]] = PBTOptions
    exhausted = "the population is trained"

    def __init__(self, spec: StudySpec):
        self._spec = spec
        self._options = options_from(f"sampler {self.name}", self.options, spec.sampler_options)
        self._population = _population(self._options, spec)
        self._interval = _interval(self._options, spec.max_epochs)
        self._explored = self._options.explore
        if self._explored is None:
            self._explored = usually_changed(spec.space, spec.batch_size)
        self._members: list[Trial] = []  # the latest trial of each slot
        self._paused: dict[int, Trial] = {}  # slot -> its trial, in the order in which they paused
        self._first = 0  # slot of the latest population
        self._size = self._population
        self._epochs_used = 0
        self._vacant: dict[int, None] = {}  # slots whose trial has ended and that want a child

    @classmethod
    def check(cls, spec: StudySpec) -> None:
        """As `Sampler.check`."""
        options = options_from(f"sampler {cls.name}", cls.options, spec.sampler_options)
        if options.interval is not None and options.interval > spec.max_epochs:
            raise ValueError(
                f"option interval of sampler {cls.name} must be at most max_epochs; got {options.interval} "
                f"with max_epochs {spec.max_epochs}"
            )
        check_changeable(spec.space, options.explore or (), f"option explore of sampler {cls.name}")

    @classmethod
    def make(cls, spec: StudySpec) -> PopulationBasedTraining:
        """As `Policy.make`."""
        return cls(spec)

    def step(self, situation: Situation) -> Step | None:
        """As `Strategy.step`: fill the population, replace who has ended, then the member that trained least."""
        for slot in self._vacant:
            parent = self._parent_for(slot, situation.number)
            if parent is not None:
                return self._child(situation.number, slot, parent)
        if situation.may_propose and self._wants_members():
            params = self._spec.space.sample(generator_for(self._spec.seed, situation.number, "propose"))
            return Proposal(params=params, bracket=len(self._members))
        if not self._paused:
            return None
        slot, trial = min(self._paused.items(), key=lambda item: item[1].epochs)
        parent = self._parent_for(slot, situation.number)
        if parent is not None and self._gives_way(slot, parent):
            reason = self._words(slot, f"gives way to a child of trial {parent.number}")
            return Retirement(trial=trial.number, reason=reason)
        return Promotion(trial=trial.number, reason=self._words(slot, "trains on"))

    def next_ask(self, trial: Trial, after_epoch: int) -> int:
        """As `Strategy.next_ask`: the next multiple of the interval."""
        return min((after_epoch // self._interval + 1) * self._interval, self._spec.max_epochs)

    def judge(self, trial: Trial) -> Judgement:
        """As `Strategy.judge`: it is compared when a worker is free for it."""
        if trial.epochs % self._interval:
            return Judgement(action=Action.CONTINUE, reason="between two comparisons")
        return Judgement(action=Action.PAUSE, reason=f"epoch {trial.epochs}: waits to be compared")

    def at_end(self, trial: Trial) -> Judgement:
        """As `Strategy.at_end`."""
        return Judgement(action=Action.STOP, reason="budget", completes=True)

    def keeps(self, trial: Trial) -> bool:
        """As `Strategy.keeps`: parents are members that are still in training."""
        return False

    def ask_epochs(self) -> tuple[int, ...]:
        """As `Strategy.ask_epochs`."""
        epochs = range(self._interval, self._spec.max_epochs, self._interval)
        return (*epochs, self._spec.max_epochs)

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Strategy.observe`."""
        if trial is None:
            return
        slot = trial.bracket
        if isinstance(event, Measured):
            self._epochs_used += 1
        elif isinstance(event, Proposed):
            if slot == len(self._members):
                if slot == self._first + self._size:
                    self._begin_population()
                self._members.append(trial)
            else:
                self._members[slot] = trial
            self._vacant.pop(slot, None)
        elif isinstance(event, Paused | Lost) and trial.state is TrialState.PAUSED:
            self._paused[slot] = trial
        elif isinstance(event, Promoted):
            self._paused.pop(slot, None)
        elif isinstance(event, Ended):
            self._paused.pop(slot, None)
            if event.state is not TrialState.COMPLETE:
                self._vacant[slot] = None

    def notices(self) -> list[str]:
        """Says so where the budget does not train the population to the end."""
        epochs, wanted = self._spec.budget.epochs, self._population * self._spec.max_epochs
        if epochs is None or epochs >= wanted:
            return []
        return [
            f"the budget trains each of {self._population} members for about {epochs // self._population} of "
            f"{self._spec.max_epochs} epochs: give {wanted} epochs, or a smaller population or max_epochs"
        ]

    def _wants_members(self) -> bool:
        """Whether the latest population is not complete yet, or over."""
        if len(self._members) < self._first + self._size:
            return True
        return all(member.state.is_final for member in self._members[self._first :])

    def _begin_population(self) -> None:
        """Another one, of as many members as what is left of the epochs trains to the end."""
        self._first = len(self._members)
        if self._spec.budget.epochs is not None:
            left = self._spec.budget.epochs - self._epochs_used
            self._size = min(self._population, max(1, left // self._spec.max_epochs))

    def _fellows(self, slot: int) -> list[Trial]:
        """The population of a slot, itself included, best first; those without a value are left out."""
        slots = range(self._first, len(self._members)) if slot >= self._first else range(self._first)
        members = [self._trial_with_value(slot) for slot in slots]
        known = [trial for trial in members if trial is not None]
        sign, seed = self._spec.objective.sign, self._spec.seed
        return sorted(known, key=lambda trial: (sign * trial.values[-1], coin_for(seed, trial.number)))

    def _trial_with_value(self, slot: int) -> Trial | None:
        trial = self._members[slot]
        if not trial.values or trial.state is TrialState.FAILED or not isfinite(trial.values[-1]):
            return None
        return trial

    def _parents(self, slot: int) -> list[Trial]:
        """Whom a member may go on from, best first: in training, with a checkpoint that leaves something to train."""
        return [
            trial
            for trial in self._fellows(slot)
            if trial.bracket != slot
            and not trial.state.is_final
            and trial.has_own_checkpoint
            and trial.checkpoint_epoch < self._spec.max_epochs
        ]

    def _parent_for(self, slot: int, number: int) -> Trial | None:
        """From whom a child in this slot would go on, were trial `number` one; None while there is nobody."""
        parents = self._parents(slot)
        if not parents:
            return None
        rng = generator_for(self._spec.seed, number, "exploit")
        if self._options.exploit == "tournament":
            others = [trial for trial in self._fellows(slot) if trial.bracket != slot]
            opponent = others[int(rng.integers(len(others)))]
            return opponent if opponent in parents else parents[0]
        return parents[int(rng.integers(ceil(len(parents) * self._options.fraction)))]

    def _gives_way(self, slot: int, parent: Trial) -> bool:
        """Whether a paused member is so much worse than this parent that a child of that one takes its place."""
        fellows = self._fellows(slot)
        mine = next((place for place, trial in enumerate(fellows) if trial.bracket == slot), None)
        if mine is None:
            return False
        if self._options.exploit == "tournament":
            return fellows.index(parent) < mine
        few = ceil(len(fellows) * self._options.fraction)
        return mine >= max(few, len(fellows) - few) and fellows.index(parent) < few

    def _child(self, number: int, slot: int, parent: Trial) -> Proposal:
        """The trial that takes a slot."""
        params = self._explore(parent, generator_for(self._spec.seed, number, "explore"))
        changes = [
            f"{name} {_short(parent.params[name])} to {_short(value)}"
            for name, value in params.items()
            if parent.params[name] != value
        ]
        before = self._members[slot]
        return Proposal(
            params=params,
            bracket=slot,
            parent=parent.number,
            from_epoch=parent.checkpoint_epoch,
            origin=f"instead of trial {before.number}: from trial {parent.number}, {', '.join(changes) or 'unchanged'}",
        )

    def _explore(self, parent: Trial, rng: np.random.Generator) -> Mapping[str, Any]:
        """Params for a child."""
        options = self._options
        return explored(
            parent.params,
            self._spec.space,
            self._explored or (),
            rng,
            factors=options.factors,
            resample=options.resample,
        )

    def _words(self, slot: int, what: str) -> str:
        fellows = self._fellows(slot)
        place = next((place for place, trial in enumerate(fellows) if trial.bracket == slot), 0) + 1
        return f"epoch {self._members[slot].epochs}: place {place} of {len(fellows)}, {what}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _population(options: PBTOptions, spec: StudySpec) -> int:
    budget = spec.budget
    if options.population is not None:
        return options.population
    if budget.trials is not None:
        return max(2, budget.trials)
    return _USUAL_POPULATION if budget.epochs is None else min(max(2, budget.epochs // spec.max_epochs), 100)


def _interval(options: PBTOptions, max_epochs: int) -> int:
    return options.interval or max(1, round(max_epochs / _INTERVALS))
