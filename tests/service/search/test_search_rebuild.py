"""A Search rebuilt from stored events decides what the lost one would have decided."""

import dataclasses
from math import inf, nan

import numpy as np
import pytest

from bandstand.store.rows.event_rows import rows_from
from bandstand.strategies import SAMPLERS
from bandstand.trials.events import (
    EVENTS,
    Action,
    Checkpointed,
    CheckpointRefused,
    CodeSeen,
    Combined,
    DataSeen,
    Decided,
    Ended,
    Enqueued,
    Extended,
    Lost,
    Measured,
    Noticed,
    Paused,
    Promoted,
    Proposed,
    Reopened,
    Spent,
    Started,
    StudyEnded,
    TrialState,
)
from tests.service.search.harness.pairs import PAIRS, settings_for
from tests.service.strategies.pruners.first_rungs import LEARNERS, is_known

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.mark.parametrize("workers", [1, 5, pytest.param(64, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_a_search_restored_at_any_event_goes_on_as_the_lost_one_would(
    spec_with, cluster_of, lockstep_of, sampler, pruner, workers
):
    spec = spec_with(**settings_for(sampler, pruner))
    rng = np.random.default_rng(workers)
    trouble = {"lose_worker": 0.05, "blame": 0.3, "diverge": 0.02, "stop_early": 0.03, "fail": 0.01}
    trouble["refuse_checkpoint"] = 0.1
    cluster = cluster_of(spec, workers=workers, seed=workers, search=lockstep_of(spec), checkpoint_every=2, **trouble)
    learned = []

    def split_now_and_then(cluster):
        if rng.random() < 0.2:
            cluster.search.split()
            learned.append(pruner in LEARNERS and is_known(cluster.search.history, low=1))

    search = cluster.run(after_each_step=split_now_and_then)
    assert search.history.ended is not None
    assert len(learned) > (2 if sampler == "replay" else 20)  # a replay has few events
    if pruner in LEARNERS:
        assert not learned[0]
        assert sum(learned) > 5


@pytest.mark.parametrize("workers", [1, 5])
@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        ("umda", "asha"),
        ("random", "asha-promote"),
        ("random", "hyperband"),
        ("pbt", ""),
        ("bohb", ""),
        ("lr-restarts", ""),
    ],
)
def test_a_search_restored_at_every_event_wants_next_what_the_lost_one_would(
    spec_with, cluster_of, lockstep_of, sampler, pruner, workers
):
    spec = spec_with(**settings_for(sampler, pruner) | {"budget": {"epochs": 45}})
    lockstep = lockstep_of(spec, at_every_event=True, keep=6)
    trouble = {"lose_worker": 0.03, "blame": 0.3, "diverge": 0.02, "stop_early": 0.03, "refuse_checkpoint": 0.1}
    cluster = cluster_of(spec, workers=workers, seed=workers, search=lockstep, checkpoint_every=2, **trouble)
    search = cluster.run()
    assert search.history.ended is not None
    # What records several events at once is stored as one, so that nobody is ever restored between them.
    alone = sum(isinstance(event, Measured | Lost | Paused | Checkpointed) for event in cluster.stored)
    assert lockstep.splits >= alone > 60


@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_the_same_seed_gives_the_same_study(spec_with, cluster_of, sampler, pruner):
    spec = spec_with(**settings_for(sampler, pruner))
    first, second = (cluster_of(spec, workers=3, seed=1, diverge=0.02) for _ in range(2))
    first.run()
    second.run()
    assert repr(first.stored) == repr(second.stored)
    assert first.assignments == second.assignments


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_another_seed_gives_other_proposals_and_other_weights(spec_with, cluster_of, sampler):
    first, second = (cluster_of(spec_with(**settings_for(sampler, "asha", seed))) for seed in (1, 2))
    first.run()
    second.run()
    assert [dict(it.params) for it in first.assignments] != [dict(it.params) for it in second.assignments]
    assert not {it.seed for it in first.assignments} & {it.seed for it in second.assignments}


def test_every_attempt_of_a_trial_has_the_trial_s_seed(desk_with):
    desk = desk_with()
    first = desk.start()
    desk.lose(0)
    assert desk.start().seed == first.seed


EVERY_KIND = [
    Noticed(message="a “quoted” word"),
    DataSeen(splits={"train": [{"name": "x", "shape": [3, 1], "sketch": [0.1, -2.0]}]}),
    CodeSeen(python="3.11", parts={"train.py: build": "0123456789ab"}),
    Proposed(trial=0, params={"rate": 0.1 + 0.2, "optimizer": "sgd", "momentum": 2}, bracket=3, granted=9),
    Proposed(
        trial=1, params={}, granted=12, parent=0, from_epoch=9, weights="best", learning_rates=(0.1, 0.01), origin="why"
    ),
    Started(trial=0, attempt=1, from_epoch=0, worker="trainer-3"),
    Measured(trial=0, attempt=1, epoch=1, value=0.1, metrics={"loss": 1e-300, "val_loss": 0.1}, seconds=1.5),
    Measured(trial=0, attempt=1, epoch=2, value=nan, metrics={"loss": nan, "a": inf, "b": -inf}, learning_rate=1e-3),
    Measured(trial=0, attempt=1, epoch=3, value=None),
    Checkpointed(trial=0, attempt=1, epoch=2, uri="s3://b/c"),
    CheckpointRefused(trial=0, epoch=2, reason="s3://b/c is damaged"),
    Decided(trial=0, attempt=1, epoch=3, action=Action.PAUSE, granted=9, reason="the study is being stopped"),
    Paused(trial=0, attempt=1),
    Promoted(trial=0, granted=27, reason="place 1"),
    Started(trial=0, attempt=2, from_epoch=2),
    Lost(trial=0, attempt=2, reason="gone", blamed=True),
    Spent(wall_seconds=0.25, gpu_seconds=1.0),
    Started(trial=0, attempt=3, from_epoch=2),
    Ended(trial=0, attempt=3, state=TrialState.FAILED, reason="exception", message="m", signature="s", detail="d"),
    Combined(how="average", trials=(3, 7), taken=True, value=0.25, snapshot_value=None, uri="s3://b/m", problem="p"),
    StudyEnded(failed=True, reason="every trial failed"),
    Extended(request=7, budget={"epochs": 90, "wall_seconds": 0.1}, by="ada"),
    Enqueued(request=8, params={"rate": 0.1, "optimizer": "adam"}),
    Reopened(forgotten=True),
    Proposed(trial=2, params={"rate": 0.1, "optimizer": "adam"}, granted=9, origin="enqueued", request=8),
]


def test_every_kind_of_event_survives_the_way_through_rows_and_json(spec_with, through_the_rows):
    back = through_the_rows(spec_with(), EVERY_KIND)
    assert repr(back) == repr(EVERY_KIND)
    assert [type(event) for event in back] == [type(event) for event in EVERY_KIND]
    assert {type(event) for event in EVERY_KIND} == set(EVENTS.values())


def test_stored_enums_come_back_as_enums(spec_with, through_the_rows):
    back = through_the_rows(spec_with(), EVERY_KIND)
    assert [event.action for event in back if isinstance(event, Decided)] == [Action.PAUSE]
    assert all(isinstance(event.state, TrialState) for event in back if isinstance(event, Ended))


@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_the_events_of_a_study_survive_the_way_through_rows_and_json(
    spec_with, cluster_of, through_the_rows, sampler, pruner
):
    cluster = cluster_of(spec_with(**settings_for(sampler, pruner)), workers=3, diverge=0.05, stop_early=0.05)
    cluster.run()
    back = through_the_rows(cluster.spec, cluster.stored)
    assert repr(back) == repr(cluster.stored)
    assert [list(event.params) for event in back if isinstance(event, Proposed)] == [
        list(event.params) for event in cluster.stored if isinstance(event, Proposed)
    ], "the order of params is part of a space"


def test_a_batch_of_rows_says_where_its_trials_stand_and_how_its_attempts_went(desk_with):
    desk = desk_with()
    desk.start()
    desk.report(0, 1, 0.5)
    desk.lose(0)
    events = desk.search.take_events()
    rows = rows_from(4, enumerate(events, start=10), desk.search.history)
    assert [row["seq"] for row in rows.events + rows.measurements] == [10, 11, 13, 12]
    assert [(row["number"], row["state"], row["epochs"], row["value"]) for row in rows.trials] == [
        (0, "waiting", 1, 0.5)
    ]
    assert [(row["attempt"], row["from_epoch"]) for row in rows.attempts_begun] == [(1, 0)]
    assert [(row["of_attempt"], row["outcome"]) for row in rows.attempts_ended] == [(1, "lost")]


def test_a_restored_search_has_nothing_left_to_store(desk_with):
    desk = desk_with()
    desk.start(3)
    search = type(desk.search).restore(desk.search.spec, desk.search.take_events())
    assert search.take_events() == []
    assert [dataclasses.asdict(trial) for trial in search.history.trials] == [
        dataclasses.asdict(trial) for trial in desk.trials
    ]
