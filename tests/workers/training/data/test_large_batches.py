"""Batches that are larger than the training data are told before the first trial."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bandstand.study.study_spec import study_spec_from
from bandstand_workers.training.data.remarks import on_large_batches

TRAIN = (np.zeros((100, 3)), np.zeros(100))
RATE = {"rate": {"type": "float", "low": 0.1, "high": 0.2}}


def remarks(batch_size: Any, parameter: dict[str, Any] | None = None, train: Any = TRAIN) -> list[str]:
    space = RATE | ({"rows": parameter} if parameter else {})
    settings = {
        "name": "x",
        "model": "a:build",
        "data": "a:load",
        "max_epochs": 3,
        "budget": {"epochs": 9},
        "space": space,
    }
    return on_large_batches(study_spec_from(settings | {"batch_size": batch_size}, "study"), train)


@pytest.mark.parametrize(
    ("batch_size", "parameter", "told"),
    [
        (101, None, "batch_size = 101 is more than the 100 rows of train"),
        (100_000, None, "batch_size = 100,000 is more than the 100 rows"),
        (
            "rows",
            {"type": "int", "low": 8, "high": 128},
            "parameter rows goes up to 128, which is more than the 100 rows",
        ),
        ("rows", {"type": "categorical", "choices": [8, 4096, 16]}, "parameter rows goes up to 4,096"),
    ],
)
def test_a_batch_that_is_larger_than_the_data_is_told(batch_size: Any, parameter: Any, told: str) -> None:
    (remark,) = remarks(batch_size, parameter)
    assert told in remark
    assert "choose smaller batches" in remark


def test_batches_that_the_data_fill_are_not_remarked_upon() -> None:
    assert remarks(100) == []
    assert remarks("rows", {"type": "categorical", "choices": [8, 100]}) == []
    several = ({"a": np.zeros((5000, 1)), "b": np.zeros((5000, 2))}, np.zeros(5000))
    assert remarks(4096, train=several) == []
