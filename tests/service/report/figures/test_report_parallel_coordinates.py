"""Parallel coordinates: places on the rows, parameters that are not active, trials that are left out."""

import pytest

from bandstand.problem.objective import Objective
from bandstand.report.figures.parallel_coordinates import INACTIVE, draw, parallel_data
from bandstand.report.records.params import params_by_trial
from bandstand_spaces import Categorical, Float, Int, SearchSpace

SGD = {"learning_rate": 0.1, "optimizer": "sgd", "momentum": 0.45}
ADAM = {"learning_rate": 0.0001, "optimizer": "adam"}


def test_a_logarithmic_parameter_has_places_by_its_logarithm_and_ticks_at_powers_of_ten(make_record, run):
    middle = {"learning_rate": 10**-2.5, "optimizer": "adam"}
    data = parallel_data(make_record([run([1.0], params=SGD), run([2.0], params=ADAM), run([3.0], params=middle)]))
    assert [line.places[1] for line in data.lines] == pytest.approx([1.0, 0.0, 0.5])
    ticks = data.axes[1].ticks
    assert [text for _, text in ticks] == ["0.0001", "0.001", "0.01", "0.1"]
    assert [place for place, _ in ticks] == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_a_choice_has_its_label_and_its_trials_stay_in_its_cell(make_record, run):
    data = parallel_data(make_record([run([1.0], params=SGD)] * 20 + [run([2.0], params=ADAM)] * 20))
    assert data.axes[2].ticks == ((0.25, "sgd"), (0.75, "adam"))
    places = [line.places[2] for line in data.lines]
    assert all(0 < place < 0.5 for place in places[:20])
    assert all(0.5 < place < 1 for place in places[20:])


def test_a_parameter_that_is_not_active_has_a_place_of_its_own_outside_the_scale(make_record, run):
    record = make_record([run([1.0], params=SGD), run([2.0], params=ADAM)])
    data, drawing = parallel_data(record), draw(record)
    assert [line.places[3] for line in data.lines] == [pytest.approx(0.5), None]
    assert [axis.conditional for axis in data.axes] == [False, False, False, True]
    other = next(trace for trace in drawing.figure.data if not trace.name.startswith("best trial"))
    assert INACTIVE in other.x
    assert "momentum not active" in " ".join(other.text)
    assert "not active" in [note.text for note in drawing.figure.layout.annotations]


def test_failed_trials_are_left_out_and_counted(make_record, run):
    drawing = draw(make_record([run([1.0]), run([2.0]), run([5.0], "failed", "diverged")]))
    assert parallel_data(make_record([run([1.0]), run([2.0]), run([5.0], "failed")])).trials == 2
    assert "The figure leaves out 1 failed trial." in drawing.caption


def test_pruned_trials_are_shown_and_said_to_be_short(make_record, run):
    assert "1 of the 2 trials shown were pruned" in draw(make_record([run([1.0]), run([2.0], "pruned")])).caption


def test_the_best_trial_is_the_chosen_one_even_where_another_value_is_better(make_record, make_spec, run):
    spec = make_spec(objective=Objective(epoch="last"))
    data = parallel_data(make_record([run([1.0], "pruned"), run([2.0])], spec=spec))
    assert data.has_best
    assert data.lines[0].trial == 1


def test_integers_of_a_parameter_that_is_not_always_there_are_integers_again(make_record, make_spec, run):
    depth = {"deep": {"layers": Int(1, 4)}}
    spec = make_spec(space=SearchSpace({"kind": Categorical(["deep", "flat"], branches=depth), "rate": Float(0, 1)}))
    runs = [
        run([1.0], params={"kind": "deep", "layers": 3, "rate": 0.5}),
        run([2.0], params={"kind": "flat", "rate": 1}),
    ]
    record = make_record(runs, spec=spec)
    data = parallel_data(record)
    assert [type(value) for value in params_by_trial(record)[0].values()] == [str, int, float]
    assert list(params_by_trial(record)[1]) == ["kind", "rate"]
    assert data.lines[0].texts[2] == "trial 0 (1.000): layers 3"
    assert [text for _, text in data.axes[2].ticks] == ["1", "2", "3", "4"]


def test_one_trial_is_a_sentence_instead_of_a_figure(make_record, run):
    sentence = draw(make_record([run([1.0]), run([2.0], "running", "")], state="running"))
    assert sentence == "This figure needs two ended trials with a value, and so far there are 1."


def test_a_large_study_is_sampled_and_says_so(make_synthetic):
    drawing = draw(make_synthetic(trials=600, max_epochs=2, prune=False, failures=False))
    assert "The figure shows 200 of 600 trials: the 50 best ones, and the others" in drawing.caption
