"""Slices: which panels there are, where dots stand, what the medians span."""

import pytest

from bandstand.report.figures.slices import MAX_POINTS, draw, slices_data
from bandstand_spaces import Categorical, Float, SearchSpace

SPACE = SearchSpace(
    {
        "rate": Float(0.01, 1.0, log=True),
        "optimizer": Categorical(["sgd", "adam"], branches={"sgd": {"momentum": Float(0.0, 1.0)}}),
    }
)


@pytest.fixture
def record(make_record, make_spec, run):
    """Eight completed trials: four by sgd, which are worse."""
    runs = [
        run([2.0 + i], params={"rate": 0.1, "optimizer": "sgd", "momentum": 0.25 * i}) if i < 4
        else run([1.0], params={"rate": 0.01 * 10 ** (i - 5) if i in (5, 6) else 0.1, "optimizer": "adam"})
        for i in range(8)
    ]  # fmt: skip
    return make_record(runs, spec=make_spec(space=SPACE))


def test_there_is_a_panel_for_each_parameter_with_the_trials_that_have_it(record):
    panels = {panel.name: panel for panel in slices_data(record).panels}
    assert list(panels) == ["rate", "optimizer", "momentum"]
    assert [len(panel.points) for panel in panels.values()] == [8, 8, 4]
    assert [point.place for point in panels["momentum"].points] == [0.0, 0.25, 0.5, 0.75]


def test_a_logarithmic_parameter_stands_on_a_logarithmic_axis(record):
    rate = slices_data(record).panels[0]
    assert rate.points[5].place == 0.0
    assert rate.points[6].place == pytest.approx(0.5)


def test_medians_are_those_of_each_choice(record):
    optimizer = slices_data(record).panels[1]
    assert [median for _, _, median in optimizer.medians] == [3.5, 1.0]
    assert all(low < high for low, high, _ in optimizer.medians)


def test_few_trials_on_a_scale_have_no_medians(record):
    assert slices_data(record).panels[2].medians == ()


def test_bins_of_a_scale_hold_equally_many_trials(make_record, make_spec, run):
    runs = [run([float(i)], params={"rate": 10 ** (-2 + i / 12), "optimizer": "adam"}) for i in range(24)]
    rate = slices_data(make_record(runs, spec=make_spec(space=SPACE))).panels[0]
    assert [median for _, _, median in rate.medians] == [1.5, 5.5, 9.5, 13.5, 17.5, 21.5]


def test_a_parameter_that_never_varied_has_no_panel_and_none_at_all_is_a_sentence(make_record, make_spec, run):
    same = [run([1.0], params={"rate": 0.1, "optimizer": "adam"})] * 3
    assert draw(make_record(same, spec=make_spec(space=SPACE))) == (
        "All trials have the same params, so there is no effect to show."
    )


def test_one_trial_is_a_sentence(make_record, run):
    assert "So far there is one." in draw(make_record([run([1.0])]))
    assert "So far there are none." in draw(make_record([]))


def test_a_large_study_is_sampled_and_says_so(make_synthetic):
    record = make_synthetic(trials=MAX_POINTS + 100, max_epochs=2, prune=False, failures=False)
    data = slices_data(record)
    assert data.shown == MAX_POINTS
    assert record.best.number in {point.trial for point in data.panels[0].points}
    assert f"The figure shows {MAX_POINTS} of {MAX_POINTS + 100} trials" in draw(record).caption


def test_the_star_is_the_best_trial_in_every_panel_that_has_it(record):
    figure = draw(record).figure
    stars = [trace for trace in figure.data if trace.mode == "markers" and trace.marker.symbol == "star"]
    assert [star.xaxis for star in stars] == ["x", "x2"]  # adam has no momentum
