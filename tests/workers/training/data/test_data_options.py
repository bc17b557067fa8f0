"""What a study asks of its data, what its user is told of them, and what a loader draws."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from bandstand.errors import InputError
from bandstand_workers import keras_session
from bandstand_workers.training.contexts import Contexts
from bandstand_workers.training.data import remarks as remarks_module
from bandstand_workers.training.study_check import check_study
from tests.workers.made_up_data import RNG, ROWS, TEXTS, X, Y, both, loaded, loaded_from, numeric, refusal

SEEDED = """
import numpy as np

np.random.seed(42)


def load():
    x = np.random.random((4, 2))
    return {"train": (x, [0, 1, 0, 1]), "validation": (x, [0, 1, 0, 1])}
"""


# -- what the study asks of its data ---------------------------------------------------------------------------------


def test_validation_split_takes_the_rows_that_fit_would_take() -> None:
    seen: list[Any] = []

    class Saw(keras.callbacks.Callback):
        def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
            seen.append(batch)

    weights = RNG.random(ROWS).astype("float32")
    made = loaded({"train": (X, Y, weights), "test": (X, Y)}, validation_split=0.3)
    model = numeric(3)
    theirs = model.fit(
        X, Y, sample_weight=weights, validation_split=0.3, shuffle=False, verbose=0, batch_size=1, callbacks=[Saw()]
    )
    assert len(made.splits["validation"][0]) == len(seen)
    x, y, given = made.splits["train"]
    ours = numeric(3).fit(
        x, y, sample_weight=given, validation_data=made.splits["validation"], shuffle=False, verbose=0, batch_size=1
    )
    assert ours.history == theirs.history
    assert made.remarks[0] == (
        "validation_split = 0.3 takes the last 20 of 64 rows of train for validation, in the order in which they were "
        "loaded"
    )


def test_validation_split_beside_a_validation_split_and_no_validation_at_all_are_refused() -> None:
    line = refusal({"train": (X, Y), "validation": (X, Y)}, validation_split=0.2)
    assert "validation_split must be left out where the loader returns validation" in line
    assert "or set validation_split = 0.2 in the study" in refusal({"train": (X, Y)})
    assert "must leave rows for train and validation; got 0.01 of 1 rows" in refusal(
        {"train": (X[:1], Y[:1])}, validation_split=0.01
    )


CLASSES = np.array([0, 1, 1, 2] * (ROWS // 4))


@pytest.mark.parametrize(
    "y",
    [CLASSES, CLASSES[:, None], CLASSES.astype("float32"), keras.utils.to_categorical(CLASSES), pd.Series(CLASSES)],
    ids=["whole", "column", "floats", "one-hot", "series"],
)
def test_class_weight_weighs_rows_as_fit_does(y: Any) -> None:
    weights = {0: 0.5, 2: 4.0}

    def build() -> Any:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, activation="softmax")])
        sparse = np.asarray(y).ndim == 1 or np.asarray(y).shape[1] == 1
        model.compile(loss="sparse_categorical_crossentropy" if sparse else "categorical_crossentropy")
        return model

    made = loaded({"train": (X, y), "validation": (X, y)}, class_weight=weights)
    x, labels, of_rows = made.splits["train"]
    ours = build().fit(x, labels, sample_weight=of_rows, shuffle=False, verbose=0).history["loss"]
    assert ours == pytest.approx(build().fit(X, y, class_weight=weights, shuffle=False, verbose=0).history["loss"])
    assert len(made.splits["validation"]) == 2


def test_balanced_classes_weigh_the_same_in_sum_and_sample_weights_are_multiplied() -> None:
    given = RNG.random(ROWS).astype("float32")
    plain = loaded(both(X, CLASSES), class_weight="balanced").splits["train"][2]
    assert [plain[label == CLASSES].sum() for label in range(3)] == pytest.approx([ROWS / 3] * 3)
    split = (X, CLASSES, given)
    both_weights = loaded({"train": split, "validation": split}, class_weight="balanced").splits
    assert np.allclose(both_weights["train"][2], plain * given)
    assert np.allclose(both_weights["validation"][2], given)


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (Y, "class_weight must be for classes, whole numbers; train's y has others, as in regression"),
        (np.array(TEXTS), "train's y is text: write np.unique(y, return_inverse=True)[1]"),
        ([Y, Y], "class_weight must be for one output, as in fit; train has 2 of them"),
        (np.zeros((ROWS, 4, 3)), "class_weight must be for one class a row; train's y has the shape (64, 4, 3)"),
    ],
)
def test_class_weight_without_classes_is_refused(y: Any, says: str) -> None:
    assert says in refusal(both(X, y), class_weight="balanced")


def test_labels_of_text_are_told_with_what_to_write_where_a_batch_raises() -> None:
    splits = loaded(both(X, np.array(TEXTS))).splits
    spec = loaded(both(X)).spec
    with pytest.raises(InputError, match=r"the labels y are text, which losses do not take: write np\.unique"):
        check_study(
            spec, lambda params, context: numeric(3), splits, lambda params, context: [], Contexts(spec, splits)
        )


def test_a_weight_for_a_class_without_rows_is_told() -> None:
    told = loaded(both(X, CLASSES), class_weight={1: 2.0, 7: 3.0}).remarks
    assert told[0] == "class_weight names classes that train does not contain: 7; its classes are 0, 1, 2"


# -- what is told of the data ----------------------------------------------------------------------------------------


def test_rows_that_stand_in_two_splits_are_counted_by_their_inputs() -> None:
    data = {"train": (X[:40], Y[:40]), "validation": (X[34:50], Y[34:50]), "test": (X[49:], Y[49:] + 1)}
    assert loaded(data).remarks == [
        "6 of 16 rows of validation are also in train (with the same inputs)",
        "1 of 15 rows of test are also in validation (with the same inputs)",
    ]


def test_of_many_rows_some_are_compared_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remarks_module, "_ROWS", 32)
    data = {"train": (X, Y), "validation": (X[:10], Y[:10])}
    (remark,) = loaded(data).remarks
    assert re.fullmatch(
        r"at least [3-7] of 10 rows of validation are also in train \(with the same inputs\); 32 rows of train were .*",
        remark,
    )


def test_rows_of_text_and_of_several_inputs_are_compared_as_a_whole() -> None:
    first = {"text": np.array(TEXTS[:2]), "number": np.array([1.0, 2.0])}
    second = {"text": np.array(TEXTS[:2]), "number": np.array([1.0, 3.0])}
    data = {"train": (first, [0, 1]), "validation": (second, [0, 1])}
    assert loaded(data).remarks == ["1 of 2 rows of validation are also in train (with the same inputs)"]


def test_missing_values_are_counted() -> None:
    x = np.where(X < 0.1, np.nan, X)
    (remark,) = loaded({"train": (x[:32], Y[:32]), "validation": (X[32:], Y[32:])}).remarks
    count = int((X[:32] < 0.1).sum())
    assert remark.startswith(f"{count} of 96 values of train's x are not finite (NaN or infinite), ")


def test_nothing_is_said_of_data_without_any_of_this() -> None:
    assert loaded({"train": (X[:32], Y[:32]), "validation": (X[32:], Y[32:])}).remarks == []


# -- seeds -----------------------------------------------------------------------------------------------------------


def drawn_by(load: Callable[[], Any], **changes: Any) -> list[float]:
    def splits() -> Any:
        return {"train": (np.array([load() for _ in range(4)]), np.arange(4)), "validation": (X[:4], Y[:4])}

    x: np.ndarray[Any, Any] = loaded(splits, **changes).splits["train"][0]
    return x.tolist()


@pytest.mark.parametrize("draw", [lambda: random.random(), lambda: np.random.random()], ids=["random", "NumPy"])
def test_what_a_loader_draws_is_decided_by_the_studys_seed(draw: Callable[[], float]) -> None:
    first = drawn_by(draw, seed=5)
    random.seed(99), np.random.seed(99)
    assert drawn_by(draw, seed=5) == first
    assert drawn_by(draw, seed=6) != first


def test_a_seed_that_the_loader_sets_wins() -> None:
    def draw() -> float:
        keras.utils.set_random_seed(3)
        return random.random() + np.random.random()

    assert drawn_by(draw, seed=5) == drawn_by(draw, seed=6)


def test_a_seed_that_a_module_sets_when_it_is_imported_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seeded_module.py").write_text(SEEDED)
    monkeypatch.syspath_prepend(tmp_path)
    x, again = (loaded_from("seeded_module", seed).splits["train"][0] for seed in (5, 6))
    assert np.allclose(x, np.random.RandomState(42).random_sample((4, 2)))
    assert np.array_equal(x, again)


def test_tensorflow_has_no_seed_in_a_loader_so_that_epochs_of_a_data_set_draw_anew() -> None:
    keras_session.begin_trial(3)
    epochs: list[list[float]] = []

    def load() -> Any:
        data = tf.data.Dataset.range(4).map(lambda number: tf.random.uniform(()))
        epochs.extend([float(value) for value in data] for _ in range(2))
        return {"train": (X, Y), "validation": (X, Y)}

    loaded(load)
    assert epochs[0] != epochs[1]
    loaded(load)
    assert epochs[2] not in epochs[:2], "TensorFlow had a seed"


def test_data_are_loaded_anew_for_a_study_with_another_seed_only_where_the_loader_draws() -> None:
    spec = loaded(both(X)).spec
    other = spec.model_copy(update={"seed": 9})
    assert loaded(both(X)).serves(other)
    assert not loaded(lambda: both(X + np.random.random())).serves(other)
    assert not loaded(both(X)).serves(spec.model_copy(update={"class_weight": "balanced"}))
