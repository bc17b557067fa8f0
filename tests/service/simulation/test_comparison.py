"""Strategies side by side: what is computed for tables and figures, on numbers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bandstand.simulation import VirtualCluster, compare
from bandstand.simulation.report.best_so_far import band_data
from bandstand.simulation.report.shares import end_data, worker_time_data
from bandstand.simulation.report.summary import answer_from, json_from, make_rows, rung_table
from bandstand.study.strategy_choices import strategies_from


@pytest.fixture
def comparison(spec_with, hand_curves):
    """Two strategies on the hand-made curves of two trials: without and with a rung at epoch 1."""
    source = SimpleNamespace(
        name="by hand", setting=None, curves=lambda *_: hand_curves([0.5, 0.4, 0.3, 0.25], [0.8, 0.7, 0.6, 0.5])
    )
    spec = spec_with(budget={"trials": 2})
    strategies = strategies_from(["random,random+asha:min_epochs=1:reduction_factor=4"])
    return compare(spec, source, VirtualCluster(workers=1), strategies, repeats=2)


def test_a_row_has_the_medians_of_a_strategy(comparison):
    plain, asha = make_rows(comparison)
    assert (plain.best, plain.trials, plain.complete, plain.epochs, plain.seconds) == (0.25, 2, 2, 8, 80.0)
    assert (asha.best, asha.pruned, asha.epochs, asha.seconds, asha.idle_share) == (0.25, 1, 5, 50.0, 0.0)
    assert (plain.firsts, asha.firsts) == (1.0, 1.0)  # two repeats, each shared


def test_the_rungs_say_how_many_trials_got_how_far_and_what_that_cost(comparison):
    header, rows = rung_table(comparison)
    assert header == ("strategy", "epoch 1", "epoch 4")
    assert rows[0][1:] == ("–", "2 (100%)")
    assert rows[1][1:] == ("2 (40%)", "1 (60%)")


def test_a_trial_that_goes_on_from_another_counts_in_the_epochs_that_it_trained_itself(spec_with, hand_curves):
    source = SimpleNamespace(name="by hand", setting=None, curves=lambda *_: hand_curves(*[[0.5, 0.4, 0.3, 0.2]] * 9))
    spec = spec_with(budget={"trials": 1})
    strategies = strategies_from(["lr-restarts:cycle_epochs=2:cycles=2"])
    found = compare(spec, source, VirtualCluster(workers=1), strategies, repeats=1)
    assert [result.trial_epochs for result in found.entries[0].results] == [(2, 2)]
    assert rung_table(found)[1][0][1:] == ("1 (50%)", "1 (50%)")
    assert json_from(found)["strategies"][0]["rungs"] == [
        {"epoch": 2, "trials": 1, "share": 0.5},
        {"epoch": 4, "trials": 1, "share": 0.5},
    ]


def test_every_repeat_has_a_seed_of_its_own_that_strategies_share(comparison):
    assert [[o.spec.seed for o in entry.results] for entry in comparison.entries] == [[0, 1], [0, 1]]


def test_the_best_so_far_is_drawn_against_epochs_and_time(comparison):
    by_epochs = band_data(comparison, "epochs").bands[0]
    assert by_epochs.x[0] == pytest.approx(1.0, abs=8 / 240)
    assert (by_epochs.x[-1], by_epochs.middle[0], by_epochs.middle[-1]) == (8.0, 0.5, 0.25)
    by_time = band_data(comparison, "seconds")
    assert by_time.axis == "simulated time (s)"
    assert by_time.bands[1].x[-1] == 50.0
    assert by_time.bands[1].low == by_time.bands[1].high


def test_shares_add_up_to_one(comparison):
    for data in (worker_time_data(comparison), end_data(comparison)):
        assert [sum(column) for column in zip(*data.shares.values(), strict=True)] == pytest.approx([1.0, 1.0])
    assert end_data(comparison).shares == {"complete (max_epochs)": (1.0, 0.5), "pruned": (0.0, 0.5)}


def test_few_repeats_are_not_called_a_proof(comparison):
    assert answer_from(comparison).endswith("This is too few to call it better; increase --repeats to find out.")
