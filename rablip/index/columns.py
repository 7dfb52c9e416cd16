"""Columns beside the ids, by which a search is filtered: their types, their values, and what a filter matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

__all__ = ["COLUMN_TYPES", "Filter", "check_filter", "make_schema", "make_table", "match_rows"]

# What a filter can be: column -> value or values, or any expression of pyarrow over the columns.
Filter: TypeAlias = Mapping[str, Any] | pc.Expression

COLUMN_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
}


def make_schema(columns: Mapping[str, str]) -> pa.Schema:
    """The Arrow schema of columns given as name -> type.

    Raises:
        ValueError: when a type is unknown.

    Example:
        >>> make_schema({"year": "int64"}).names
        ['year']
    """
    unknown = {name: kind for name, kind in columns.items() if kind not in COLUMN_TYPES}
    if unknown:
        raise ValueError(f"Columns can be {', '.join(COLUMN_TYPES)}; got {unknown}.")
    return pa.schema([pa.field(name, COLUMN_TYPES[kind]) for name, kind in columns.items()])


def make_table(schema: pa.Schema, values: Mapping[str, Sequence[Any]] | None, num_rows: int) -> pa.Table:
    """A table of rows; a column that is not given is empty there.

    Args:
        schema: what columns there are.
        values: column -> one value a row; None is no value.
        num_rows: how many rows there must be.

    Raises:
        ValueError: when a column is unknown, or has another number of rows.
        TypeError: when a value does not fit its column's type.
    """
    given = dict(values or {})
    unknown = sorted(set(given) - set(schema.names))
    if unknown:
        raise ValueError(
            f"The index has no columns {unknown}; it has {schema.names or 'none'}. Columns are named when an index is "
            "created."
        )
    arrays = []
    for field in schema:
        column = given.get(field.name)
        if column is None:
            arrays.append(pa.nulls(num_rows, field.type))
            continue
        if len(column) != num_rows:
            raise ValueError(f"Column {field.name!r} has {len(column)} values for {num_rows} items.")
        try:
            arrays.append(pa.array(column, type=field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise TypeError(f"Column {field.name!r} takes {field.type} or None: {error}") from error
    if not arrays:
        return pa.table({"": pa.nulls(num_rows)}).select([])
    return pa.Table.from_arrays(arrays, schema=schema)


def check_filter(where: Filter, schema: pa.Schema) -> pc.Expression:
    """Turn a filter into an expression and check that the columns know it.

    Args:
        where: column -> the value, or a list, tuple or set of values, one of which it must have (None matches items
            without a value); or an expression, such as `pyarrow.compute.field("year") > 1990`.
        schema: the columns.

    Raises:
        ValueError: when a column is unknown or a value has another type than its column.
        TypeError: when `where` is neither.

    Example:
        >>> str(check_filter({"year": 1889}, make_schema({"year": "int64"})))
        '(year == 1889)'
    """
    if isinstance(where, Mapping):
        if not where:
            raise ValueError("The filter is empty. Give at least one column, or None for no filter.")
        expression = None
        for name, wanted in where.items():
            if name not in schema.names:
                raise ValueError(f"The index has no column {name!r} to filter by; it has {schema.names or 'none'}.")
            one = _match_column(schema.field(name), wanted)
            expression = one if expression is None else expression & one
        where = expression
    if not isinstance(where, pc.Expression):
        raise TypeError(
            f"A filter is a mapping from column to value or a pyarrow expression, got {type(where).__name__}."
        )
    try:
        match_rows(where, schema.empty_table())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise ValueError(f"The filter {where} does not fit the columns {dict_of(schema)}: {error}") from error
    return where


def match_rows(expression: pc.Expression, table: pa.Table) -> np.ndarray:
    """Which rows of a table an expression matches, (num_rows,) bool; no value matches nothing but `is_null`."""
    if not len(table):
        table = pa.Table.from_batches([], schema=table.schema)
    found = ds.dataset(table).to_table(columns={"match": expression}).column("match")
    if not pa.types.is_boolean(found.type):
        raise pa.ArrowTypeError(f"it gives {found.type}, not true or false")
    matched: np.ndarray = found.fill_null(False).to_numpy()
    return matched.astype(bool)


def dict_of(schema: pa.Schema) -> dict[str, str]:
    """Column -> type, as `make_schema` takes it."""
    names = {kind: name for name, kind in COLUMN_TYPES.items()}
    return {field.name: names[field.type] for field in schema}


def _match_column(column: pa.Field, wanted: Any) -> pc.Expression:
    field = pc.field(column.name)
    if not isinstance(wanted, (list, tuple, set, frozenset)):
        return field.is_null() if wanted is None else field == pc.scalar(_cast(wanted, column))
    values = [_cast(value, column) for value in wanted if value is not None]
    matches = field.isin(pa.array(values, type=column.type)) if values else pc.scalar(False)
    return matches | field.is_null() if len(values) < len(wanted) else matches


def _cast(value: Any, column: pa.Field) -> pa.Scalar:
    """A value in the type of its column; compared in another one, large whole numbers would lose their last digits."""
    try:
        if isinstance(value, (bool, np.bool_)) is not pa.types.is_boolean(column.type):
            raise pa.ArrowTypeError("true and false are for columns of them")
        found = pa.scalar(value, type=column.type)
        if found.as_py() != value:
            raise pa.ArrowTypeError(f"it would become {found}")
        return found
    except (pa.ArrowException, OverflowError) as error:
        raise ValueError(
            f"The filter's value {value!r} of column {column.name!r} is no {column.type}: {error}. Give one of the "
            "column's type."
        ) from error
