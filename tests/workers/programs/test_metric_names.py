"""Names of metrics that a database cannot hold are refused with the reason; all others are let be."""

from __future__ import annotations

from typing import Any

import pytest

from bandstand_workers.programs.logs import UnstorableNameError, check_names


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a\0b", "contains a NUL character"),
        ("\0", "contains a NUL character"),
        ("a\ud800", "contains half of a surrogate pair"),
        (7, "is of type int"),
        (b"loss", "is of type bytes"),
        (("a", "b"), "is of type tuple"),
        ("x" * 1001, "has 1,001 characters, and 1,000 are allowed"),
    ],
)
def test_a_name_that_cannot_be_stored_is_refused(name: Any, why: str) -> None:
    with pytest.raises(UnstorableNameError) as refused:
        check_names({"loss": 1.0, name: 2.0})
    assert why in str(refused.value)
    assert str(refused.value).endswith(": rename the metric")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["loss", "", "top 5", "Genauigkeit/ä", "精度", "a\nb", "x" * 1000, "\U0001f600"])
def test_a_name_that_can_be_stored_is_let_be(name: str) -> None:
    check_names({name: 1.0})
