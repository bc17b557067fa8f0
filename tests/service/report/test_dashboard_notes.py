"""What a report leaves in an Optuna study for the dashboard's readers."""

import json
import uuid

import optuna
import plotly.graph_objects as go
import pytest
from optuna_dashboard import get_note, save_note
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

from bandstand.optuna_dashboard.dashboard_notes import LARGEST, DashboardNotes
from bandstand.report.drawing.drawing import Drawing
from bandstand.store.optuna_mirror import open_storage
from bandstand.trials.history import History
from tests.service.comparison.conftest import spec_of


@pytest.fixture
def study(store):
    spec = spec_of(name=f"noted-{uuid.uuid4().hex[:8]}")
    store.claim(spec, "test").close()
    return spec


def optuna_study(store, spec):
    return optuna.load_study(study_name=spec.name, storage=open_storage(store.database.url))


def plots_of(store, spec):
    storage = open_storage(store.database.url)
    return get_plotly_graph_objects(storage.get_study_system_attrs(storage.get_study_id_from_name(spec.name)))


def test_the_answer_is_the_studys_note_and_nothing_in_it_is_markup(store, study):
    DashboardNotes(store.database.url).put(study.name, ["Trial 3 is the best: *val_loss* <b>0.1</b>."])
    note = get_note(optuna_study(store, study))
    assert note.startswith(r"Trial 3 is the best: \*val\_loss\* \<b\>0.1\</b\>.")
    DashboardNotes(store.database.url).put(study.name, ["Later."])
    assert get_note(optuna_study(store, study)).startswith("Later.\n")


def test_a_note_of_somebody_elses_stays(store, study):
    save_note(optuna_study(store, study), "Do not stop this one!")
    DashboardNotes(store.database.url).put(study.name, ["Trial 3 is the best."])
    assert get_note(optuna_study(store, study)) == "Do not stop this one!"


def test_small_figures_are_among_the_plots_and_large_ones_are_not(store, study):
    small = Drawing(go.Figure(go.Scatter(y=[1, 2, 3])), "")
    large = Drawing(go.Figure(go.Scatter(text=["x" * LARGEST])), "")
    assert DashboardNotes(store.database.url).put(study.name, [], {"history": small, "slices": large}) == ["history"]
    plots = plots_of(store, study)
    assert list(plots) == ["bandstand-history"]
    assert go.Figure(json.loads(plots["bandstand-history"])) == small.figure


def test_a_study_that_is_no_longer_in_optunas_tables_is_no_error(store):
    assert DashboardNotes(store.database.url).put("none", ["Trial 3 is the best."], {}) == []


def test_the_study_is_taken_up_again_afterwards(store, study):
    DashboardNotes(store.database.url).put(study.name, ["Trial 3 is the best."], {"history": Drawing(go.Figure(), "")})
    writer = store.claim(study, "test")
    writer.catch_up_mirror(History(study))
    writer.close()
    assert "Trial 3 is the best." in get_note(optuna_study(store, study))
