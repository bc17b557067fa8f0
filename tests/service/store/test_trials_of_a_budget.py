"""Everybody who tells how many trials of a budget are spent tells the same: the ledger's rule, SQL, lists, pages."""

from __future__ import annotations

import json
from itertools import product

import pytest
import sqlalchemy as sa

from bandstand.api.pages.content.listing import read_listing
from bandstand.api.pages.content.study_on_page import read_study_on_page
from bandstand.api.schemas.answers import Progress
from bandstand.client.answers import progress_from
from bandstand.running.progress_table import budget_spent, budget_used
from bandstand.search.search import Search
from bandstand.store import tables
from bandstand.store.rows.spent_rows import trial_is_spent
from bandstand.store.store import Store
from bandstand.trials.events import TrialState
from bandstand.trials.ledger import spends_a_trial
from tests.service.search.harness.virtual_cluster import VirtualCluster
from tests.service.store.written_study import flush, make_spec

POPULATION = {
    "sampler": "pbt", "pruner": "", "sampler_options": {"population": 4, "interval": 1}, "max_epochs": 8,
    "budget": {"trials": 4},
    "space": {"rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}},
}  # fmt: skip


def texts_and_shares(store: Store, name: str) -> tuple[set[str], set[float | None]]:
    """What is said to be spent in the live view, to a client, in the list and on the study's page."""
    progress = store.progress(name)
    told = progress_from(progress.spec, json.loads(Progress.model_validate(progress).model_dump_json()))
    standing = read_study_on_page(store, name)
    with store.database.connection() as connection:
        (entry,) = [one for one in read_listing(connection).entries if one.name == name]
    (summary,) = store.studies(names=[name])
    texts = (budget_spent(progress), budget_spent(told), standing.spent, entry.spent)
    first_limits = {text.partition(",")[0] for text in texts}
    return first_limits, {budget_used(progress), budget_used(told), standing.used, entry.used, summary.budget_used}


@pytest.mark.parametrize("seed", range(3))
def test_a_population_with_children_has_never_spent_more_trials_than_its_budget_has(store: Store, seed: int) -> None:
    spec = make_spec(**POPULATION, seed=seed)
    cluster = VirtualCluster(spec, workers=3, seed=seed, fail=0.05)
    cluster.run()
    search, events = Search(spec), list(cluster.stored)
    writer = store.claim(spec, "a test")
    try:
        writer.events()
        writer.catch_up_mirror(search.history)
        for first in range(0, len(events), 20):
            for event in events[first : first + 20]:
                search._state.record(event)
            flush(search, writer, mirror=False)
            members = [trial for trial in search.history.trials if trial.parent is None and trial.state.is_final]
            texts, shares = texts_and_shares(store, spec.name)
            assert (texts, shares) == ({f"{len(members)} of 4 trials"}, {len(members) / 4})
    finally:
        writer.close()
    ended = [trial for trial in search.history.trials if trial.state.is_final]
    assert len(ended) > search.history.ledger.trials == len(members) == 4, "without children this shows nothing"


def test_a_row_of_a_trial_is_spent_by_the_same_rule_as_the_trial(store: Store) -> None:
    states, parents = list(TrialState), (None, 0)
    trial = tables.trial
    given = sa.values(trial.c.state, trial.c.parent, name="trial").data(
        [(str(state), parent) for state, parent in product(states, parents)]
    )
    query = sa.select(given.c.state, given.c.parent, trial_is_spent(given))
    with store.database.connection() as connection:
        by_row = {(state, parent): spent for state, parent, spent in connection.execute(query)}
    assert by_row == {(state, parent): spends_a_trial(parent, state) for state, parent in product(states, parents)}
    assert sum(by_row.values()) == 3
