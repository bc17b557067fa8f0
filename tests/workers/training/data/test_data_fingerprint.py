"""The fingerprint of a study's data: the same for the same data, another for any other, near for rounding alone."""

import numpy as np
import pytest

from bandstand.trials.data_fingerprint import describe_print, difference_between
from bandstand_workers.training.data import fingerprint as module
from bandstand_workers.training.data.fingerprint import fingerprint

X, Y = np.arange(60, dtype=np.float32).reshape(20, 3), np.arange(20) % 2


def data_with(x=X, y=Y, **splits):
    return {"train": (x, y), "validation": (x[:5], y[:5])} | splits


def difference(first, second):
    return difference_between(fingerprint(first), fingerprint(second))


def test_it_counts_the_examples_of_each_split():
    described = describe_print(fingerprint(data_with(test=(X[:4], Y[:4]))))
    assert described["examples"] == "test 4, train 20, validation 5"


def test_the_same_data_have_the_same_fingerprint_however_they_lie_in_memory():
    other = data_with(np.asfortranarray(X).copy(order="F"))
    assert fingerprint(other) == fingerprint(data_with())


@pytest.mark.parametrize(
    ("changed", "splits"),
    [
        (data_with(np.where(X == 31, 32, X).astype(np.float32)), ("train",)),
        (data_with(y=Y[::-1]), ("train", "validation")),
        (data_with(X.astype(np.float64)), ("train", "validation")),
        (data_with(X.reshape(20, 3, 1)), ("train", "validation")),
        (data_with(test=(X, Y)), ("test",)),
        (data_with(train=(X, Y, np.ones(20, np.float32))), ("train",)),
        (data_with(X[np.r_[1, 0, 2:20]], np.r_[Y[1], Y[0], Y[2:]]), ("train", "validation")),
    ],
    ids=["one value", "labels", "type", "shape", "another split", "weights", "two rows in another order"],
)
def test_other_data_have_another_fingerprint_and_the_splits_that_differ_are_named(changed, splits):
    assert describe_print(fingerprint(changed))["data"] != describe_print(fingerprint(data_with()))["data"]
    assert difference(data_with(), changed).other == splits


def test_values_that_differ_by_rounding_alone_are_known_as_such():
    rng = np.random.default_rng(0)
    scales = np.array([1e-3, 1.0, 1e6], np.float32)
    x = (rng.normal(size=(2000, 3)) * scales).astype(np.float32)
    last_digit = np.nextafter(x, np.where(rng.random(x.shape) < 0.5, -np.inf, np.inf).astype(np.float32))
    found = difference({"train": (x, x[:, 0])}, {"train": (last_digit, last_digit[:, 0])})
    assert (found.other, found.rounded) == ((), ("train",))


@pytest.mark.parametrize("column", [0, 1, 2])
def test_one_other_value_among_thousands_is_no_rounding_whatever_the_size_of_its_column(column):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(2000, 3)) * [1e-3, 1.0, 1e6]).astype(np.float32)
    other = x.copy()
    other[1234, column] = -other[1234, column]
    assert difference({"train": (x, Y)}, {"train": (other, Y)}).other == ("train",)


def test_of_large_arrays_evenly_spaced_blocks_are_read_the_ends_among_them(monkeypatch):
    monkeypatch.setattr(module, "_WHOLE", 1000)
    monkeypatch.setattr(module, "_BLOCK", 8)
    monkeypatch.setattr(module, "_BLOCKS", 50)
    large = np.zeros(100_000, np.uint8)
    same = fingerprint(data_with(large, large))
    for place in (0, -1):
        changed = large.copy()
        changed[place] = 1
        assert fingerprint(data_with(changed, large)) != same
    assert fingerprint(data_with(large.copy(), large)) == same


def test_words_and_nested_inputs_have_one_too():
    words = np.array(["a", "b", "c"], dtype=object)
    first, second = ({"train": ({"text": words, "x": X[:3]}, Y[:3])} for _ in range(2))
    assert fingerprint(first) == fingerprint(second)
    second["train"] = ({"text": words[::-1], "x": X[:3]}, Y[:3])
    assert fingerprint(first) != fingerprint(second)
    assert [array["name"] for array in fingerprint(first)["train"]] == ["x.text", "x.x", "y"]


@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_values_that_are_not_finite_are_compared_by_their_places_and_the_others_up_to_rounding(hole):
    x = np.where(X == 31, hole, X).astype(np.float32)
    rounded = np.nextafter(x, np.float32(1e9)) if hole is np.nan else np.where(X == 31, x, np.nextafter(x, x + 1))
    assert difference({"train": (x, Y)}, {"train": (rounded, Y)}).rounded == ("train",)
    moved = np.where(X == 0, hole, X).astype(np.float32)
    assert difference({"train": (np.where(X == 0, 0, x), Y)}, {"train": (moved, Y)}).other == ("train",)
    zero_for_hole = np.where(X == 0, hole, X).astype(np.float32)
    assert difference({"train": (X, Y)}, {"train": (zero_for_hole, Y)}).other == ("train",)
