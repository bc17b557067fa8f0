"""Learning-rate strategies with restarts: a bandit gives further cycles to the configurations that gain from them."""

from __future__ import annotations

import dataclasses
from bisect import bisect_left, insort
from math import ceil, inf, log, sqrt
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from search_spaces import Float
from service.events import Action, Ended, Event, Lost, Paused, Promoted, Proposed, TrialState
from service.history import Trial
from service.learning_rates import LEARNING_RATES, Cycle, Reset, rates
from service.strategies.options import Options, options_from
from service.strategies.randomness import generator_for
from service.strategies.strategy import Judgement, Promotion, Proposal, Retirement, Situation, Step

if TYPE_CHECKING:
    from service.study import StudySpec

__all__ = ["LearningRateRestarts"]

_CYCLES = 4
_USUAL_CONFIGURATIONS = 10


class RestartOptions(Options):
    """Options of lr-restarts."""

    parameter: str = "learning_rate"
    """The parameter of the space that is the learning rate at the start of a cycle."""
    schedule: str = "cosine"
    """How the rate develops within a cycle."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 0
    decay: Annotated[float, Field(ge=0)] = 0.1
    """Of schedules time and exponential, per epoch."""
    factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Of schedule step, at each drop; of restarts at a decayed rate, at each restart."""
    every_epochs: Annotated[int, Field(ge=1)] = 5
    """Of schedule step: epochs between two drops."""
    final_fraction: Annotated[float, Field(ge=1e-6, le=1)] = 0.01
    """No rate is below this part of the cycle's first."""
    cycle_epochs: Annotated[int, Field(ge=1)] | None = None
    """Epochs of the first cycle; left out, a quarter of max_epochs."""
    cycle_multiplier: Annotated[float, Field(ge=1)] = 1.0
    """How much longer each cycle is than the one before (T_mult of SGDR)."""
    cycles: Annotated[int, Field(ge=1)] | None = None
    """Cycles of a configuration at most; left out, as many as fit into max_epochs."""
    restart: Literal["initial", "decayed", "random"] = "random"
    """The rate of the next cycle: the first one's, a decayed one, or a random one from the space."""
    weights: Literal["last", "best", "fresh"] = "last"
    """What the next cycle begins with: the last weights, those of the best epoch so far, or new random ones."""
    bandit: Literal["rejects", "ucb"] = "rejects"
    configurations: Annotated[int, Field(ge=1)] | None = None
    """How many are tried; left out, the trials of the budget, or half as many again as its epochs would give all cycles
    (the bandit gives those of the rejected to the others), and further ones where that leaves some of it."""


@dataclasses.dataclass(slots=True)
class _Arm:
    """One configuration and the cycles it has had."""

    root: Trial
    cycles: list[Trial] = dataclasses.field(default_factory=list)
    base: Trial | None = None  # the cycle whose end the next one goes on from
    paused: Trial | None = None  # at the end of its cycle, waiting for the bandit
    closed: bool = False  # rejected, or at its end
    ranks: list[float] = dataclasses.field(default_factory=list)  # of its cycles among all, 1 for the best


class LearningRateRestarts:
    """Restarts of the learning rate as a search (after SGDR, Loshchilov and Hutter, ICLR 2017).

    Every configuration drawn from the space trains one cycle, in which the learning rate follows a schedule. What comes
    after it, a bandit decides: each further cycle is a child trial that goes on from the end of an earlier one with the
    learning rate reset. `rejects` are successive rejects (Audibert, Bubeck and Munos, COLT 2010): phases after each of
    which the configuration with the worst best value gets no more cycles. `ucb` is UCB1 (Auer, Cesa-Bianchi and
    Fischer, 2002) with a cycle's reward being the share of cycles so far that ended no better. Nobody waits for a phase
    to end who cannot come out of it last.

    A cycle that fails, as a random rate may make it, counts as the worst; the next one goes on from where it began.
    Every cycle is a trial with its best epoch, so the study's result is the best snapshot of all.
    """

    summary: ClassVar[str] = "learning-rate schedules in cycles; a bandit gives restarts to what gains from them"
    exhausted = "every configuration has had its cycles"

    def __init__(self, spec: StudySpec):
        self._spec = spec
        self._options = options_from("sampler lr-restarts", RestartOptions, spec.sampler_options)
        self._lengths = _lengths(self._options, spec.max_epochs)
        self._configurations = _configurations(self._options, spec, self._lengths)
        self._phases = _phases(self._configurations, len(self._lengths), self._pulls())
        self._arms: list[_Arm] = []
        self._values: list[float] = []  # of all cycles that have ended, as losses, ascending
        self._news: set[int] = set()  # brackets whose trials had an event since nothing was settled for them

    @classmethod
    def check(cls, spec: StudySpec) -> None:
        """As `Sampler.check`."""
        options = options_from("sampler lr-restarts", RestartOptions, spec.sampler_options)
        names = {name: parameter for name, parameter, _ in spec.space.flat()}
        if not isinstance(spec.space.parameters.get(options.parameter), Float):
            floats = ", ".join(name for name in names if isinstance(spec.space.parameters.get(name), Float)) or "none"
            raise ValueError(
                f"option parameter of sampler lr-restarts must name the learning rate, an always-active float of the "
                f"space: {floats}; got {options.parameter!r}"
            )
        if options.schedule not in LEARNING_RATES:
            raise ValueError(
                f"option schedule of sampler lr-restarts must be one of {', '.join(LEARNING_RATES)}; "
                f"got {options.schedule!r}"
            )
        length = _lengths(options, spec.max_epochs)[0]
        for name, value in (("cycle_epochs", options.cycle_epochs or 1), ("warmup_epochs", options.warmup_epochs + 1)):
            limit = spec.max_epochs if name == "cycle_epochs" else length
            if value > limit:
                raise ValueError(
                    f"option {name} of sampler lr-restarts must be {'at most' if name == 'cycle_epochs' else 'below'} "
                    f"{limit}, the epochs of {'a trial' if name == 'cycle_epochs' else 'a cycle'}; "
                    f"got {getattr(options, name)}"
                )

    @classmethod
    def make(cls, spec: StudySpec) -> LearningRateRestarts:
        """As `Policy.make`."""
        return cls(spec)

    def step(self, situation: Situation) -> Step | None:
        """As `Strategy.step`: finish what is decided, begin configurations, then the bandit's next cycle."""
        for bracket in sorted(self._news):
            arm = self._arms[bracket]
            step = None if arm.paused is None else self._settled(arm, arm.paused)
            if step is not None:
                return step
            self._news.discard(bracket)
        if situation.may_propose and self._wants_a_configuration():
            params = dict(self._spec.space.sample(generator_for(self._spec.seed, situation.number, "propose")))
            return self._cycle(len(self._arms), params, 0)
        arm_next = self._next_arm()
        return self._rejection() if arm_next is None else self._restart(arm_next, situation.number)

    def _wants_a_configuration(self) -> bool:
        """Whether there are too few, or none is left and the study has more to spend."""
        if len(self._arms) < self._configurations:
            return True
        return self._options.configurations is None and not self._open()

    def next_ask(self, trial: Trial, after_epoch: int) -> int:
        """As `Strategy.next_ask`: the end of its cycle."""
        return min(trial.from_epoch + max(1, len(trial.learning_rates)), self._spec.max_epochs)

    def judge(self, trial: Trial) -> Judgement:
        """As `Strategy.judge`: what comes next is decided when a worker is free for it."""
        if trial.epochs < self.next_ask(trial, trial.epochs):
            return Judgement(action=Action.CONTINUE, reason="within its cycle")
        arm = self._arms[trial.bracket]
        return Judgement(action=Action.PAUSE, reason=f"the end of cycle {len(arm.cycles)}")

    def at_end(self, trial: Trial) -> Retirement:
        """As `Strategy.at_end`."""
        return Retirement(trial=trial.number, reason="budget", completes=True)

    def keeps(self, trial: Trial) -> bool:
        """As `Strategy.keeps`: the next cycle of its configuration may go on from it."""
        arm = self._arms[trial.bracket]
        return arm.base is trial and not arm.closed

    def ask_epochs(self) -> tuple[int, ...]:
        """As `Strategy.ask_epochs`."""
        ends, epoch = [], 0
        for length in self._lengths:
            epoch += length
            ends.append(epoch)
        return tuple(dict.fromkeys([*(end for end in ends if end < self._spec.max_epochs), self._spec.max_epochs]))

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Strategy.observe`."""
        if trial is None:
            return
        if isinstance(event, Proposed):
            if trial.bracket == len(self._arms):
                self._arms.append(_Arm(root=trial))
            self._arms[trial.bracket].cycles.append(trial)
        self._news.add(trial.bracket)
        arm = self._arms[trial.bracket]
        if isinstance(event, Paused | Lost) and trial.state is TrialState.PAUSED:
            arm.paused = trial
            self._count(arm, trial)
        elif isinstance(event, Promoted):
            arm.paused = None
        elif isinstance(event, Ended):
            self._end(arm, trial)

    def notices(self) -> list[str]:
        """Says so where the budget does not give every configuration its first cycle."""
        epochs, wanted = self._spec.budget.epochs, self._configurations * self._lengths[0]
        if epochs is None or epochs > wanted:
            return []
        return [
            f"the budget gives {self._configurations} configurations their first cycle and none a restart: give more "
            f"than {wanted} epochs, or fewer configurations"
        ]

    # -- cycles ------------------------------------------------------------------------------------------------------

    def _cycle(self, slot: int, params: dict[str, Any], index: int, **lineage: Any) -> Proposal:
        """A trial that is cycle `index`, counted from 0, of a configuration."""
        options = self._options
        cycle = Cycle(
            shape=options.schedule,
            initial=params[options.parameter],
            epochs=self._lengths[index],
            warmup_epochs=min(options.warmup_epochs, self._lengths[index] - 1),
            decay=options.decay,
            factor=options.factor,
            every_epochs=options.every_epochs,
            final_fraction=options.final_fraction,
        )
        return Proposal(params=params, bracket=slot, learning_rates=rates(cycle), **lineage)

    def _restart(self, arm: _Arm, number: int) -> Proposal:
        """The next cycle of a configuration."""
        options, index = self._options, len(arm.cycles)
        rate = self._rate(arm, index, number)
        params = dict(arm.root.params) | {options.parameter: rate}
        if options.weights == "fresh" or arm.base is None:
            parent, from_epoch, source = arm.cycles[-1].number, 0, "fresh weights"
        else:
            parent, from_epoch = arm.base.number, arm.base.checkpoint_epoch
            source = f"the {options.weights} weights of trial {parent}"
        return self._cycle(
            arm.root.bracket,
            params,
            index,
            parent=parent,
            from_epoch=from_epoch,
            weights="best" if options.weights == "best" else "last",
            origin=f"cycle {index + 1} of trial {arm.root.number}: {source}, {options.parameter} {rate:.4g}",
        )

    def _rate(self, arm: _Arm, restart: int, number: int) -> float:
        options = self._options
        parameter = self._spec.space.parameters[options.parameter]
        assert isinstance(parameter, Float)
        if options.restart == "random":
            draw = generator_for(self._spec.seed, number, "restart").random()
            return parameter.value_at(float(draw))
        reset = Reset(to=options.restart, factor=options.factor)
        return max(parameter.low, reset.rate_after(restart, arm.root.params[options.parameter]))

    def _may_restart(self, arm: _Arm) -> bool:
        """Whether there is a cycle left for a configuration, and something to begin it with."""
        if len(arm.cycles) >= len(self._lengths):
            return False
        fresh = self._options.weights == "fresh"
        return fresh or (arm.base is not None and arm.base.checkpoint_epoch < self._spec.max_epochs)

    def _settled(self, arm: _Arm, paused: Trial) -> Step | None:
        """What follows for the paused end of a cycle without any choice."""
        if paused.checkpoint_epoch < paused.epochs:
            return Promotion(trial=paused.number, reason="its worker died before the checkpoint was written")
        if paused is not arm.cycles[-1]:
            return Retirement(trial=paused.number, reason=self._words(arm, "goes on"), completes=True)
        if not self._may_restart(arm):
            return Retirement(trial=paused.number, reason=self._words(arm, "its last"), completes=True)
        return None

    def _words(self, arm: _Arm, what: str) -> str:
        index = next(place for place, trial in enumerate(arm.cycles) if trial is arm.paused)
        return f"cycle {index + 1} of {len(self._lengths)}, {what}"

    # -- what they were worth ----------------------------------------------------------------------------------------

    def _count(self, arm: _Arm, trial: Trial) -> None:
        """A cycle has come to its end, in whatever way."""
        if len(arm.ranks) == len(arm.cycles):
            return  # it was counted before its worker died
        loss = self._loss(trial)
        insort(self._values, loss)
        arm.ranks.append(1 - bisect_left(self._values, loss) / len(self._values))
        better = arm.base is None or loss < self._loss(arm.base)
        if trial.state is not TrialState.FAILED and (self._options.weights != "best" or better):
            arm.base = trial

    def _end(self, arm: _Arm, trial: Trial) -> None:
        if arm.paused is trial:
            arm.paused = None
            rejected = trial.state is TrialState.PRUNED
            arm.closed = arm.closed or rejected or arm.cycles[-1] is trial
        else:  # it ended within its cycle: it failed, or its own callbacks stopped it
            self._count(arm, trial)
            arm.closed = not self._may_restart(arm)

    def _loss(self, trial: Trial) -> float:
        if trial.state is TrialState.FAILED or not trial.best_epoch:
            return inf
        return self._spec.objective.sign * trial.value_at(trial.best_epoch)

    def _score(self, arm: _Arm) -> float:
        """The best of an arm's cycles, as a loss."""
        return min((self._loss(trial) for trial in arm.cycles), default=inf)

    # -- the bandit --------------------------------------------------------------------------------------------------

    def _open(self) -> list[_Arm]:
        return [arm for arm in self._arms if not arm.closed]

    def _free(self) -> list[_Arm]:
        """Those that no worker trains."""
        return [arm for arm in self._open() if len(arm.ranks) == len(arm.cycles) and self._may_restart(arm)]

    def _next_arm(self) -> _Arm | None:
        """Who gets the next cycle, None while it is not known."""
        free = self._free()
        if not free:
            return None
        if self._options.bandit == "ucb":
            total = len(self._values)
            return max(free, key=lambda arm: (self._bound(arm, total), -arm.root.bracket))
        limit = self._limit()
        due = [arm for arm in free if len(arm.cycles) < limit]
        if not due and len(self._open()) > 1:
            # The phase waits for those that still train: whoever cannot be its last may go ahead, by one phase.
            due = [arm for arm in sorted(free, key=self._score)[:-1] if len(arm.cycles) < limit + 1]
        if not due and len(self._open()) == 1:
            due = free
        return min(due, key=lambda arm: (len(arm.cycles), self._score(arm), arm.root.bracket), default=None)

    def _bound(self, arm: _Arm, total: int) -> float:
        pulls = len(arm.ranks)
        return sum(arm.ranks) / pulls + sqrt(2 * log(total) / pulls)

    def _limit(self) -> int:
        """Cycles of each configuration in the present phase of successive rejects."""
        rejected = sum(arm.closed for arm in self._arms)
        return self._phases[min(rejected, len(self._phases) - 1)]

    def _rejection(self) -> Retirement | None:
        """Who gets no more cycles, once a phase is over."""
        arms = self._open()
        if self._options.bandit != "rejects" or len(arms) < 2 or len(self._arms) < self._configurations:
            return None
        if len(self._free()) < len(arms) or any(len(arm.cycles) < self._limit() for arm in arms):
            return None
        paused = [arm for arm in arms if arm.paused is not None]  # where a cycle failed, there is none to be ended
        if not paused:
            return None
        worst = max(paused, key=lambda arm: (self._score(arm), arm.root.bracket))
        assert worst.paused is not None
        return Retirement(trial=worst.paused.number, reason=self._words(worst, f"the worst of {len(arms)}"))

    def _pulls(self) -> int:
        """Cycles that the budget has, about."""
        most = self._configurations * len(self._lengths)
        if self._spec.budget.epochs is None:
            return most
        return min(most, self._spec.budget.epochs * len(self._lengths) // sum(self._lengths))


def _lengths(options: RestartOptions, max_epochs: int) -> list[int]:
    """Epochs of each cycle of a configuration; with fresh weights each may be as long as a trial."""
    length = float(options.cycle_epochs or max(1, max_epochs // _CYCLES))
    lengths: list[int] = []
    used = 0
    while len(lengths) < (options.cycles or max_epochs):
        fresh = options.weights == "fresh"
        room = max_epochs if fresh else max_epochs - used
        if room <= 0 or (fresh and options.cycles is None and len(lengths) >= _CYCLES):
            break
        lengths.append(min(round(length), room))
        used += lengths[-1]
        length *= options.cycle_multiplier
    return lengths


def _configurations(options: RestartOptions, spec: StudySpec, lengths: list[int]) -> int:
    if options.configurations is not None:
        return options.configurations
    if spec.budget.trials is not None:
        return spec.budget.trials
    if spec.budget.epochs is None:
        return _USUAL_CONFIGURATIONS
    return max(1, 3 * spec.budget.epochs // (2 * sum(lengths)))


def _phases(arms: int, cycles: int, pulls: int) -> list[int]:
    """Cycles that each remaining arm has had at the end of phase k (Audibert et al. 2010, figure 3), at least one."""
    if arms < 2:
        return [cycles]
    log_bar = 0.5 + sum(1 / index for index in range(2, arms + 1))
    return [min(cycles, max(1, ceil((pulls - arms) / log_bar / (arms + 1 - phase)))) for phase in range(1, arms)] + [
        cycles
    ]
