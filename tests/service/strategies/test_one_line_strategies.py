"""A strategy is one class and one line of a registry: report, live view and a study's rules know it from its class."""

from __future__ import annotations

import dataclasses
import gc
import io
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest
from rich.console import Console

from bandstand.report.figures.lineages import lineages_data
from bandstand.report.figures.time_spent import time_spent_data
from bandstand.report.findings.advice import search_warnings
from bandstand.running.progress_table import budget_spent, progress_view
from bandstand.search.protocol import Assignment
from bandstand.store.store import Store
from bandstand.strategies import PRUNERS, SAMPLERS, STRATEGIES, facts_of
from bandstand.strategies.policies.pbt import PopulationBasedTraining
from bandstand.strategies.pruners.asha import ASHAPruner
from bandstand.strategies.samplers.random_search import RandomSampler
from bandstand.study.study_spec import StudySpec
from tests.service.store.written_study import make_spec, train, train_lineages

Register = Callable[[Mapping[str, type], str, type], None]
NOT_KNOWN = "Importance needs more trials."


class Patient(RandomSampler):
    """A sampler that would fit a model once seven trials have a value."""

    @classmethod
    def draws_at_random_first(cls, spec: StudySpec) -> int:
        return 7


class Listed(RandomSampler):
    """A sampler with a list of three points."""

    @classmethod
    def points(cls, spec: StudySpec) -> int:
        return 3

    def propose(self, number: int) -> Mapping[str, Any] | None:
        return super().propose(number) if number < 3 else None


class Strict(ASHAPruner):
    """A pruner that lets one in eleven go on."""

    @classmethod
    def reduction_factor(cls, spec: StudySpec) -> int:
        return 11


class Heirs(PopulationBasedTraining):
    """A population whose children take over their parents' best weights."""

    name: ClassVar[str] = "heirs"

    @classmethod
    def inherits_best(cls, spec: StudySpec) -> bool:
        return True


class Loners(PopulationBasedTraining):
    """The same, but no population: its brackets are no members."""

    name: ClassVar[str] = "loners"
    has_members: ClassVar[bool] = False


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    """Adds a line to a registry, for every module that has imported it."""

    def add(registry: Mapping[str, type], name: str, strategy: type) -> None:
        (entries,) = gc.get_referents(registry)  # of a read-only view, the dict that it shows
        monkeypatch.setitem(entries, name, strategy)

    return add


def advice_on(store: Store, spec: StudySpec) -> str:
    return " ".join(search_warnings(store.record(spec.name), NOT_KNOWN))


def live_view(store: Store, spec: StudySpec) -> str:
    stream = io.StringIO()
    Console(file=stream, width=120).print(progress_view(store.progress(spec.name), seconds=1, seconds_left=None))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("strategy", "known"),
    [
        ({"sampler": "tpe", "pruner": "none"}, {"draws_at_random_first": 10}),
        (
            {"sampler": "gp", "sampler_options": {"startup_trials": 20}},
            {"draws_at_random_first": 20, "reduction_factor": 3},
        ),
        (
            {"sampler": "random", "pruner": "hyperband", "pruner_options": {"reduction_factor": 4}},
            {"reduction_factor": 4},
        ),
        ({"sampler": "random", "pruner": "successive-halving"}, {"reduction_factor": 3}),
        ({"sampler": "random", "pruner": "median"}, {}),
        ({"sampler": "grid", "pruner": "none", "sampler_options": {"points": 3}}, {"points": 24}),
        ({"sampler": "pb2", "pruner": ""}, {"has_members": True}),
        ({"sampler": "bohb", "pruner": ""}, {}),
    ],
)
def test_a_class_says_of_its_strategy_what_others_must_know(strategy: dict[str, Any], known: dict[str, Any]) -> None:
    usual = {"draws_at_random_first": 0, "points": None, "reduction_factor": None, "has_members": False}
    assert dataclasses.asdict(facts_of(make_spec(**strategy))) == usual | {"inherits_best": False} | known


@pytest.mark.parametrize(("trials", "too_small"), [(6, True), (8, False)])
def test_the_report_advises_by_the_trials_that_a_new_sampler_draws_at_random_first(
    store: Store, register: Register, trials: int, too_small: bool
) -> None:
    register(SAMPLERS, "patient", Patient)
    spec = make_spec(sampler="patient", pruner="none", budget={"trials": 8})
    train(store, spec, trials, end=True)
    told = "The budget is too small for the sampler patient. It draws at random until 7 trials have a value"
    assert (told in advice_on(store, spec)) is too_small
    assert "patient" in live_view(store, spec)


def test_a_new_sampler_with_a_list_of_points_needs_no_budget_and_the_live_view_counts_them(
    store: Store, register: Register
) -> None:
    register(SAMPLERS, "listed", Listed)
    spec = make_spec(sampler="listed", pruner="none", budget={})
    train(store, spec, 2)
    assert budget_spent(store.progress(spec.name)).startswith("2 of 3 points of the grid")
    assert "67%" in live_view(store, spec)


@pytest.mark.parametrize("pruner", ["strict", "asha"])
def test_the_report_advises_by_the_share_that_a_new_pruner_lets_go_on(
    store: Store, register: Register, pruner: str
) -> None:
    register(PRUNERS, "strict", Strict)
    spec = make_spec(sampler="random", pruner=pruner, pruner_options={"min_epochs": 1}, budget={"trials": 20})
    train(store, spec, 10, end=True)
    told = advice_on(store, spec)
    assert ("The budget is too small for strict." in told and "One in 11 goes on" in told) is (pruner == "strict")


@pytest.mark.parametrize(
    ("name", "policy", "word", "best_weights"),
    [("heirs", Heirs, "member", True), ("loners", Loners, "bracket", False), ("pbt", None, "member", False)],
)
def test_the_report_knows_a_new_policy_s_family_and_where_its_time_went(
    store: Store, register: Register, name: str, policy: type | None, word: str, best_weights: bool
) -> None:
    if policy is not None:
        register(STRATEGIES, name, policy)
    space = {"rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}}
    options = {"population": 4, "interval": 2}
    spec = make_spec(sampler=name, pruner="", sampler_options=options, space=space, max_epochs=8, budget={"trials": 4})

    def first_of_an_interval_is_best(given: Assignment, epoch: int) -> float:
        return 1 / (2 + given.trial) + 0.01 * (epoch % 2 == 0)

    train_lineages(store, spec, first_of_an_interval_is_best, lambda given, epoch: None)
    record = store.record(spec.name)
    time, family = time_spent_data(record), lineages_data(record)
    assert not isinstance(time, str) and not isinstance(family, str)
    assert [share.name for share in time.brackets] == [f"{word} {slot}" for slot in range(4)]
    children = [member for member in family.members if member.parent is not None]
    assert children, "without a child there is no family"
    assert {member.inherited % 2 == 1 for member in children} == {best_weights}
    assert (family.families == len(record.trials)) is (word == "member"), "else only who has a parent or child"
    assert name in live_view(store, spec)
