"""Reads columns of numbers: many rows as arrays, without an object for each.

Knows how PostgreSQL writes arrays in its binary format. Must not know any table.

The database gathers each column into one array that has no null in it, so that each element takes the same number of
bytes. NumPy then reads a million rows as they came. As rows of Python objects they would take ten times the time and
the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

__all__ = ["Column", "read_columns"]

Kind = Literal["integer", "long", "double", "time"]
Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


class Column(NamedTuple):
    """A column to read."""

    value: sa.ColumnElement[Any]
    kind: Kind
    """How it is read: null is NaN in a `double`, and must not be in others; a `time` is in UTC."""


_WIRE: Mapping[Kind, str] = MappingProxyType({"integer": ">i4", "long": ">i8", "double": ">f8", "time": ">i8"})
_CASTS: Mapping[Kind, sa.types.TypeEngine[Any]] = MappingProxyType(
    {"integer": sa.Integer(), "long": sa.BigInteger(), "double": sa.Double(), "time": sa.DateTime(timezone=True)}
)
_HEADER_BYTES = 20
_FROM_1970_TO_2000 = np.datetime64("2000-01-01", "us").astype(np.int64)


def read_columns(connection: Connection, rows: sa.Select[Any], columns: Mapping[str, Column]) -> dict[str, Array]:
    """The columns of a query's rows, in their order.

    Args:
        connection: to read by.
        rows: which rows in which order; what it selects itself is left out.
        columns: by name.

    Raises:
        sqlalchemy.exc.DBAPIError: as of any statement.
    """
    # By place and not by name: PostgreSQL cuts names at 63 bytes.
    chosen = rows.with_only_columns(
        *(_never_null(column).label(f"c{place}") for place, column in enumerate(columns.values()))
    ).subquery("chosen")
    gathered = sa.select(*(sa.func.array_agg(column) for column in chosen.c))
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # it doubles no percent sign
    text = gathered.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    driver = connection.connection.driver_connection
    assert driver is not None
    try:
        with driver.cursor(binary=True) as cursor:
            cursor.execute(str(text))
            return {
                name: _array_from(cursor.pgresult.get_value(0, place), column.kind)
                for place, (name, column) in enumerate(columns.items())
            }
    except psycopg.Error as error:
        raise sa.exc.DBAPIError.instance(str(text), None, error, psycopg.Error) from error


def _never_null(column: Column) -> sa.ColumnElement[Any]:
    value = sa.cast(column.value, _CASTS[column.kind])
    if column.kind != "double":
        return value
    return sa.func.coalesce(value, sa.cast(sa.literal("NaN"), sa.Double()))


def _array_from(stored: bytes | None, kind: Kind) -> Array:
    """The elements of an array as PostgreSQL sends it: a header, then each with its length before it."""
    wire = np.dtype(_WIRE[kind])
    element = np.dtype([("length", ">i4"), ("value", wire)])
    found = np.empty(0, element) if stored is None else np.frombuffer(stored, element, offset=_HEADER_BYTES)
    if (found["length"] != wire.itemsize).any():
        raise AssertionError("a column that is read as an array must have no null")
    values = found["value"].astype(wire.newbyteorder("="))
    return (values + _FROM_1970_TO_2000).astype("M8[us]") if kind == "time" else values
