"""The way from fresh weights to a trial, on lineages small enough to write down."""

from bandstand.trials.events import Proposed
from bandstand.trials.lineage import lineage_of, parameter_table


def proposed(trial, rate, **changes):
    return Proposed(trial=trial, params={"rate": rate}, granted=9, **changes)


CHAIN = {
    0: proposed(0, 0.1),
    3: proposed(3, 0.2, parent=0, from_epoch=4, learning_rates=(0.02, 0.01)),
    7: proposed(7, 0.3, parent=3, from_epoch=6, weights="best"),
}


def spans(segments):
    return [(segment.trial, segment.first_epoch, segment.last_epoch) for segment in segments]


def test_a_trial_without_a_parent_is_its_own_lineage():
    assert spans(lineage_of(0, 3, CHAIN, {})) == [(0, 1, 3)]


def test_a_parent_counts_up_to_where_its_child_went_on():
    assert spans(lineage_of(3, 6, CHAIN, {})) == [(0, 1, 4), (3, 5, 6)]


def test_a_parent_whose_best_weights_were_taken_counts_up_to_its_best_epoch():
    assert spans(lineage_of(7, 8, CHAIN, {3: 5})) == [(0, 1, 4), (3, 5, 5), (7, 7, 8)]


def test_a_child_with_fresh_weights_has_no_ancestors():
    assert spans(lineage_of(1, 2, {1: proposed(1, 0.1, parent=0)}, {})) == [(1, 1, 2)]


def test_the_table_has_every_epoch_once_with_the_rate_that_was_set_or_else_measured():
    rows = parameter_table(lineage_of(3, 6, CHAIN, {}), {(0, 1): 0.1, (0, 2): 0.1, (0, 3): 0.05, (3, 5): 9.0})
    assert [(row["epoch"], row["trial"], row["learning_rate"], row["params_rate"]) for row in rows] == [
        (1, 0, 0.1, 0.1),
        (2, 0, 0.1, 0.1),
        (3, 0, 0.05, 0.1),
        (4, 0, None, 0.1),
        (5, 3, 0.02, 0.2),
        (6, 3, 0.01, 0.2),
    ]
