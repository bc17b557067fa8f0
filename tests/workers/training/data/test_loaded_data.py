"""What a loader returns becomes what Keras's own `fit` makes of it, or is refused in one line with the way out."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf

from bandstand_workers.training.data import arrays as arrays_module
from bandstand_workers.training.data import streams as streams_module
from bandstand_workers.training.data.batches import for_keras
from tests.workers.made_up_data import (
    FRAME,
    RNG,
    ROWS,
    TEXTS,
    X,
    Y,
    both,
    fitted,
    loaded,
    numeric,
    of_text,
    refusal,
    train_of,
)

TAKEN_BY_FIT = {
    "floats of double precision": (3, X),
    "half precision": (3, X.astype("float16")),
    "small integers": (3, RNG.integers(0, 5, (ROWS, 3)).astype("int8")),
    "a frame of bool, int and float": (3, FRAME),
    "a frame of ints": (1, FRAME[["rooms"]]),
    "a frame of bool": (1, FRAME[["old"]]),
    "a frame with nullable ints": (3, FRAME.assign(rooms=FRAME["rooms"].astype("Int64"))),
    "a frame with categories of numbers": (3, FRAME.assign(rooms=pd.Categorical([1, 2] * (ROWS // 2)))),
    "a series": (1, FRAME["area"]),
    "a sparse matrix": (5, scipy.sparse.random(ROWS, 5, 0.4, format="csr", random_state=0)),
    "a sparse array": (5, scipy.sparse.csr_array(scipy.sparse.random(ROWS, 5, 0.4, format="csr", random_state=1))),
    "a tensor": (3, tf.constant(X)),
}


@pytest.mark.parametrize(("width", "x"), TAKEN_BY_FIT.values(), ids=TAKEN_BY_FIT.keys())
def test_it_trains_as_fit_does_with_what_the_loader_returned(width: int, x: Any) -> None:
    ours, y = train_of(x)
    assert fitted(lambda: numeric(width), ours, y) == pytest.approx(fitted(lambda: numeric(width), x, Y), rel=1e-5)


REFUSED_BY_FIT = {
    "a frame of bool and int": (FRAME[["rooms", "old"]], FRAME[["rooms", "old"]].to_numpy("float32")),
    "rows in a list": (X.tolist(), X),
    "rows in a tuple of lists": (tuple(X.tolist()), X),
    "numbers as objects": (X.astype(object), X),
    "a frame's values of several types": (FRAME.to_numpy(), FRAME.to_numpy("float32")),
    "a series of categories": (pd.Series(pd.Categorical([3, 7] * (ROWS // 2))), np.array([[3.0], [7.0]] * (ROWS // 2))),
    "a frame of objects that are numbers": (FRAME.astype(object), FRAME.to_numpy("float32")),
}


@pytest.mark.parametrize(("x", "meant"), REFUSED_BY_FIT.values(), ids=REFUSED_BY_FIT.keys())
def test_it_trains_on_what_is_meant_where_fit_would_refuse_it(x: Any, meant: np.ndarray[Any, Any]) -> None:
    ours, y = train_of(x)
    width = meant.shape[1]
    assert fitted(lambda: numeric(width), ours, y) == fitted(lambda: numeric(width), meant, Y)


@pytest.mark.parametrize(
    "texts",
    [
        TEXTS,
        np.array(TEXTS),
        np.array(TEXTS, object),
        np.array(TEXTS, np.dtypes.StringDType()),
        np.array(TEXTS, "S"),
        tf.constant(TEXTS),
        pd.Series(TEXTS),
        pd.Series(TEXTS, dtype=object),
        pd.DataFrame({"text": TEXTS}),
        np.array(TEXTS)[:, None],
    ],
    ids=["list", "U", "objects", "StringDType", "bytes", "tensor", "series", "objects in a series", "frame", "column"],
)
def test_text_trains_in_whatever_it_came_as_fit_does_with_a_tensor_of_it(texts: Any) -> None:
    ours, y = train_of(texts)
    assert fitted(of_text, for_keras(ours), y) == pytest.approx(fitted(of_text, tf.constant(TEXTS), Y))


def test_a_tf_data_set_of_text_is_loaded_as_text() -> None:
    data = tf.data.Dataset.from_tensor_slices((TEXTS, Y)).batch(10)
    x, y = loaded({"train": data, "validation": data}).splits["train"]
    assert x.tolist() == TEXTS
    assert np.allclose(y, Y)


def test_bytes_that_are_no_text_stay_bytes() -> None:
    images = np.array([b"\xff\xd8\xff\xe0", b"\x89PNG"] * (ROWS // 2), object)
    x, _ = train_of(images)
    assert x.tolist() == images.tolist()


@pytest.mark.parametrize("labels", [[0, 1] * 32, (0, 1) * 32, [True, False] * 32, np.array([0, 1] * 32, object)])
def test_labels_in_lists_are_an_array(labels: Any) -> None:
    _, y = train_of(X, labels)
    assert y.shape == (ROWS,)
    assert y.dtype.kind in "ib"


def test_a_series_of_labels_is_a_column_as_fit_has_it() -> None:
    _, y = train_of(X, pd.Series(Y))
    assert y.shape == (ROWS, 1)
    assert fitted(lambda: numeric(3), X, y) == fitted(lambda: numeric(3), X, pd.Series(Y))


def test_several_inputs_stand_in_dicts_and_lists_of_arrays_and_sample_weights_beside_them() -> None:
    split = ({"area": FRAME["area"], "rooms": FRAME["rooms"].tolist()}, [Y, Y.tolist()], [1.0] * ROWS)
    x, y, weights = loaded({"train": split, "validation": split}).splits["train"]
    assert {name: array.shape for name, array in x.items()} == {"area": (ROWS, 1), "rooms": (ROWS,)}
    assert [array.shape for array in y] == [(ROWS,), (ROWS,)]
    assert weights.dtype == np.float32


@pytest.mark.parametrize(
    ("splits", "says"),
    [
        (both(FRAME.assign(town=TEXTS)), "a frame with the columns town (str): write pd.get_dummies(frame, dtype=flo"),
        (both(FRAME.assign(town=pd.Categorical(TEXTS))), "town (category): write pd.get_dummies(frame, dtype=float)"),
        (both(FRAME.assign(day=pd.Timestamp("2026-11-01"))), "day (datetime64[us]): write numbers for dates"),
        (both(X, pd.Series(TEXTS, dtype="category")), "y must be numbers; 'loader_of_test:load' gave a category colu"),
        (both([[1.0] * (1 + row % 3) for row in range(ROWS)]), "lists of 1 to 3 values: pad them with keras.utils.pad"),
        (both(tf.ragged.constant([[1.0], [1.0, 2.0]] * 32)), "a tf.RaggedTensor: write .to_tensor(), which pads"),
        (both(np.array([[1], [1, 2]] * 32, object)), "rows of different lengths: pad them with keras.utils.pad_seq"),
        (both([[1, "a"]] * ROWS), "a list of int, str: make a dict of arrays, one for each column"),
        (both(np.array([1.0, None] * 32)), "values of the types NoneType, float: fill or drop the missing ones"),
        (both(np.array(["2026-11-01"] * ROWS, "M8[D]")), "dates (datetime64[D]): write numbers, such as .astype"),
        (both(row for row in X), "x must be an array; 'loader_of_test:load' gave a generator: collect what it yiel"),
        (both(list(X)), "gave x 3 for each of 64 arrays, y 64: one label for each example; a list of arrays means sev"),
        (both(X, Y[:-1]), "gave x 64, y 63: one label for each example"),
        (both(X, None), "y must be an array; 'loader_of_test:load' gave NoneType"),
        (both(X, {1, 2}), "y must be an array; 'loader_of_test:load' gave set"),
        (both(X, 1.0), "gave x 64, y scalar: one label"),
        ({"train": (X, Y, Y, Y)}, "data must have the split validation"),
        ({"train": (X,), "validation": (X, Y)}, "(x, y) or (x, y, sample_weight); 'loader_of_test:load' gave 1 of"),
        ({"train": FRAME, "validation": FRAME}, "(x, y) or (x, y, sample_weight); 'loader_of_test:load' gave DataF"),
        ((row for row in X), "data must be a dict of splits; 'loader_of_test:load' gave generator"),
    ],
)  # fmt: skip
def test_what_cannot_be_arrays_is_refused_in_one_line_with_what_to_write(splits: Any, says: str) -> None:
    assert says in refusal(splits)


def test_no_message_holds_the_data() -> None:
    line = refusal(both([[float(number)] * (1 + number % 2) for number in range(20_000)]))
    assert "19999" not in line
    assert "7.0" not in line


def test_a_sparse_matrix_that_is_too_large_without_its_zeros_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays_module, "_MOST_BYTES", 1000)
    line = refusal(both(scipy.sparse.eye(ROWS, 40, format="csr")))
    assert "a sparse matrix of 64 x 40: keep fewer columns" in line


# -- splits that come batch by batch -----------------------------------------------------------------------------------


def test_a_generator_as_a_split_is_refused_before_it_is_read() -> None:
    def endless() -> Any:
        raise AssertionError("it was read")
        yield X, Y

    assert "gave a generator, which may never end: collect its batches" in refusal(
        {"train": endless(), "validation": (X, Y)}
    )


def test_an_endless_data_set_is_told_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> Any:
        while True:
            yield np.zeros(100, "float32"), np.float32(0)

    spec = tf.TensorSpec((100,), tf.float32), tf.TensorSpec((), tf.float32)
    endless = tf.data.Dataset.from_generator(rows, output_signature=spec)
    monkeypatch.setattr(streams_module, "most_bytes", lambda: 4_000_000)
    assert "must end, and fit into memory; 'loader_of_test:load' gave more than 0.0 GB" in refusal(
        {"train": endless, "validation": (X, Y)}
    )


def test_a_data_set_that_repeats_is_refused_before_it_is_read() -> None:
    data = tf.data.Dataset.from_tensor_slices((X, Y)).repeat().batch(8)
    assert "train must end; 'loader_of_test:load' gave a data set that repeats" in refusal(
        {"train": data, "validation": (X, Y)}
    )


class Batches(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        rows = slice(number * 16, number * 16 + 16)
        return X[rows], Y[rows]


class WithoutEnd(Batches):
    @property
    def num_batches(self) -> None:
        return None


def test_a_py_dataset_with_a_length_is_read_and_one_without_is_refused() -> None:
    x, y = loaded({"train": Batches(), "validation": (X, Y)}).splits["train"]
    assert np.allclose(x, X)
    assert np.allclose(y, Y)
    assert "gave a PyDataset without a length" in refusal({"train": WithoutEnd(), "validation": (X, Y)})


def test_a_data_set_that_shuffles_without_a_seed_is_the_same_each_time_it_is_loaded() -> None:
    def load() -> Any:
        shuffled = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(ROWS).batch(8)
        return {"train": shuffled, "validation": (X, Y)}

    first, second = loaded(load), loaded(load)
    assert first.fingerprint == second.fingerprint
    x, y = first.splits["train"]
    assert sorted(y.tolist()) == sorted(Y.astype("float32").tolist())
    rows = [int(np.argmin(np.abs(Y.astype("float32") - label))) for label in y]
    assert np.allclose(x, X[rows])


def test_a_data_set_that_draws_its_examples_anew_is_refused_with_where_augmentation_belongs() -> None:
    def noise(x: Any, y: Any) -> Any:
        return x + tf.random.normal((3,), dtype=tf.float64), y

    data = tf.data.Dataset.from_tensor_slices((X, Y)).map(noise)
    assert "put augmentation into the model, such as keras.layers.RandomFlip" in refusal(
        {"train": data, "validation": (X, Y)}
    )


def test_ragged_and_sparse_tensors_in_a_data_set_are_refused_with_how_to_unpack_them() -> None:
    ragged = tf.data.Dataset.from_tensor_slices((tf.ragged.constant([[1.0], [1.0, 2.0]]), [0, 1]))
    sparse = tf.data.Dataset.from_tensor_slices((tf.sparse.eye(2), [0, 1]))
    assert "gave ragged tensors: pad them" in refusal({"train": ragged, "validation": (X, Y)})
    assert "gave sparse ones: unpack them" in refusal({"train": sparse, "validation": (X, Y)})
