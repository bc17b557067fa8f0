"""Large studies: what is read of them, and how much. Work is counted, in queries and rows, and not timed."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from bandstand.optuna_storage import SoleWriterStorage
from bandstand.search.protocol import Measurement
from bandstand.search.search import Search
from bandstand.store.optuna_mirror import NUMBER
from bandstand.store.reading.columns import Column, read_columns
from bandstand.store.reading.event_log import read_events, read_replayed_events, replayed
from bandstand.store.rows.study_rows import get_row
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Measured
from tests.benchmarks.scale.made_studies import TrainedStudy, made_spec, make_study
from tests.service.commands.in_process import Bandstand
from tests.service.search.harness.pairs import PAIRS, settings_for

NAMES = (f"large-{number}" for number in itertools.count())
ODD = ("50%", ":colon", "quo'te", 'double"quote', "é" * 40 + "1", "é" * 40 + "2", "value", "c0", "back\\slash")
"""Keys of logs that a statement must not stumble over; two that PostgreSQL would cut to the same name."""


@dataclass
class Work:
    """What the database was asked for."""

    statements: list[str] = field(default_factory=list)
    rows: int = 0


@contextmanager
def counted(store: Store) -> Iterator[Work]:
    """Counts statements and the rows that they give."""
    work = Work()

    def count(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        work.statements.append(statement)
        work.rows += max(0, cursor.rowcount)

    sa.event.listen(store.database.engine, "after_cursor_execute", count)
    try:
        yield work
    finally:
        sa.event.remove(store.database.engine, "after_cursor_execute", count)


def made(store: Store, *, trials: int, epochs: int = 4, **settings: Any) -> str:
    spec = made_spec(next(NAMES), trials=trials, epochs=epochs, **settings)
    make_study(store, spec, at_once=5)
    return spec.name


@pytest.fixture(scope="module")
def sizes(store: Store) -> tuple[str, str]:
    """Two studies of which the second is ten times as large, in trials and in epochs."""
    return made(store, trials=20, epochs=3), made(store, trials=200, epochs=30)


@pytest.mark.parametrize("read", [Store.overview, Store.best, Store.spec])
def test_what_is_read_for_a_page_does_not_grow_with_the_study(store: Store, sizes: tuple[str, str], read: Any) -> None:
    found = []
    for name in sizes:
        with counted(store) as work:
            read(store, name)
        found.append((len(work.statements), work.rows))
    assert found[0] == found[1], "statements and rows"


@pytest.mark.parametrize("command", [("show",), ("best",), ("best", "--json")])
def test_the_commands_that_show_a_study_never_load_its_trials(
    bandstand: Bandstand,
    store: Store,
    sizes: tuple[str, str],
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for whole in ("record", "trials", "trial_pages"):
        monkeypatch.delattr(Store, whole)
    said = bandstand(command[0], sizes[1], *command[1:])
    assert said.code == 0, said.err


def test_an_overview_says_what_the_record_says(store: Store) -> None:
    spec = made_spec(next(NAMES), trials=12, epochs=4)
    writer = store.claim(spec, "a test")
    search = Search(spec)
    for number in range(12):
        given = search.next()
        assert given is not None
        search.report(given.trial, given.attempt, Measurement(epoch=1, metrics={"val_loss": 1 / (1 + number)}))
        if number % 3 == 0:
            search.fail(given.trial, given.attempt, "exception", f"ValueError: {number % 2}")
    writer.write(writer.rows_from(search.take_events(), search.history))
    writer.close()
    overview, record = store.overview(spec.name), store.record(spec.name)
    trials = record.trials
    assert overview.counts == trials["state"].value_counts().to_dict()
    assert overview.epochs == trials["epochs"].sum()
    ranked = trials.sort_values(["value", "number"])["number"].head(10)
    assert [trial.number for trial in overview.top] == list(ranked)
    failed = trials[trials["state"] == "failed"]
    assert {each.message: list(each.trials) for each in overview.failures} == {
        message: list(group["number"]) for message, group in failed.groupby("message")
    }
    assert overview.other_failures == 0
    assert overview.best == record.best


def test_an_overview_names_the_ancestors_of_the_best_trial(store: Store) -> None:
    space = {"rate": {"type": "float", "low": 0.01, "high": 1.0, "log": True}}
    options = {"parameter": "rate", "cycle_epochs": 2}
    settings = {"sampler": "lr-restarts", "sampler_options": options, "pruner": "", "space": space}
    name = made(store, trials=6, epochs=12, **settings, budget={"epochs": 60})
    assert store.record(name).best_ancestors, "the best one is a child"
    assert list(store.overview(name).best_ancestors) == store.record(name).best_ancestors


def test_many_messages_of_failures_are_summed_up(store: Store, bandstand: Bandstand) -> None:
    spec = made_spec(next(NAMES), trials=60, epochs=4)
    writer = store.claim(spec, "a test")
    search = Search(spec)
    for number in range(50):
        given = search.next()
        assert given is not None
        search.fail(given.trial, given.attempt, "exception", f"ValueError: {number}", signature=str(number))
    writer.write(writer.rows_from(search.take_events(), search.history))
    writer.close()
    said = bandstand("show", spec.name).out
    assert said.count("ValueError") == 20
    assert "30 more, with other messages" in said


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_export_has_what_the_record_has(
    store: Store, bandstand: Bandstand, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = made(store, trials=25)
    monkeypatch.setattr("bandstand.store.store._PAGE", 10)
    path = tmp_path / f"trials.{form}"
    with counted(store) as work:
        said = bandstand("export", name, "-o", str(path))
    assert said.out.strip() == f"{path}: 25 trials"
    assert len(work.statements) == 0, "the command has a store of its own"
    trials = store.record(name).trials
    if form == "parquet":
        assert list(pd.read_parquet(path)["params_rate"]) == list(trials["params_rate"])
        return
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(trials.columns)
    for column in ("value", "seconds", "params_rate", "number", "params_units"):
        assert [float(row[column]) for row in rows] == [float(value) for value in trials[column]]
    assert [row["params_optimizer"] for row in rows] == list(trials["params_optimizer"])
    assert [row["created_at"] for row in rows] == [str(value) for value in trials["created_at"]]


def test_pages_of_trials_hold_few_rows_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    name = made(store, trials=25)
    monkeypatch.setattr("bandstand.store.store._PAGE", 10)
    assert [len(page) for page in store.trial_pages(name)] == [10, 10, 5]


def test_programs_are_shown_every_trial(store: Store, bandstand: Bandstand) -> None:
    name = made(store, trials=12)
    shown, record = json.loads(bandstand("show", name, "--json").out), store.record(name)
    expected = json.loads(record.trials.to_json(orient="records", date_format="iso"))
    for ours, theirs in zip(shown["trials"], expected, strict=True):
        assert list(ours) == list(theirs)
        for key, value in theirs.items():
            assert ours[key] == (pytest.approx(value) if isinstance(value, float) else value), key


# -- the whole record --------------------------------------------------------------------------------------------------


def test_a_record_has_any_key_of_the_logs_and_any_number(store: Store) -> None:
    spec = made_spec(next(NAMES), trials=2, epochs=3)
    writer = store.claim(spec, "a test")
    search = Search(spec)
    given = search.next()
    assert given is not None
    numbers = [nan, inf, -inf, 1, 1e-300, -0.5, 2.5, 3, 4]
    odd = dict(zip(ODD, numbers, strict=True))
    search.report(given.trial, given.attempt, Measurement(epoch=1, metrics={"val_loss": 0.5} | odd))
    search.report(given.trial, given.attempt, Measurement(epoch=2, metrics={"loss": 0.25}, seconds=2.0))
    writer.write(writer.rows_from(search.take_events(), search.history))
    writer.close()
    frame = store.record(spec.name).measurements
    for name, number in odd.items():
        if name != "value":  # the objective has that column
            assert frame[name][0] == number or (isnan(frame[name][0]) and isnan(number)), name
            assert isnan(frame[name][1]), name
    assert frame["value"][0] == 0.5
    assert isnan(frame["value"][1])
    assert frame["loss"].tolist()[1] == frame["seconds"].tolist()[1] / 8 == 0.25
    assert str(frame["created_at"].dtype) == "datetime64[us, UTC]"
    assert frame["trial"].dtype == frame["epoch"].dtype == "int64"


def test_a_record_of_a_study_without_epochs_has_empty_frames(store: Store) -> None:
    spec = made_spec(next(NAMES), trials=2, epochs=3)
    store.claim(spec, "a test").close()
    record = store.record(spec.name)
    assert record.measurements.empty
    assert list(record.measurements.columns[:3]) == ["trial", "epoch", "value"]
    assert record.trials.empty


def test_a_statement_on_columns_fails_as_any_other(store: Store) -> None:
    missing = sa.select().select_from(sa.table("there_is_none"))
    with store.database.reading() as connection, pytest.raises(sa.exc.ProgrammingError, match="there_is_none"):
        read_columns(connection, missing, {"one": Column(sa.literal(1), "integer")})


# -- resuming ----------------------------------------------------------------------------------------------------------


def state_of(search: Search) -> list[dict[str, Any]]:
    return [{name: repr(getattr(trial, name)) for name in trial.__slots__} for trial in search.history.trials]


@pytest.mark.parametrize(
    ("sampler", "pruner"), [pair for pair in PAIRS if pair.values[0] == "random" or pair.values[1] in ("", "asha")]
)
def test_a_search_replayed_from_the_store_decides_as_one_that_reads_everything(
    store: Store, spec_with: Callable[..., StudySpec], sampler: str, pruner: str
) -> None:
    spec = spec_with(**settings_for(sampler, pruner), name=next(NAMES))
    writer = store.claim(spec, "a test")
    lost = Search(spec)
    lost.begin()
    for number, _ in enumerate(TrainedStudy(lost, 3).rounds()):
        if number == 12:
            break
    writer.write(writer.rows_from(lost.take_events(), lost.history))
    whole = Search.restore(spec, writer.events())
    replayed_search = writer.replay(partial(Search.restore, spec))
    writer.close()
    assert writer.last_event
    assert state_of(replayed_search) == state_of(whole) == state_of(lost)
    for search in (whole, replayed_search):
        for trial in search.history.trials:
            search.lost(trial.number, trial.attempt, "a test", blamed=False)
    both = zip(TrainedStudy(whole, 3).rounds(), TrainedStudy(replayed_search, 3).rounds(), strict=False)
    for _ in itertools.islice(both, 6):
        assert repr(whole.take_events()) == repr(replayed_search.take_events())


def test_replayed_events_are_those_of_the_store_without_what_no_decision_needs(store: Store) -> None:
    spec = made_spec(next(NAMES), trials=3, epochs=5)
    writer = store.claim(spec, "a test")
    search = Search(spec)
    given = search.next()
    assert given is not None
    for epoch, metrics in enumerate(({"val_loss": 1.0, "loss": inf}, {"val_loss": nan}, {"loss": 1.0}), start=1):
        search.report(given.trial, given.attempt, Measurement(epoch=epoch, metrics=metrics, learning_rate=0.1))
    search.spend(wall_seconds=1.0)
    writer.write(writer.rows_from(search.take_events(), search.history))
    writer.close()
    with store.database.connection() as connection:
        study_id = get_row(connection, spec.name).id
        events = list(read_events(connection, study_id))
        quick = list(read_replayed_events(connection, study_id))
    expected = [(seq, replayed(event) if isinstance(event, Measured) else event) for seq, event in events]
    assert repr(quick) == repr(expected)
    assert sum(isinstance(event, Measured) for _, event in quick) == 3


def test_a_replay_reads_in_a_fixed_number_of_statements_and_keeps_no_event(
    store: Store, sizes: tuple[str, str]
) -> None:
    found = []
    for name in sizes:
        writer = store.claim(store.spec(name), "a test")
        statements: list[str] = []
        sa.event.listen(
            store.database.engine, "after_cursor_execute", lambda *given, said=statements: said.append(given[2])
        )
        alive = writer.replay(most_alive)
        found.append(len(statements))
        assert alive < 3, "an event is gone once it is applied"
        writer.close()
    assert found[0] == found[1]


def most_alive(events: Iterator[Any]) -> int:
    """The most events of those taken so far that somebody still holds."""
    import sys

    return max((sys.getrefcount(event) - 2 for event in events), default=0)


def test_a_writer_of_optunas_tables_keeps_one_attribute_of_a_finished_trial(
    store: Store, sizes: tuple[str, str]
) -> None:
    for only_key in (None, NUMBER):
        storage = SoleWriterStorage.open(store.database.url, only_key)
        trials = storage.get_all_trials(storage.get_study_id_from_name(sizes[1]), deepcopy=False)
        storage.close()
        assert [trial.user_attrs[NUMBER] for trial in trials] == list(range(200))
        kept = sum(len(trial.intermediate_values) + len(trial.params) + len(trial.user_attrs) for trial in trials)
        assert kept == (200 if only_key else 200 * (30 + 4 + 5))
        assert all(trial.state.is_finished() for trial in trials)
