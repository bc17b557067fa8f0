"""TOML that we write is read back by tomllib as the same data, bit for bit."""

import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandstand_spaces.toml_writer import make_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TABLES = st.recursive(
    st.dictionaries(TEXT, SCALARS | st.lists(SCALARS), max_size=4),
    lambda tables: st.dictionaries(TEXT, SCALARS | tables, max_size=4),
    max_leaves=8,
)


def with_types(data):
    """The data with each scalar's type beside its repr, so that 1, 1.0 and True, or 0.0 and -0.0, differ."""
    if isinstance(data, dict):
        return {key: with_types(value) for key, value in data.items()}
    if isinstance(data, list):
        return [with_types(value) for value in data]
    return type(data), repr(data)


@given(TABLES)
def test_what_is_written_is_read_back_unchanged(document):
    assert with_types(tomllib.loads(make_toml(document))) == with_types(document)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_keeps_its_bits(number):
    assert tomllib.loads(make_toml({"x": number}))["x"].hex() == number.hex()


@pytest.mark.parametrize("value", [math.inf, math.nan, None, b"x", {1, 2}, [None]])
def test_what_toml_text_cannot_hold_is_refused(value):
    with pytest.raises(ValueError, match="TOML text is written from finite numbers"):
        make_toml({"x": value})
