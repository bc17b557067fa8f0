"""Everybody who tells a study's best trial tells the same one: history, SQL, lists, report, page, Optuna's tables."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
import optuna
import pytest

from bandstand.api.pages.content.chart import read_best_so_far
from bandstand.report.records.timeline import make_best_curve, places_of
from bandstand.search.protocol import Measurement
from bandstand.search.search import Search
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from bandstand.trials.history import History
from tests.service.search.harness.virtual_cluster import VirtualCluster
from tests.service.store.written_study import flush, make_spec

PARTS = [
    {"sampler": "random", "pruner": "asha", "pruner_options": {"min_epochs": 1}},
    {"sampler": "random", "pruner": "asha-promote", "pruner_options": {"min_epochs": 1}},
]


def random_study(spec: StudySpec, seed: int) -> list[Any]:
    """The events of a study with every kind of trouble."""
    cluster = VirtualCluster(
        spec, workers=3, seed=seed, lose_worker=0.02, blame=0.5, kill_coordinator=0.01, diverge=0.04, fail=0.04,
        stop_early=0.05,
    )  # fmt: skip
    cluster.run()
    return list(cluster.stored)


def seen_by_hand(history: History) -> float | None:
    """The best value, told from nothing but what each trial measured and how it ended."""
    objective = history.spec.objective
    if objective.epoch == "best":
        values = [trial.value_at(trial.best_epoch) for trial in history.trials if trial.best_epoch]
    else:
        last = {state: [] for state in ("complete", "pruned")}
        for trial in history.trials:
            if trial.state in last and trial.best_epoch and isfinite(trial.values[-1]):
                last[trial.state].append(trial.values[-1])
        values = last["complete"] or last["pruned"]
    return min(values, key=lambda value: objective.sign * value) if values else None


def check_all_agree(store: Store, history: History, study_id: int) -> None:
    spec, best = history.spec, history.best
    value = seen_by_hand(history)
    assert (best is None) is (value is None)
    record, progress = store.record(spec.name), store.progress(spec.name)
    (summary,) = store.studies(names=[spec.name])
    with store.database.connection() as connection:
        chart = read_best_so_far(connection, study_id, spec.objective)
    curve = make_best_curve(record)
    assert chart.changes == list(zip(curve.epochs, curve.values, strict=True))
    url = store.database.url.replace("postgresql://", "postgresql+psycopg://")
    told = optuna.load_study(study_name=spec.name, storage=url).user_attrs.get("bandstand:best")
    if best is None:
        assert (record.best, progress.best, summary.best_trial, chart.changes, told) == (None, None, None, [], None)
        return
    expected = (best.number, value, history.result_epoch(best))
    for found in (record.best, progress.best):
        assert (found.number, found.value, found.epoch) == expected
    assert (summary.best_trial, summary.best_value) == expected[:2]
    assert places_of(record)[0].number == best.number
    assert curve.values[-1] == value
    assert told == {"trial": best.number, "value": value, "epoch": expected[2], "state": str(best.state)}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("epoch", ["best", "last"])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_all_that_tell_a_best_trial_agree_at_any_moment_of_a_random_study(
    store: Store, direction: str, epoch: str, seed: int
) -> None:
    objective = {"metric": "val_loss", "direction": direction, "epoch": epoch}
    spec = make_spec(objective=objective, budget={"epochs": 40}, seed=seed, max_epochs=9, **PARTS[seed % 2])
    events = random_study(spec, seed)
    cuts = sorted(int(cut) for cut in np.random.default_rng(seed).integers(1, len(events), 3))
    search = Search(spec)
    writer = store.claim(spec, "a test")
    try:
        writer.events()
        writer.catch_up_mirror(search.history)
        for first, last in zip([0, *cuts], [*cuts, len(events)], strict=True):
            for event in events[first:last]:
                search._state.record(event)
            flush(search, writer)
            check_all_agree(store, search.history, writer.study_id)
    finally:
        writer.close()


def test_optuna_s_tables_are_told_the_best_again_where_a_killed_writer_did_not(store: Store) -> None:
    spec = make_spec(budget={"epochs": 20}, sampler="random")
    search = Search(spec)
    writer = store.claim(spec, "a test")
    try:
        writer.events()
        writer.catch_up_mirror(search.history)
        for event in random_study(spec, 1):
            search._state.record(event)
        flush(search, writer, mirror=False)
        writer.catch_up_mirror(search.history)
        check_all_agree(store, search.history, writer.study_id)
    finally:
        writer.close()


def test_of_a_study_that_takes_last_epochs_a_better_value_that_does_not_count_is_told(store: Store) -> None:
    spec = make_spec(objective={"epoch": "last"}, budget={"trials": 2}, sampler="random", pruner="none", max_epochs=2)
    search = Search(spec)
    writer = store.claim(spec, "a test")
    try:
        writer.events()
        writer.catch_up_mirror(search.history)
        for values in ((0.1, 0.5), (0.4, 0.3)):
            given = search.next()
            assert given is not None
            for number, value in enumerate(values, 1):
                search.report(
                    given.trial, given.attempt, Measurement(epoch=number, metrics={"val_loss": value, "loss": value})
                )
            search.finish(given.trial, given.attempt)
        flush(search, writer)
    finally:
        writer.close()
    best = store.record(spec.name).best
    assert best is not None
    assert (best.number, best.value, best.epoch) == (1, 0.3, 2)
    assert best.seen_words(spec.objective) == (
        "the lowest value of any epoch is 0.1000 (epoch 1 of trial 0, complete); it does not count because "
        "objective.epoch = 'last' takes the last epoch of each trial"
    )


def test_a_model_of_another_epoch_than_the_best_is_not_shown_as_that_of_the_best(store: Store) -> None:
    spec = make_spec(sampler="random", pruner="none")
    search = Search(spec)
    writer = store.claim(spec, "a test")
    try:
        writer.events()
        writer.catch_up_mirror(search.history)
        given = search.next()
        assert given is not None
        search.report(given.trial, given.attempt, Measurement(epoch=1, metrics={"val_loss": 0.5, "loss": 0.5}))
        flush(search, writer)
        writer.set_study(model_uri="/kept.keras", model_trial=0, model_epoch=1, test_metrics={"loss": 1.0})
        assert read_path(store, spec) == "/kept.keras"
        search.report(given.trial, given.attempt, Measurement(epoch=2, metrics={"val_loss": 0.4, "loss": 0.4}))
        flush(search, writer)
        assert read_path(store, spec) is None
        writer.set_study(model_epoch=None)  # as an earlier release kept it, at a trial's end
        assert read_path(store, spec) == "/kept.keras"
    finally:
        writer.close()


def read_path(store: Store, spec: StudySpec) -> str | None:
    best = store.record(spec.name).best
    assert best is not None
    return best.model_path
