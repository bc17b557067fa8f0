"""What Search takes to decide, by strategy, with 100, 1,000 and 10,000 trials behind it; no worker, no database.

Eight virtual workers ask in turn, in one process and in no time of their own. A *decision* is all that Search does for
one assignment: `next`, a report for each of its epochs, and its end or pause; the mean over the `_WINDOW` assignments
from the given trial on, so that what a strategy does now and then is in it. Samplers are measured with ASHA, pruners
with random search, policies as they are; rungs begin at epoch 1 of 9. The loss is a bowl in the fractions of the
params' ranges and falls with the epochs. A strategy proposes all the trials itself, for at most `_SECONDS` of its time;
but for one that fits a model to each proposal random search does so up to the given trial, and the strategy is then
restored from those events.

Aim: O(log n) or better. *10,000 / 100* is the ratio of the medians: 1 is flat, 2 is what log n gives, 100 is linear.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any

from bandstand.search.protocol import Assignment, Measurement
from bandstand.search.search import Search
from bandstand.strategies import PRUNERS, SAMPLERS, STRATEGIES
from bandstand.strategies.points.fractions import fraction_of
from bandstand.study.study_spec import StudySpec, study_spec_from
from bandstand.trials.events import Action, Event
from bandstand_spaces import SEARCH_SPACES, Float, SearchSpace
from tests.benchmarks.measuring.cells import run_cell
from tests.benchmarks.measuring.results import Section

__all__ = ["main"]

SIZES = (100, 1_000, 10_000)
AIM = 2.0
_WINDOW = 100
_WORKERS = 8
_SECONDS = 600.0
_MAX_EPOCHS = 9
_FINITE = SearchSpace({name: Float(0.0, 1.0, step=0.1) for name in "abcd"})
"""14,641 points, for grid search."""
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "lr-restarts": {"parameter": "learning_rate", "configurations": 6_000, "cycle_epochs": 1},
    "pbt": {"interval": 1, "population": 1_000},
    "pb2": {"interval": 1, "population": 20},
    "threshold": {"upper": 3.0},
}
"""Of a sampler, policy or pruner, where it needs some."""
_FITS_MODELS = {"tpe": "", "gp": "", "forest": "", "extra_trees": "", "gbrt": "", "bohb": "hyperband"}
"""What fits a model to each proposal -> the pruner by which a policy allocates epochs."""
_DECIDES_NOTHING = ("replay", "tune-pbt", "tune-pb2")
"""The first repeats what was decided; of the others Ray Tune decides."""


def main(repeats: int, peers: bool) -> Section:
    """Print and return milliseconds a decision, median with least and most, and how much they grow."""
    sizes = " | ".join(f"at {size:,}, ms" for size in SIZES)
    lines = [f"| strategy | {sizes} | {SIZES[-1]:,} / {SIZES[0]:,} | at most {AIM:g} |", "| --- " * 6 + "|"]
    print(*lines, sep="\n", flush=True)
    for sampler, pruner in _strategies():
        costs = [run_cell(decision_costs, sampler, pruner) for _ in range(repeats)]
        lines.append(_line(f"{sampler} + {pruner}" if pruner else sampler, costs))
        print(lines[-1], flush=True)
    return Section(title="Milliseconds that Search takes for a decision", lines=lines)


def _strategies() -> list[tuple[str, str]]:
    samplers = [(sampler, "asha") for sampler in SAMPLERS]
    pruners = [("random", pruner) for pruner in PRUNERS if pruner != "asha"]
    policies = [(policy, "") for policy in STRATEGIES if policy not in _DECIDES_NOTHING]
    return [*samplers, *pruners, *policies]


def _line(strategy: str, costs: list[list[float]]) -> str:
    reached = [list(column) for column in zip(*costs, strict=False)]  # in every repeat
    cells = [f"{statistics.median(column):.3f} ({min(column):.3f} to {max(column):.3f})" for column in reached]
    cells += ["not reached"] * (len(SIZES) - len(cells))
    growth, verdict = "", "no"
    if len(reached) == len(SIZES):
        ratio = statistics.median(reached[-1]) / statistics.median(reached[0])
        growth, verdict = f"{ratio:.1f}", "yes" if ratio <= AIM else "no"
    return f"| {' | '.join([strategy, *cells, growth, verdict])} |"


def decision_costs(sampler: str, pruner: str) -> list[float]:
    """One cell: milliseconds a decision at each of `SIZES` that was reached in time."""
    if sampler in _FITS_MODELS:
        return [_cost_after(size, sampler, pruner) for size in SIZES]
    desk = _Desk(Search(_spec(sampler, pruner)))
    costs: list[float] = []
    for size in SIZES:
        while desk.trials < size and desk.seconds < _SECONDS and desk.is_busy:
            desk.decide()
        if desk.trials < size:  # time is up, or the strategy has nothing more to try
            break
        costs.append(_cost_of_window(desk))
    return costs


def _cost_after(size: int, sampler: str, pruner: str) -> float:
    """Milliseconds a decision of a strategy that is shown the first `size` trials of random search."""
    desk = _Desk(Search(_spec("random", pruner or _FITS_MODELS[sampler])))
    while desk.trials < size:
        desk.decide()
    search = Search.restore(_spec(sampler, pruner), desk.events)
    for trial in search.history.trials:
        search.lost(trial.number, trial.attempt, "its strategy was replaced", blamed=False)
    return _cost_of_window(_Desk(search))


def _cost_of_window(desk: _Desk) -> float:
    desk.decide()  # what is imported or rebuilt once is no cost of a decision
    before = desk.seconds
    for _ in range(_WINDOW):
        desk.decide()
    return 1e3 * (desk.seconds - before) / _WINDOW


class _Desk:
    """A Search, and workers that train nothing."""

    def __init__(self, search: Search):
        self.seconds = 0.0
        """That Search has taken."""
        self.events: list[Event] = []
        self._search, spec = search, search.spec
        self._parameters = {name: parameter for name, parameter, _ in spec.space.flat()}
        self._metric = spec.objective.metric
        self._held: list[Assignment] = []
        self._give_out()

    @property
    def trials(self) -> int:
        """How many there are."""
        return len(self._search.history.trials)

    @property
    def is_busy(self) -> bool:
        """Whether a worker has anything to train."""
        return bool(self._held)

    def decide(self) -> None:
        """The worker that has waited longest trains what it has, and takes the next."""
        assignment = self._held.pop(0)
        losses = self._losses(assignment.params)
        began = time.perf_counter()
        self._train(assignment, losses)
        self._give_out()
        self.seconds += time.perf_counter() - began
        self.events += self._search.take_events()

    def _give_out(self) -> None:
        """To every free worker, unless there is nothing to do before another one is done."""
        while len(self._held) < _WORKERS and (assignment := self._search.next()) is not None:
            self._held.append(assignment)

    def _train(self, assignment: Assignment, losses: list[float]) -> None:
        trial, attempt, search = assignment.trial, assignment.attempt, self._search
        for epoch in range(assignment.from_epoch + 1, _MAX_EPOCHS + 1):
            verdict = search.report(trial, attempt, Measurement(epoch=epoch, metrics={self._metric: losses[epoch - 1]}))
            if verdict.action is not Action.CONTINUE:
                break
        if verdict.action is Action.PAUSE:
            search.checkpointed(trial, attempt, epoch, "nowhere")
            search.paused(trial, attempt)
        else:
            search.finish(trial, attempt)

    def _losses(self, params: Mapping[str, Any]) -> list[float]:
        """After each epoch."""
        distances = (fraction_of(self._parameters[name], value) - 0.3 for name, value in params.items())
        bowl = sum(distance**2 for distance in distances)
        return [bowl + 1 / epoch for epoch in range(1, _MAX_EPOCHS + 1)]


def _spec(sampler: str, pruner: str) -> StudySpec:
    settings = {
        "name": "decisions",
        "model": "bandstand_workers.models.digits_mlp:build",
        "data": "bandstand_workers.datasets.digits:load",
        "space": (_FINITE if sampler == "grid" else SEARCH_SPACES["digits_mlp"]).to_dict(),
        "objective": {"metric": "val_loss", "direction": "minimize"},
        "sampler": sampler,
        "sampler_options": _OPTIONS.get(sampler, {}),
        "max_epochs": _MAX_EPOCHS,
        "budget": {"trials": 10**9},
    }
    if pruner:
        halves = pruner in ("asha", "asha-promote", "hyperband", "successive-halving")
        options = {"min_epochs": 1} if halves else _OPTIONS.get(pruner, {})
        settings |= {"pruner": pruner, "pruner_options": options}
    return study_spec_from(settings, "benchmark")
