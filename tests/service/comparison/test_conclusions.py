"""What is concluded from constructed results."""

import dataclasses
import math

import pytest

from bandstand.comparison.conclusions import judge
from bandstand.comparison.summary import (
    answer_from,
    arms_table,
    baseline_table,
    disagreement_sentence,
    grid_sentences,
    speed_up_text,
    state_sentences,
)
from bandstand.problem.budget import Budget


def curve_to(value):
    return [value - 0.3, value - 0.2, value - 0.1, value]


def ends(*values):
    return [curve_to(value) for value in values]


@pytest.fixture
def clear(make_results_of):
    """tpe+asha is better than both others in each of twelve repeats."""
    spread = [0.001 * repeat for repeat in range(12)]
    return make_results_of(
        {
            "tpe+asha": ends(*(0.9 + each for each in spread)),
            "random": ends(*(0.8 + each * 1.1 for each in spread)),
            "grid": ends(*(0.7 + each * 0.9 for each in spread)),
        }
    )


def test_a_winner_is_named_where_it_is_better_than_each_other_arm(clear):
    conclusions = judge(clear)
    assert (conclusions.leader, conclusions.winner, conclusions.measure) == ("tpe+asha", "tpe+asha", "test")
    first, second, _ = answer_from(clear, conclusions)
    assert first.startswith("tpe+asha is the best: accuracy 0.8955 on the test data (mean of 12 repeats), 0.099 better")
    assert second == "It is significantly better than each of the others (p < .05, corrected for all pairs)."


def test_five_repeats_show_nothing_however_large_the_difference(make_results_of):
    values = [0.9, 0.91, 0.92, 0.93, 0.94]
    results = make_results_of(
        {
            "tpe+asha": ends(*values),
            "random": ends(*(v - 0.5 for v in values)),
            "grid": ends(*(v - 0.6 for v in values)),
        }
    )
    conclusions = judge(results)
    assert (conclusions.leader, conclusions.winner) == ("tpe+asha", None)
    assert answer_from(results, conclusions)[0].startswith("tpe+asha has the best average")
    assert "With 5 repeats of 3 strategies, no difference can be shown" in answer_from(results, conclusions)[1]
    assert "it takes at least 7 repeats" in answer_from(results, conclusions)[1]


def test_who_is_better_by_chance_alone_is_no_winner(make_results_of):
    results = make_results_of(
        {
            "tpe+asha": ends(*(0.9 + 0.01 * (repeat % 3) for repeat in range(12))),
            "random": ends(*(0.9 + 0.01 * ((repeat + 1) % 3) for repeat in range(12))),
            "grid": ends(*(0.5 + 0.01 * (repeat % 3) for repeat in range(12))),
        }
    )
    conclusions = judge(results)
    assert conclusions.winner is None
    sentence = answer_from(results, conclusions)[1]
    assert sentence.startswith("It is significantly better than grid. No difference to ")


def test_smaller_is_better_where_the_objective_says_so(make_results_of):
    from bandstand.problem.objective import Objective

    values = [0.2 + 0.001 * repeat for repeat in range(12)]
    results = make_results_of(
        {
            "tpe+asha": [[v + 0.2, v + 0.1, v, v] for v in values],
            "random": [[v + 0.9, v + 0.8, v + 0.7, v + 0.5] for v in values],
            "grid": [[v + 0.9, v + 0.8, v + 0.7, v + 0.6] for v in values],
        },
        test=False,
        objective=Objective(metric="val_loss", direction="minimize"),
    )
    conclusions = judge(results)
    assert (conclusions.winner, conclusions.measure) == ("tpe+asha", "validation")
    over_random = dict(conclusions.against)["random"][0]
    assert over_random.found.difference.mean == pytest.approx(0.5)
    assert over_random.speed_up.ratio == pytest.approx(4 / 1)


def test_the_speed_up_compares_with_the_epoch_in_which_the_baseline_got_there(make_results_of):
    results = make_results_of(
        {"tpe+asha": [[0.1, 0.7, 0.7, 0.7]], "random": [[0.1, 0.2, 0.6, 0.5]], "grid": [[0.1, 0.9, 0.9, 0.9]]}
    )
    versus = {(one.arm, base): one.speed_up for base, family in judge(results).against for one in family}
    assert versus["tpe+asha", "random"].ratio == pytest.approx(3 / 2)
    assert versus["tpe+asha", "grid"].ratio is None
    assert speed_up_text(versus["tpe+asha", "grid"]) == "not reached"
    assert speed_up_text(versus["tpe+asha", "random"]) == "1.5×"


def test_the_gap_is_what_validation_flatters(clear):
    (arm, *_) = judge(clear).arms
    assert arm.gap.mean == pytest.approx(0.01)


def test_differences_are_of_the_same_repeat(make_results_of):
    results = make_results_of(
        {
            "tpe+asha": ends(0.5, 0.6, 0.7),
            "random": [curve_to(0.4), None, curve_to(0.6)],
            "grid": ends(0.5, 0.5, 0.5),
        }
    )
    found = dict(judge(results).against)["random"][0].found
    assert found.pairs == 2
    assert found.differences == pytest.approx((0.1, 0.1))


def test_a_failed_study_counts_for_nothing_and_is_named(make_results_of):
    results = make_results_of(
        {"tpe+asha": ends(0.9, 0.9), "random": ends(0.8, 0.8), "grid": ends(0.7, 0.7)},
        states={("tpe+asha", 1): "failed"},
    )
    arm = judge(results).arms[0]
    assert (arm.runs, arm.failed, arm.missing) == (1, 1, 0)
    assert any("1 study of tpe+asha failed" in sentence for sentence in state_sentences(results))
    assert any(row[0] == "tpe+asha" and "1, 1 failed" in row for row in arms_table(results, judge(results)).rows)


def test_an_arm_that_only_failed_has_a_row_and_no_numbers(make_results_of):
    results = make_results_of(
        {"tpe+asha": ends(0.9), "random": ends(0.8), "grid": ends(0.7)}, states={("tpe+asha", 0): "failed"}
    )
    conclusions = judge(results)
    assert conclusions.leader == "random"
    assert arms_table(results, conclusions).rows[-1][:2] == ("tpe+asha", "failed")


def test_a_comparison_under_way_says_so(make_results_of):
    results = make_results_of(
        {"tpe+asha": [curve_to(0.9), None], "random": [curve_to(0.8), None], "grid": [None, None]}
    )
    assert not results.is_complete
    assert state_sentences(results)[0].startswith("4 of 6 studies have not ended")
    assert answer_from(results, judge(results))[0].startswith("tpe+asha has the best average")


def test_nothing_finished_is_a_sentence(make_results_of):
    results = make_results_of({"tpe+asha": [None], "random": [None], "grid": [None]})
    assert answer_from(results, judge(results)) == ["No study of this comparison has finished with a value yet."]


def test_values_that_are_not_finite_are_no_results(make_results_of):
    results = make_results_of(
        {"tpe+asha": [[math.nan, math.inf, math.nan, math.nan]], "random": ends(0.8), "grid": ends(0.7)}
    )
    assert judge(results).leader == "random"
    assert judge(results).arms[0].runs == 0


def test_tables_have_a_cell_for_each_column(clear):
    conclusions = judge(clear)
    tables = [arms_table(clear, conclusions), *(baseline_table(family, "test") for _, family in conclusions.against)]
    for table in tables:
        assert {len(row) for row in table.rows} == {len(table.header)}


def test_repeats_that_chose_far_apart_are_pointed_out(make_results_of):
    results = make_results_of({"tpe+asha": ends(0.9, 0.8, 0.85), "random": ends(0.8), "grid": ends(0.7)})
    arm = results.arm("tpe+asha")
    assert disagreement_sentence(results, "tpe+asha") == ""

    def with_params(*params):
        runs = tuple(run._replace(best_params=own) for run, own in zip(arm.studies, params, strict=True))
        arms = tuple(dataclasses.replace(each, studies=runs) if each is arm else each for each in results.arms)
        return dataclasses.replace(results, arms=arms)

    near = with_params(*({"learning_rate": rate, "units": 64} for rate in (1e-3, 2e-3, 4e-3)))
    assert disagreement_sentence(near, "tpe+asha") == ""
    far = with_params(*({"learning_rate": rate, "units": 64} for rate in (1e-4, 2e-3, 4e-2)))
    start = "The repeats chose different values of learning_rate (0.0001 to 0.04)."
    assert disagreement_sentence(far, "tpe+asha").startswith(start)


def test_data_that_changed_between_studies_are_pointed_out(make_results_of):
    results = make_results_of({"tpe+asha": ends(0.9), "random": ends(0.8), "grid": ends(0.7)})
    records = dict(results.records)
    assert not any("fingerprints" in sentence for sentence in state_sentences(results))
    from bandstand.comparison.results import make_results

    for index, name in enumerate(records):
        records[name] = dataclasses.replace(records[name], environment={"data": f"print {index % 2}"})
    changed = make_results(results.plan, records)
    assert any("2 different fingerprints" in sentence for sentence in state_sentences(changed))


def test_repeats_with_data_of_their_own_are_told_apart_from_arms_with_other_data(make_results_of):
    results = make_results_of({"tpe+asha": ends(0.9, 0.8), "random": ends(0.8, 0.7), "grid": ends(0.7, 0.6)})
    from bandstand.comparison.results import make_results

    repeats = {planned.spec.name: planned.repeat for planned in results.plan.studies()}
    records = {
        name: dataclasses.replace(record, environment={"data": f"print {repeats[name]}"})
        for name, record in results.records.items()
    }
    (sentence,) = [each for each in state_sentences(make_results(results.plan, records)) if "data" in each]
    assert sentence.startswith("Each repeat has its own data, drawn with its seed, and all strategies of a repeat have")


@pytest.mark.parametrize(
    ("budget", "end"),
    [
        (
            {"epochs": 4},
            "(values per parameter: learning_rate 1, units 1). This is the finest grid that the budget can train in "
            "full.",
        ),
        ({"epochs": 3}, "The budget can train none of them in full."),
        ({"wall_seconds": 60}, "The budget trained 1 of them."),
    ],
)
def test_a_grid_is_called_trained_in_full_only_where_the_budget_allows(make_results_of, budget, end):
    arms = {"tpe+asha": [[0.9]], "random": [[0.8]], "grid": [[0.7]]}
    (sentence,) = grid_sentences(make_results_of(arms, budget=Budget(**budget)))
    assert end in sentence
