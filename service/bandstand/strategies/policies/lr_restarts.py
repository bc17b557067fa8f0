"""Learning-rate strategies with restarts: a bandit gives further cycles to the configurations that gain from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import PolicyFacts
from bandstand.strategies.policies.restart_bandit import Bandit, BanditArm
from bandstand.strategies.policies.restart_cycles import Cycles
from bandstand.strategies.policies.restart_options import RestartOptions, checked_options, configurations
from bandstand.strategies.randomness import generator_for
from bandstand.strategies.strategy import Judgement, Proposal, Retirement, Situation, Step
from bandstand.trials.broken_study import PARENT_CHECKPOINT
from bandstand.trials.combination import Combination
from bandstand.trials.events import Action, Ended, Event, Lost, Paused, Promoted, Proposed, Reopened, TrialState
from bandstand.trials.history import Trial

__all__ = ["LearningRateRestarts"]


class LearningRateRestarts(PolicyFacts):
    """Restarts of the learning rate as a search (after SGDR, Loshchilov and Hutter, ICLR 2017).

    Every configuration drawn from the space trains one cycle, in which the learning rate follows a schedule. What comes
    after it, a bandit decides (`restart_bandit`): each further cycle is a child trial that goes on from the end of an
    earlier one with the learning rate reset.

    A cycle that fails, as a random rate may make it, counts as the worst; the next one goes on from where it began.
    Every cycle is a trial with its best epoch, so the study's result is the best snapshot of all. Beside it the cycles
    that led to it, by their ends, may be averaged (stochastic weight averaging: Izmailov et al., UAI 2018) or make an
    ensemble (snapshot ensembles: Huang et al., ICLR 2017).
    """

    options: ClassVar[type[RestartOptions]] = RestartOptions
    summary: ClassVar[str] = (
        "Trains in cycles of the learning rate. A bandit gives further cycles to the configurations that gain most."
    )
    exhausted = "every configuration has had its cycles"
    closed = None

    def __init__(self, spec: Problem):
        self._spec = spec
        self._options = checked_options(spec)
        self._cycles = Cycles(spec, self._options)
        self._configurations = configurations(self._options, spec, self._cycles.lengths)
        self._bandit = Bandit(
            self._options.bandit,
            configurations=self._configurations,
            cycles=len(self._cycles.lengths),
            pulls=self._cycles.affordable(self._configurations),
            sign=spec.objective.sign,
            may_restart=self._cycles.may_restart,
        )
        self._arms = self._bandit.arms
        self._overtaken: dict[int, Trial] = {}  # paused, and the next cycle of its configuration has begun
        self._news: set[int] = set()  # brackets whose trials had an event since nothing was settled for them

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        checked_options(spec)

    @classmethod
    def inherits_best(cls, spec: Problem) -> bool:
        """As `PolicyFacts.inherits_best`."""
        return checked_options(spec).weights == "best"

    @classmethod
    def make(cls, spec: Problem) -> LearningRateRestarts:
        """As `Policy.make`."""
        return cls(spec)

    def step(self, situation: Situation) -> Step | None:
        """As `Strategy.step`: finish what is decided, begin configurations, then the bandit's next cycle."""
        for trial in self._overtaken.values():
            reason = self._cycles.words(self._arms[trial.bracket], trial, "goes on")
            return Retirement(trial=trial.number, reason=reason, completes=True)
        for bracket in sorted(self._news):
            arm = self._arms[bracket]
            step = None if arm.paused is None else self._cycles.settled(arm, arm.paused)
            if step is not None:
                return step
            self._news.discard(bracket)
        if situation.may_propose and self._wants_a_configuration():
            params = dict(self._spec.space.sample(generator_for(self._spec.seed, situation.number, "propose")))
            return self._cycles.make(len(self._arms), params, 0)
        arm_next = self._bandit.next_arm()
        return self._rejection() if arm_next is None else self._cycles.restart(arm_next, situation.number)

    def adopt(self, params: Mapping[str, Any], number: int) -> Proposal | None:
        """As `Strategy.adopt`: one more configuration, with its first cycle."""
        return self._cycles.make(len(self._arms), dict(params), 0)

    def _wants_a_configuration(self) -> bool:
        """Whether there are too few, or none is left and the study has more to spend."""
        if len(self._arms) < self._configurations:
            return True
        return self._options.configurations is None and not self._bandit.open

    def next_ask(self, trial: Trial, after_epoch: int) -> int:
        """As `Strategy.next_ask`: the end of its cycle."""
        return self._cycles.end_of(trial)

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
        """As `Strategy.keeps`: the next cycle of its configuration may go on from it, or the result be made with it.

        A configuration that is closed has its last value: unless the study's best is among its cycles, none will be.
        """
        arm = self._arms[trial.bracket]
        return not arm.closed and (
            arm.base is trial or (self._cycles.combines and self._cycles.has_left_its_end(trial))
        )

    def combination(self, best: Trial) -> Combination | None:
        """As `CombiningPolicy.combination`: the ends of the cycles that led to the best one, and its own.

        With fresh weights every cycle of a configuration leads to the next: what they have in common are the params.
        """
        if not self._cycles.combines:
            return None
        cycles = {trial.number: trial for trial in self._arms[best.bracket].cycles}
        lineage = [best]
        while lineage[-1].parent is not None:
            lineage.append(cycles[lineage[-1].parent])
        ends = tuple(trial.number for trial in reversed(lineage) if self._cycles.has_left_its_end(trial))
        return Combination(how=self._options.result, trials=ends)

    def keeps_end(self, trial: Trial) -> bool:
        """As `CombiningPolicy.keeps_end`: the last cycle of a configuration ends with its trial, without a pause."""
        return self._cycles.combines and trial.epochs >= self._cycles.end_of(trial)

    def ask_epochs(self) -> tuple[int, ...]:
        """As `Strategy.ask_epochs`."""
        return self._cycles.ends()

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Strategy.observe`."""
        if isinstance(event, Reopened) and event.forgotten and self._options.weights != "fresh":
            for arm in self._arms:
                self._bandit.close(arm)  # what its next cycle would go on from is gone
        if trial is None:
            return
        if isinstance(event, Proposed):
            self._bandit.begin(trial)
        self._news.add(trial.bracket)
        arm = self._arms[trial.bracket]
        if isinstance(event, Proposed) and arm.paused is not None:
            self._overtaken[arm.paused.number] = arm.paused
            arm.paused = None
        elif isinstance(event, Paused | Lost) and trial.state is TrialState.PAUSED:
            arm.paused = trial
            self._rest(arm, trial)
        elif isinstance(event, Promoted):
            arm.paused = None
            self._bandit.resume(arm)
        elif isinstance(event, Ended):
            self._end(arm, trial)

    def notices(self) -> list[str]:
        """Says so where the budget does not give every configuration its first cycle."""
        epochs, wanted = self._spec.budget.epochs, self._configurations * self._cycles.lengths[0]
        if epochs is None or epochs > wanted:
            return []
        return [
            f"the budget gives each of {self._configurations} configurations its first cycle, and none gets a restart: "
            f"set a budget of more than {wanted} epochs, or fewer configurations"
        ]

    # -- what they were worth ----------------------------------------------------------------------------------------

    def _rest(self, arm: BanditArm, trial: Trial) -> None:
        """A cycle has come to its end, in whatever way."""
        better = arm.base is None or self._bandit.loss(trial) < self._bandit.loss(arm.base)
        if trial.state is not TrialState.FAILED and (self._options.weights != "best" or better):
            arm.base = trial
        self._bandit.rest(arm, trial)

    def _take_back(self, arm: BanditArm) -> None:
        """A cycle could not begin, as what it was to go on from is lost: another trial is to be that cycle.

        The cycle before trains its end again, if it has not ended. Else the next one goes on from the best end that is
        left, and where none is, from fresh weights.
        """
        arm.cycles.pop()
        before = arm.cycles[-1]
        if self._overtaken.pop(before.number, None) is not None:
            arm.paused = before
        left = [trial for trial in arm.cycles if trial is arm.paused or self._cycles.is_kept(trial)]
        if self._options.weights == "last":
            arm.base = left[-1] if left else before
        else:
            arm.base = min(left, key=self._bandit.loss, default=before)
        self._bandit.rest(arm, before)

    def _end(self, arm: BanditArm, trial: Trial) -> None:
        if trial.reason == PARENT_CHECKPOINT and arm.cycles[-1] is trial and len(arm.ranks) < len(arm.cycles):
            self._take_back(arm)
            return
        if self._overtaken.pop(trial.number, None) is not None:
            return
        if arm.paused is trial:
            arm.paused = None
            self._bandit.close(arm)
        else:  # it ended within its cycle: it failed, or its own callbacks stopped it
            self._rest(arm, trial)
            if not self._cycles.may_restart(arm):
                self._bandit.close(arm)

    def _rejection(self) -> Retirement | None:
        """The end of the configuration that gets no more cycles."""
        worst = self._bandit.rejected()
        if worst is None or worst.paused is None:
            return None
        reason = self._cycles.words(worst, worst.paused, f"the worst of {self._bandit.open}")
        return Retirement(trial=worst.paused.number, reason=reason)
