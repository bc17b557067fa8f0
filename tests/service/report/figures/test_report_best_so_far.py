"""The comparison with other studies: equal epochs, honest sentences, the table."""

import pytest

from bandstand.problem.budget import Budget
from bandstand.problem.objective import Objective
from bandstand.report.figures.best_so_far import best_so_far_data, comparison_table, draw


@pytest.fixture
def mine(make_record, make_spec, run):
    spec = make_spec(name="mine", budget=Budget(epochs=4))
    return make_record([run([5.0, 4.0]), run([3.0, 2.0])], spec=spec, test_metrics={"loss": 2.5})


@pytest.fixture
def make_baseline(make_record, make_spec, run):
    def make(*runs, **changes):
        spec = make_spec(**({"name": "baseline", "sampler": "random", "pruner": "none"} | changes))
        return make_record(list(runs) or [run([6.0, 5.0, 4.0, 1.0])], spec=spec)

    return make


def test_each_study_has_a_line_that_ends_at_its_best_value(mine, make_baseline):
    data = best_so_far_data(mine, [make_baseline()])
    assert [(line.name, line.strategy, line.best_value, line.epochs) for line in data.lines] == [
        ("mine", "umda + asha", 2.0, 4),
        ("baseline", "random", 1.0, 4),
    ]


def test_the_table_holds_value_test_metrics_trials_epochs_and_seconds(mine, make_baseline):
    table = comparison_table(best_so_far_data(mine, [make_baseline()]))
    assert table.header == ("Study", "Strategy", "Best val_loss", "Test loss", "Trials", "Epochs", "Training time")
    assert table.rows == (
        ("mine", "umda + asha", "2.000", "2.500", "2", "4", "8 s"),
        ("baseline", "random", "1.000", "–", "1", "4", "8 s"),
    )


def test_studies_are_compared_after_as_many_epochs_as_all_of_them_trained(mine, make_baseline, run):
    longer = make_baseline(run([6.0, 5.0, 4.0, 3.0, 0.1]))
    caption = draw(mine, [longer]).caption
    assert (
        "After 4 epochs, which all studies trained, mine had reached 2.000, baseline 3.000 (1 worse, 50 %)." in caption
    )
    assert "The studies trained different numbers of epochs" in caption


def test_the_caption_says_that_one_run_proves_nothing(mine, make_baseline):
    caption = draw(mine, [make_baseline()]).caption
    assert "One run of each strategy cannot show which strategy is better in general" in caption
    assert "baseline 1.000 (1 better, 50 %)" in caption


def test_better_is_larger_where_the_objective_says_so(make_record, make_spec, run):
    spec = make_spec(objective=Objective(metric="val_accuracy", direction="maximize"))
    caption = draw(make_record([run([0.5])], spec=spec), [make_record([run([0.75])], spec=spec)]).caption
    assert "0.7500 (0.25 better, 50 %)" in caption
    assert caption.startswith("Each line is the best value so far of one study (higher is better).")


def test_a_study_with_another_objective_is_left_out_by_name(mine, make_baseline):
    other = make_baseline(name="accuracy", objective=Objective(metric="val_accuracy", direction="maximize"))
    data = best_so_far_data(mine, [make_baseline(), other])
    assert [line.name for line in data.lines] == ["mine", "baseline"]
    assert data.left_out == ("accuracy is left out because its objective is val_accuracy (maximize).",)
    assert draw(mine, [other]) == "There is no study to compare with. " + data.left_out[0]


def test_other_differences_than_the_strategy_are_said(mine, make_baseline):
    caption = draw(mine, [make_baseline(max_epochs=18, batch_size=64)]).caption
    assert "baseline differs from this study also in max_epochs and batch_size" in caption
    assert "so the strategy alone does not" not in draw(mine, [make_baseline()]).caption


def test_without_another_study_or_without_a_value_there_is_a_sentence(mine, make_record, make_baseline):
    assert draw(mine, []).startswith("There is no other study to compare with")
    assert draw(make_record([]), [mine]) == "This study has no value yet, so there is nothing to compare."
    valueless = make_record([], spec=make_baseline().spec)
    assert "baseline is left out because it has no value yet." in draw(mine, [valueless])
