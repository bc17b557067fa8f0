"""The fingerprint of a study's data: the same for the same data, another for any other."""

import numpy as np
import pytest

from bandstand_workers.training.data import summary
from bandstand_workers.training.data.summary import describe_data

X, Y = np.arange(60, dtype=np.float32).reshape(20, 3), np.arange(20) % 2


def data_with(x=X, y=Y, **splits):
    return {"train": (x, y), "validation": (x[:5], y[:5])} | splits


def test_it_counts_the_examples_of_each_split():
    assert describe_data(data_with(test=(X[:4], Y[:4])))["examples"] == "test 4, train 20, validation 5"


def test_the_same_data_have_the_same_fingerprint_however_they_lie_in_memory():
    other = data_with(np.asfortranarray(X).copy(order="F"))
    assert describe_data(other) == describe_data(data_with())


@pytest.mark.parametrize(
    "changed",
    [
        data_with(np.where(X == 31, 32, X).astype(np.float32)),
        data_with(y=Y[::-1]),
        data_with(X.astype(np.float64)),
        data_with(X.reshape(20, 3, 1)),
        data_with(test=(X, Y)),
        data_with(train=(X, Y, np.ones(20, np.float32))),
    ],
    ids=["one value", "labels", "type", "shape", "another split", "weights"],
)
def test_other_data_have_another_fingerprint(changed):
    assert describe_data(changed)["data"] != describe_data(data_with())["data"]


def test_of_large_arrays_evenly_spaced_blocks_are_read_the_ends_among_them(monkeypatch):
    monkeypatch.setattr(summary, "_WHOLE", 1000)
    monkeypatch.setattr(summary, "_BLOCK", 8)
    monkeypatch.setattr(summary, "_BLOCKS", 50)
    large = np.zeros(100_000, np.uint8)
    same = describe_data(data_with(large, large))
    for place in (0, -1):
        changed = large.copy()
        changed[place] = 1
        assert describe_data(data_with(changed, large)) != same
    assert describe_data(data_with(large.copy(), large)) == same


def test_words_and_nested_inputs_have_one_too():
    words = np.array(["a", "b", None], dtype=object)
    first, second = ({"train": ({"text": words, "x": X[:3]}, Y[:3])} for _ in range(2))
    assert describe_data(first) == describe_data(second)
    second["train"] = ({"text": words[::-1], "x": X[:3]}, Y[:3])
    assert describe_data(first) != describe_data(second)
