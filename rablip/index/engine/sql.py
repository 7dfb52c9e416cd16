"""What the engine is asked in SQL: ids and filters as conditions in which no value can be more than a value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from ..columns import Filter, check_filter

__all__ = ["match_filter", "match_ids", "name_column"]

_NOTHING = "false"
_LEAST_INTEGER = -(2**63)


def name_column(number: int) -> str:
    """The engine's name of a column: names of users may hold what SQL and the engine's schemas cannot.

    Example:
        >>> name_column(0)
        'column_0'
    """
    return f"column_{number}"


def match_ids(ids: Sequence[str]) -> str:
    """The condition that an item has one of the ids.

    Example:
        >>> match_ids(["a", "it's"])
        "id IN ('a', 'it''s')"
    """
    return f"id IN ({', '.join(map(_quote, ids))})" if ids else _NOTHING


def match_filter(where: Filter, schema: pa.Schema) -> str:
    """A filter as a condition.

    Args:
        where: column -> the value, or a list, tuple or set of values, as of `KnowledgeIndex.search`.
        schema: the columns, as of `make_schema`.

    Raises:
        ValueError: when a column is unknown or a value has another type than its column.
        TypeError: when `where` is no mapping.

    Example:
        >>> match_filter({"year": [1889, None]}, pa.schema([("year", pa.int64())]))
        '(column_0 IN (1889) OR column_0 IS NULL)'
    """
    if not isinstance(where, Mapping):
        raise TypeError(
            f"The engine filters by a mapping from column to value or values, got {type(where).__name__}. Expressions "
            "of pyarrow are for KnowledgeIndex; store what is compared as a column of its own, such as a decade."
        )
    check_filter(where, schema)
    conditions = []
    for name, wanted in where.items():
        is_list = isinstance(wanted, (list, tuple, set, frozenset))
        number = schema.get_field_index(name)
        conditions.append(
            _match_column(name_column(number), schema.field(number).type, wanted if is_list else [wanted])
        )
    return " AND ".join(conditions)


def _match_column(column: str, kind: pa.DataType, wanted: Iterable[Any]) -> str:
    values = list(wanted)
    texts = [_spell(value, kind) for value in values if value is not None]
    conditions = [f"{column} IN ({', '.join(texts)})"] if texts else []
    if any(value is None for value in values):
        conditions.append(f"{column} IS NULL")
    return f"({' OR '.join(conditions)})" if conditions else _NOTHING


def _spell(value: Any, kind: pa.DataType) -> str:
    """A value as a literal of its column's type."""
    value = pa.scalar(value, type=kind).as_py()
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"CAST('{value}' AS DOUBLE)"
    return str(value) if value > _LEAST_INTEGER else f"CAST('{value}' AS BIGINT)"


def _quote(text: str) -> str:
    # In standard SQL nothing but the quote itself has a meaning inside a text.
    return "'" + text.replace("'", "''") + "'"
