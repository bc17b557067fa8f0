"""Where the time went: seconds add up to the study's, by state, by stretch and by bracket."""

import math

import pytest

from bandstand.report.figures.time_spent import MAX_BRACKETS, draw, time_spent_data

ASHA = {"pruner": "asha", "pruner_options": {"min_epochs": 1}}


@pytest.fixture
def record(make_record, make_spec, run):
    """Epochs of 2 s each: one trial to the end, one to the first rung, one failed."""
    runs = [
        run([3.0] * 9, bracket=0),
        run([4.0], "pruned", "rung 1", bracket=0),
        run([5.0, math.nan], "failed", "diverged", bracket=1),
    ]
    return make_record(runs, spec=make_spec(**ASHA))


def test_seconds_and_epochs_are_shared_out_by_state(record):
    states = {share.name: (share.trials, share.epochs, share.seconds) for share in time_spent_data(record).states}
    assert states == {"complete": (1, 9, 18.0), "pruned": (1, 1, 2.0), "failed": (1, 2, 4.0)}


def test_stretches_lie_between_the_rungs(record):
    shares = {share.name: (share.trials, share.epochs, share.seconds) for share in time_spent_data(record).stretches}
    assert shares == {"epoch 1": (3, 3, 6.0), "epochs 2 to 3": (2, 3, 6.0), "epochs 4 to 9": (1, 6, 12.0)}


def test_brackets_are_told_apart_where_there_are_several(record, make_record, run):
    assert [(share.name, share.seconds) for share in time_spent_data(record).brackets] == [
        ("bracket 0", 20.0),
        ("bracket 1", 4.0),
    ]
    assert time_spent_data(make_record([run([1.0])])).brackets == ()


def test_the_brackets_of_a_population_are_its_members(make_record, make_spec, run):
    spec = make_spec(sampler="pbt", pruner="", sampler_options={"population": 4, "interval": 3})
    data = time_spent_data(make_record([run([1.0], bracket=0), run([1.0], bracket=1)], spec=spec))
    assert [share.name for share in data.brackets] == ["member 0", "member 1"]


def test_many_brackets_end_in_a_sum(make_record, run):
    data = time_spent_data(make_record([run([1.0] * (number % 3 + 1), bracket=number) for number in range(40)]))
    assert len(data.brackets) == MAX_BRACKETS
    assert sum(share.seconds for share in data.brackets) == data.seconds
    assert data.brackets[-1].name == f"{41 - MAX_BRACKETS} other brackets"


def test_epochs_without_a_duration_are_counted_and_said(record):
    record.measurements.loc[0, "seconds"] = None
    data = time_spent_data(record)
    assert (data.unknown, data.seconds) == (1, 22.0)
    assert "The durations of 1 epoch are not known" in draw(record).caption


def test_the_table_has_the_shares_of_all_parts(record):
    rows = {row[0]: row[1:] for row in draw(record).table.rows}
    assert rows["complete trials"] == ("1", "9", "18 s", "75%")
    assert rows["bracket 1"] == ("1", "2", "4 s", "17%")


def test_nothing_trained_or_timed_is_a_sentence(make_record, run):
    assert draw(make_record([])) == "No epoch has been trained yet, so there is no time to show."
    record = make_record([run([1.0])])
    record.measurements["seconds"] = math.nan
    assert draw(record) == "The durations of the epochs were not measured."
