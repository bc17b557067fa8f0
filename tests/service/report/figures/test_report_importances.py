"""Importance: which trials are compared, what is left out, and when there is nothing to say."""

import logging

import numpy as np
import optuna
import pytest

from bandstand.report.figures.importances import comparable_values, draw, importances_data
from bandstand_spaces import Categorical, Float, SearchSpace

SPACE = SearchSpace(
    {
        "matters": Float(0.0, 1.0),
        "idle": Float(0.0, 1.0),
        "kind": Categorical(["a", "b"], branches={"a": {"only_a": Float(0.0, 1.0)}}),
    }
)


@pytest.fixture
def make_runs(run):
    """Trials whose value is ten times `matters`, whatever the other parameters are."""

    def make(count, epochs=1, state="complete"):
        rng = np.random.default_rng(0)
        runs = []
        for _ in range(count):
            params = SPACE.sample(rng)
            runs.append(
                run([10 * params["matters"] + 1 / epoch for epoch in range(1, epochs + 1)], state, "", "", params)
            )
        return runs

    return make


def test_the_parameter_that_makes_the_value_has_almost_all_of_the_importance(make_record, make_spec, make_runs):
    data = importances_data(make_record(make_runs(40), spec=make_spec(space=SPACE)))
    shares = dict(data.shares)
    assert data.shares[0][0] == "matters"
    assert shares["matters"] > 0.9
    assert sum(shares.values()) == pytest.approx(1)


def test_the_same_record_gives_the_same_shares(make_record, make_spec, make_runs):
    record = make_record(make_runs(20), spec=make_spec(space=SPACE))
    assert importances_data(record) == importances_data(record)


def test_a_parameter_that_only_some_trials_have_is_named_as_left_out(make_record, make_spec, make_runs):
    drawing = draw(make_record(make_runs(20), spec=make_spec(space=SPACE)))
    assert "The figure leaves out only_a (only with kind = a)." in drawing.caption


def test_completed_trials_are_compared_by_their_results(make_record, make_spec, make_runs):
    record = make_record(make_runs(12, epochs=2), spec=make_spec(space=SPACE))
    epoch, values = comparable_values(record)
    assert epoch is None
    assert values == dict(zip(record.trials["number"], record.trials["value"], strict=True))
    assert "from the values of 12 completed trials." in draw(record).caption


def test_where_most_were_pruned_all_are_compared_after_the_latest_epoch_that_half_of_them_reached(
    make_record, make_spec, make_runs
):
    runs = [*make_runs(4, epochs=9), *make_runs(10, epochs=3, state="pruned"), *make_runs(8, epochs=1, state="pruned")]
    record = make_record(runs, spec=make_spec(space=SPACE))
    epoch, values = comparable_values(record)
    assert (epoch, len(values)) == (3, 14)
    assert values[0] == runs[0].values[2]
    assert "from the values of 14 trials after epoch 3. Pruned trials are included" in draw(record).caption


def test_a_minority_of_completed_trials_is_not_compared_alone(make_record, make_spec, make_runs):
    runs = [*make_runs(9, epochs=9), *make_runs(30, epochs=1, state="pruned")]
    epoch, values = comparable_values(make_record(runs, spec=make_spec(space=SPACE)))
    assert (epoch, len(values)) == (1, 39)


def test_failed_trials_are_never_compared(make_record, make_spec, make_runs):
    record = make_record([*make_runs(10), *make_runs(9, state="failed")], spec=make_spec(space=SPACE))
    assert set(comparable_values(record)[1]) == set(range(10))


def test_too_few_trials_are_a_sentence_instead_of_a_figure(make_record, make_spec, make_runs):
    sentence = draw(make_record(make_runs(7), spec=make_spec(space=SPACE)))
    assert sentence == "Importance needs at least 8 trials with comparable values. So far 7 trials have one."


def test_equal_values_are_a_sentence_instead_of_a_figure(make_record, make_spec, make_runs):
    runs = [one._replace(values=[1.0]) for one in make_runs(9)]
    sentence = draw(make_record(runs, spec=make_spec(space=SPACE)))
    assert sentence == "All 9 trials have the same value, so no parameter made a difference."


def test_a_single_varied_parameter_is_a_sentence_instead_of_a_figure(make_record, make_spec, run):
    runs = [run([float(index)], params={"rate": index / 10}) for index in range(9)]
    sentence = draw(make_record(runs, spec=make_spec(space=SearchSpace({"rate": Float(0, 1)}))))
    assert sentence.startswith("Importance compares parameters, and fewer than two parameters vary")


def test_few_trials_come_with_a_warning(make_record, make_spec, make_runs):
    assert "only a hint" in draw(make_record(make_runs(10), spec=make_spec(space=SPACE))).caption
    assert "only a hint" not in draw(make_record(make_runs(40), spec=make_spec(space=SPACE))).caption


def test_the_terminal_stays_quiet_and_the_users_own_verbosity_is_restored(make_record, make_spec, make_runs, caplog):
    optuna.logging.set_verbosity(optuna.logging.INFO)
    logging.getLogger("optuna").addHandler(caplog.handler)
    try:
        importances_data(make_record(make_runs(9), spec=make_spec(space=SPACE)))
    finally:
        logging.getLogger("optuna").removeHandler(caplog.handler)
    assert caplog.records == []
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
