"""Learning curves: made up, predicted, recorded."""

from __future__ import annotations

from math import isfinite, isnan

import numpy as np
import pytest

from bandstand.errors import InputError
from bandstand.problem.objective import Objective
from bandstand.simulation import open_source
from bandstand.simulation.learning_curves.analytic import AnalyticCurves
from bandstand.simulation.learning_curves.unit_cube import fraction_of
from bandstand_spaces import SEARCH_SPACES, Categorical, Float, Int, SearchSpace

MAXIMIZE = Objective(metric="val_accuracy", direction="maximize")
RATES = SearchSpace({"learning_rate": Float(1e-4, 1e-1, log=True)})


@pytest.fixture
def recorded(data_folder):
    """Opens recorded curves; skipped where they are not at hand."""

    def open_recorded(name):
        kind = name.partition(":")[0]
        if not (data_folder / "curves" / kind).is_dir():
            pytest.skip(f"BANDSTAND_DATA has no curves/{kind}")
        if kind == "lcbench":
            pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
        return open_source(name)

    return open_recorded


def values_of(curve, epochs, state=None):
    state = curve.start() if state is None else state
    values = []
    for epoch in range(1, epochs + 1):
        state, metrics, *_ = curve.advance(state, epoch)
        values.append(next(reversed(metrics.values())))
    return values, state


@pytest.mark.parametrize(
    ("parameter", "value", "fraction"),
    [
        (Float(0.0, 4.0), 1.0, 0.25),
        (Float(1e-4, 1e0, log=True), 1e-3, 0.25),
        (Int(1, 5), 2, 0.25),
        (Categorical(["a", "b"]), "b", 0.75),
    ],
)
def test_a_value_lies_in_its_range(parameter, value, fraction):
    assert fraction_of(parameter, value) == pytest.approx(fraction)


@pytest.mark.parametrize("space", SEARCH_SPACES.values(), ids=SEARCH_SPACES)
def test_made_up_curves_fit_any_space_and_most_of_them_learn(space):
    curves = AnalyticCurves(space, MAXIMIZE, 20, seed=5)
    rng = np.random.default_rng(0)
    found = [values_of(curves.open(space.sample(rng), seed), 20)[0] for seed in range(200)]
    finite = [values for values in found if isfinite(values[0])]
    assert len(finite) > 100
    assert all(0 <= value <= 1 for values in finite for value in values)
    assert sum(values[-1] > values[0] for values in finite) > 0.95 * len(finite)
    ranks = [np.argsort(np.argsort([values[epoch] for values in finite])) for epoch in (0, -1)]
    assert 0.2 < np.corrcoef(*ranks)[0, 1] < 0.98  # curves cross, but not at random


def test_a_made_up_curve_repeats_itself_and_another_seed_is_another_landscape():
    params = {"learning_rate": 1e-3}
    one, same, other = (AnalyticCurves(RATES, Objective(), 9, seed=seed).open(params, 7) for seed in (1, 1, 2))
    assert values_of(one, 9) == values_of(same, 9)
    assert values_of(one, 9) != values_of(other, 9)


def test_a_made_up_learning_rate_trades_speed_for_depth_and_can_be_too_large():
    curves = AnalyticCurves(RATES, Objective(), 2000, seed=1)
    fast, slow = curves.open({"learning_rate": 1e-2}, 0), curves.open({"learning_rate": 1e-3}, 0)
    fast_values, slow_values = values_of(fast, 2000)[0], values_of(slow, 2000)[0]
    assert np.mean(fast_values[:10]) < np.mean(slow_values[:10])
    assert np.mean(fast_values[-50:]) > np.mean(slow_values[-50:])
    assert isnan(values_of(curves.open({"learning_rate": 1e-1}, 0), 1)[0][0])


def test_a_child_with_a_smaller_rate_keeps_its_parents_progress():
    curves = AnalyticCurves(RATES, Objective(), 60, seed=1)
    fast, slow = curves.open({"learning_rate": 1e-2}, 0), curves.open({"learning_rate": 1e-3}, 0)
    _, state = values_of(fast, 40)
    for epoch in range(41, 61):
        state, metrics, *_ = slow.advance(state, epoch)
    assert metrics["val_loss"] < min(values_of(fast, 60)[0][-1], values_of(slow, 60)[0][-1])


def test_a_rate_that_is_set_for_an_epoch_counts_in_it_and_no_longer():
    curves = AnalyticCurves(RATES, Objective(), 60, seed=1)
    fast, slow = curves.open({"learning_rate": 1e-2}, 0), curves.open({"learning_rate": 1e-3}, 0)
    state = 0.0
    assert fast.advance(state, 1, 1e-3) == slow.advance(state, 1)
    assert fast.advance(state, 1) == fast.advance(state, 1, 1e-2) != slow.advance(state, 1)
    assert fast.advance(state, 1, 1e-6).metrics["val_loss"] > fast.advance(state, 1, 1e-3).metrics["val_loss"]


def test_a_training_that_diverged_in_an_epoch_does_not_recover():
    curve = AnalyticCurves(RATES, Objective(), 60, seed=1).open({"learning_rate": 1e-3}, 0)
    state, metrics, *_ = curve.advance(curve.start(), 1, 1.0)
    assert isnan(metrics["val_loss"])
    assert isnan(curve.advance(state, 2).metrics["val_loss"])


def test_a_rate_says_nothing_to_curves_without_a_learning_rate():
    curve = AnalyticCurves(SearchSpace({"units": Int(1, 9)}), Objective(), 9, seed=1).open({"units": 3}, 0)
    assert curve.advance(0.0, 1, 10.0) == curve.advance(0.0, 1)


def test_lcbench_predicts_accuracies_and_durations_of_52_epochs(recorded):
    source = recorded("lcbench:3945")
    assert source.setting.max_epochs == 52
    assert list(source.setting.space.parameters)[:2] == ["batch_size", "learning_rate"]
    params = {
        "batch_size": 64, "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.01, "num_layers": 3,
        "max_units": 256, "max_dropout": 0.2,
    }  # fmt: skip
    source.setting.space.check(params)
    curve = source.open(params, 0)
    _, metrics, seconds, *_ = curve.advance(curve.start(), 52)
    assert 0.5 < metrics["val_accuracy"] < 1.0
    assert seconds > 0
    many, durations = source.predict([params, params | {"num_layers": 1}])
    assert many.shape == durations.shape == (2, 52)
    assert many[0, 51] == pytest.approx(metrics["val_accuracy"], abs=1e-6)
    assert (durations > 0).all()
    assert source.open(dict(params), 9) is curve


def test_taskset_answers_a_recorded_setting_with_its_own_curve_without_the_untrained_point(recorded):
    source = recorded("taskset:imdb_patch32_IRNN64_relu_avg_bs128")
    assert (len(source.settings), source.losses.shape) == (1000, (1000, 50))
    assert [source.nearest(source.settings[index]) for index in (0, 17, 999)] == [0, 17, 999]
    curve = source.open(source.settings[0], 0)
    assert curve.advance(None, 1).metrics["val_loss"] == pytest.approx(0.69036117)


def test_taskset_keeps_divergence(recorded):
    source = recorded("taskset:imdb_patch32_IRNN64_relu_avg_bs128")
    diverged = np.isnan(source.losses)
    assert diverged[:, -1].mean() == pytest.approx(0.234)
    assert (diverged[:, 1:] | ~diverged[:, :-1]).all()  # what is NaN stays NaN
    curve = source.open(source.settings[int(diverged[:, -1].argmax())], 0)
    assert isnan(curve.advance(None, 50).metrics["val_loss"])


def test_a_point_that_a_sampler_draws_is_answered_by_a_recording(recorded):
    source = recorded("taskset:imdb_patch32_GRU64_avg_bs128")
    rng = np.random.default_rng(0)
    drawn = {source.nearest(source.setting.space.sample(rng)) for _ in range(1000)}
    assert len(drawn) > 400  # of 1,000; even shares would give 632


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("analytics", "curves must be one of analytic, lcbench, taskset; got 'analytics': did you mean analytic?"),
        ("lcbench", "curves lcbench need an OpenML task, such as lcbench:3945; got 'lcbench'"),
        ("analytic:3", "curves analytic take nothing after a colon; got 'analytic:3'"),
    ],
)
def test_curves_that_are_not_there_are_refused_in_one_line(name, message):
    with pytest.raises(InputError) as caught:
        open_source(name)
    assert str(caught.value) == message


def test_recorded_curves_say_where_they_are_looked_for(monkeypatch, tmp_path):
    monkeypatch.delenv("BANDSTAND_DATA", raising=False)
    with pytest.raises(InputError, match=r"^--curves taskset needs recorded curves, but BANDSTAND_DATA is not set: .*"):
        open_source("taskset:x")
    monkeypatch.setenv("BANDSTAND_DATA", str(tmp_path))
    with pytest.raises(InputError, match="which does not exist: set BANDSTAND_DATA to a folder that has"):
        open_source("lcbench:3945")


def test_an_unknown_task_is_answered_with_the_nearest(recorded):
    with pytest.raises(InputError, match=r"^curves lcbench have 3945, 7593, .*; got '3946': did you mean 3945\?$"):
        recorded("lcbench:3946")
