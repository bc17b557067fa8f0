"""The same Search as in production, driven by virtual workers in virtual time.

Knows the order of events. Must not read a clock, nor know a curve's formula or a strategy. Whoever wants to know what
decisions really cost hands in a stopwatch.

A worker asks `next`, trains epoch after epoch, reports each, and obeys the verdict at the moment of the report. What
differs from `bandstand_workers`: deciding, storing and checkpointing take no virtual time, at a deadline the epoch
under way is lost, where a trainer that sees that an epoch would not end in time leaves it out, and models are neither
made nor combined.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, isfinite, nextafter
from typing import Literal

from bandstand.search.protocol import Assignment, Measurement
from bandstand.search.search import Search
from bandstand.simulation.cluster import VirtualCluster, WorkerLuck
from bandstand.simulation.learning_curves.curves import Advance, Curve, Curves, State
from bandstand.simulation.simulation_result import Improvement, SimulationResult
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action, TrialState
from bandstand.trials.failure_kinds import FAILURE_KINDS

__all__ = ["CHECKPOINT_SECONDS", "simulate"]

CHECKPOINT_SECONDS = 30.0
"""Training time between two checkpoints where the study does not say, as in `bandstand_workers`."""


def simulate(
    spec: StudySpec,
    curves: Curves,
    cluster: VirtualCluster,
    *,
    search: Search | None = None,
    stopwatch: Callable[[], float] = lambda: 0.0,
) -> SimulationResult:
    """Run a study to its end.

    Args:
        spec: the study; its model and data are not touched.
        curves: what trainings yield.
        cluster: the workers.
        search: a Search of `spec` to drive instead of a new one.
        stopwatch: seconds of some real clock, to learn what decisions cost; nothing else depends on it.

    Raises:
        RuntimeError: the strategy gives nothing out although no trial is under way and the study is not done.
    """
    return _Simulation(spec, curves, cluster, search or Search(spec), stopwatch).run()


@dataclass(frozen=True, slots=True)
class _Best:
    """The best epoch of a trial."""

    loss: float = inf
    state: State = None


@dataclass(kw_only=True, slots=True)
class _Worker:
    """One virtual worker and the training it is at."""

    luck: WorkerLuck
    life: int = 0  # counts deaths: what was planned in an earlier life does not happen
    is_starting: bool = False
    assignment: Assignment | None = None
    curve: Curve | None = None
    state: State = None
    best: _Best = _Best()
    epoch: int = 0  # of the trial, trained so far
    until_epoch: int = 0
    pending: Advance | None = None  # the epoch under way
    began_at: float = 0.0
    at_risk: float = 0.0  # seconds trained since the trial's latest checkpoint


@dataclass(slots=True)
class _Tally:
    improvements: list[Improvement] = field(default_factory=list)
    trained: float = 0.0
    starting: float = 0.0
    wasted: float = 0.0
    again: int = 0
    cut: int = 0
    deaths: int = 0
    decisions: int = 0
    decision_seconds: float = 0.0


class _Simulation:
    def __init__(
        self, spec: StudySpec, curves: Curves, cluster: VirtualCluster, search: Search, stopwatch: Callable[[], float]
    ):
        self._spec = spec
        self._curves = curves
        self._search = search
        self._stopwatch = stopwatch
        self._workers = [_Worker(luck=cluster.luck_of(number)) for number in range(cluster.workers)]
        self._free: deque[int] = deque()
        self._coming = 0  # workers that are starting
        self._plan: list[tuple[float, int, Literal["epoch", "up", "death"], int, int]] = []
        self._planned = 0
        self._now = 0.0
        self._checkpoints: dict[tuple[int, int], tuple[State, _Best]] = {}  # by trial and epoch
        budget = spec.budget
        self._timed = budget.wall_seconds is not None or budget.gpu_hours is not None
        self._tally = _Tally()

    def run(self) -> SimulationResult:
        self._search.begin()
        for number in range(len(self._workers)):
            self._start(number)
        while True:
            self._give_out()
            if self._search.done:
                break
            if not self._search.history.running and not self._coming:
                raise RuntimeError("the strategy gives nothing out although no trial is under way")
            time, _, what, number, life = heapq.heappop(self._plan)
            if life != self._workers[number].life:
                continue
            if self._pass_time(time):
                self._out_of_time()
            elif what == "epoch":
                self._epoch_ends(number)
            elif what == "up":
                self._comes_up(number)
            else:
                self._dies(number)
        for worker in self._workers:
            if worker.is_starting:
                self._tally.starting += self._now - worker.began_at
        if not self._timed:
            self._search.spend(wall_seconds=self._now)
        self._search.conclude()
        return self._outcome()

    # -- workers -----------------------------------------------------------------------------------------------------

    def _at(self, time: float, what: Literal["epoch", "up", "death"], number: int) -> None:
        self._planned += 1  # of equal times, what was planned first happens first
        heapq.heappush(self._plan, (time, self._planned, what, number, self._workers[number].life))

    def _start(self, number: int) -> None:
        worker = self._workers[number]
        self._coming += 1
        worker.is_starting, worker.began_at = True, self._now
        self._at(self._now + worker.luck.start_seconds, "up", number)

    def _comes_up(self, number: int) -> None:
        worker = self._workers[number]
        self._coming -= 1
        worker.is_starting = False
        self._tally.starting += self._now - worker.began_at
        self._free.append(number)
        lifetime = worker.luck.lifetime_seconds()
        if lifetime < inf:
            self._at(self._now + lifetime, "death", number)

    def _dies(self, number: int) -> None:
        worker = self._workers[number]
        self._tally.deaths += 1
        worker.life += 1
        if worker.assignment is None:
            self._free.remove(number)
        else:
            under_way = self._now - worker.began_at
            self._tally.trained += under_way
            self._tally.wasted += worker.at_risk + under_way
            self._search.lost(worker.assignment.trial, worker.assignment.attempt, "its simulated worker died")
            worker.assignment = None
        self._start(number)

    def _give_out(self) -> None:
        """Give every free worker something to train, first come first served, until there is nothing more."""
        while self._free:
            began = self._stopwatch()
            assignment = self._search.next()
            self._decided(began)
            if assignment is None:
                return
            self._begin(self._free.popleft(), assignment)

    def _begin(self, number: int, assignment: Assignment) -> None:
        worker = self._workers[number]
        worker.assignment = assignment
        worker.curve = self._curves.open(assignment.params, assignment.seed)
        worker.state, worker.best = self._state_for(assignment, worker.curve), self._best_for(assignment)
        worker.epoch, worker.until_epoch, worker.at_risk = assignment.from_epoch, assignment.until_epoch, 0.0
        if worker.until_epoch > worker.epoch:
            self._train_epoch(number)
        else:  # it was told to stop before its last worker died
            worker.pending, worker.began_at = None, self._now
            self._search.report(
                assignment.trial, assignment.attempt, Measurement(epoch=worker.epoch, metrics={}, ended="budget")
            )
            self._search.finish(assignment.trial, assignment.attempt, "budget")
            self._release(number)

    def _state_for(self, assignment: Assignment, curve: Curve) -> State:
        """What the assignment starts from: the only place that knows whose checkpoint that is."""
        if assignment.checkpoint_of is None:
            return curve.start()
        last, best = self._checkpoints[assignment.checkpoint_of, assignment.from_epoch]
        inherits = assignment.checkpoint_of != assignment.trial
        return best.state if inherits and assignment.weights == "best" and isfinite(best.loss) else last

    def _best_for(self, assignment: Assignment) -> _Best:
        """The best epoch so far of the assignment's own trial."""
        if assignment.checkpoint_of != assignment.trial:
            return _Best()
        return self._checkpoints[assignment.trial, assignment.from_epoch][1]

    def _train_epoch(self, number: int) -> None:
        worker = self._workers[number]
        assignment = worker.assignment
        assert worker.curve is not None
        assert assignment is not None
        index, rates = worker.epoch + 1 - assignment.first_epoch, assignment.learning_rates
        rate = rates[index] if index < len(rates) else None
        worker.pending = worker.curve.advance(worker.state, worker.epoch + 1, rate)
        worker.began_at = self._now
        self._at(self._now + worker.luck.epoch_seconds(worker.pending.seconds), "epoch", number)

    def _epoch_ends(self, number: int) -> None:
        worker = self._workers[number]
        assignment, ended = worker.assignment, worker.pending
        assert assignment is not None
        assert ended is not None
        seconds = self._now - worker.began_at
        self._tally.trained += seconds
        worker.at_risk += seconds
        if ended.failure is not None:
            self._fails(number, assignment, ended.failure)
            return
        worker.state = ended.state
        worker.epoch += 1
        loss = self._spec.objective.sign * ended.metrics.get(self._spec.objective.metric, inf)
        if loss < worker.best.loss:
            worker.best = _Best(loss, worker.state)
        trial, attempt = assignment.trial, assignment.attempt
        recorded = self._search.history.ledger.epochs
        began = self._stopwatch()
        verdict = self._search.report(
            trial, attempt, Measurement(epoch=worker.epoch, metrics=ended.metrics, seconds=seconds)
        )
        self._decided(began)
        if self._search.history.ledger.epochs > recorded:
            self._note(trial, ended)
        else:
            self._tally.again += 1
        if verdict.action is Action.CONTINUE:
            worker.until_epoch = verdict.until_epoch
            if self._checkpoint_is_due(worker):
                self._checkpoint(worker, assignment)
            self._train_epoch(number)
            return
        if verdict.action is Action.PAUSE:
            self._checkpoint(worker, assignment)
            self._search.paused(trial, attempt)
        else:
            self._search.finish(trial, attempt, "budget")
        self._release(number)

    def _fails(self, number: int, assignment: Assignment, kind: str) -> None:
        self._tally.cut += 1
        message = f"its simulated training failed: {FAILURE_KINDS[kind]}"
        self._search.fail(assignment.trial, assignment.attempt, kind, message, signature=kind)
        self._release(number)

    def _note(self, trial: int, ended: Advance) -> None:
        objective, found = self._spec.objective, self._tally.improvements
        value = ended.metrics.get(objective.metric, inf)
        if isfinite(value) and (not found or objective.is_better(value, found[-1].value)):
            found.append(Improvement(self._search.history.ledger.epochs, self._now, value, trial))

    def _checkpoint_is_due(self, worker: _Worker) -> bool:
        every = self._spec.checkpoint_every
        return worker.at_risk >= CHECKPOINT_SECONDS if every is None else worker.epoch % every == 0

    def _checkpoint(self, worker: _Worker, assignment: Assignment) -> None:
        self._checkpoints[assignment.trial, worker.epoch] = worker.state, worker.best
        self._search.checkpointed(assignment.trial, assignment.attempt, worker.epoch, "virtual")
        worker.at_risk = 0.0

    def _release(self, number: int) -> None:
        self._workers[number].assignment = None
        self._free.append(number)
        self._search.take_events()  # nobody stores them

    def _decided(self, began: float) -> None:
        self._tally.decisions += 1
        self._tally.decision_seconds += self._stopwatch() - began

    # -- time --------------------------------------------------------------------------------------------------------

    def _pass_time(self, until: float) -> bool:
        """Move to `until`, or to the moment at which the budget's time is up; returns whether it is."""
        if not self._timed or until <= self._now:
            self._now = until
            return False
        ledger = self._search.history.ledger
        gpus = len(self._search.history.running) * self._spec.resources.gpus
        left = ledger.seconds_left(gpus)
        seconds = until - self._now
        is_up = left is not None and left < seconds
        if is_up and left is not None:
            seconds, until = left, self._now + left
        self._search.spend(wall_seconds=seconds, gpu_seconds=gpus * seconds)
        while is_up and not ledger.time_is_up:  # sums of floats may stop short of the limit by their last digit
            step = nextafter(max(ledger.wall_seconds, ledger.gpu_seconds), inf) * 1e-15
            self._search.spend(wall_seconds=step, gpu_seconds=gpus * step)
        self._now = until
        return is_up

    def _out_of_time(self) -> None:
        """Every training ends where it is; the epoch under way is not reported."""
        for number, worker in enumerate(self._workers):
            if worker.assignment is not None:
                self._tally.trained += self._now - worker.began_at
                self._search.finish(worker.assignment.trial, worker.assignment.attempt, "budget")
                worker.life += 1
                self._release(number)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _outcome(self) -> SimulationResult:
        history, tally = self._search.history, self._tally
        states: Counter[str] = Counter(str(trial.state) for trial in history.trials)
        reasons: Counter[str] = Counter(
            str(trial.state) if trial.state is TrialState.PRUNED else f"{trial.state} ({trial.reason})"
            for trial in history.trials
        )
        return SimulationResult(
            spec=self._spec,
            improvements=tuple(tally.improvements),
            chosen_value=float("nan") if history.best is None else history.value_of(history.best),
            reason=history.ended.reason if history.ended else None,
            failed=history.ended is not None and history.ended.failed,
            epochs=history.ledger.epochs,
            epochs_again=tally.again,
            failed_epochs=tally.cut
            + sum(len(trial.values) for trial in history.trials if trial.reason in FAILURE_KINDS),
            trials=len(history.trials),
            children=sum(trial.parent is not None and trial.from_epoch > 0 for trial in history.trials),
            scheduled=sum(bool(trial.learning_rates) for trial in history.trials),
            states=dict(states),
            reasons=dict(reasons),
            trial_epochs=tuple(len(trial.values) for trial in history.trials),
            from_epochs=tuple(trial.from_epoch for trial in history.trials),
            seconds=self._now,
            trained_seconds=tally.trained,
            starting_seconds=tally.starting,
            wasted_seconds=tally.wasted,
            deaths=tally.deaths,
            decisions=tally.decisions,
            decision_seconds=tally.decision_seconds,
            workers=len(self._workers),
        )
