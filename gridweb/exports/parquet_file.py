"""Parquet, for data science: exact columns with their units as metadata. Needs the extra ``parquet`` (pyarrow)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

from gridweb.exports.format import Format, Provenance
from gridweb.tables import KINDS, TABLE_ROWS_MAX, Table

_INT64_MAX: Final = 2**63 - 1


def to_parquet(table: Table, provenance: Provenance) -> bytes:
    """A table of exact values: whole numbers as int64 (text where one of a column is wider), texts, nulls for no value."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = [_column(pa, [row[place] for row in table.rows]) for place in range(len(table.columns))]
    fields = [
        pa.field(
            column.key,
            values.type,
            metadata={"unit": KINDS[column.kind].format(currency=table.currency), "kind": column.kind},
        )
        for column, values in zip(table.columns, columns, strict=True)
    ]
    about = {**provenance._asdict(), "title": table.title, "tz": table.tz, "currency": table.currency}
    schema = pa.schema(fields, metadata={name: str(value) for name, value in about.items()})
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays(columns, schema=schema), file)
    return file.getvalue()


def _column(pa: Any, values: Sequence[object]) -> Any:
    numbers = [value for value in values if value is not None]
    if numbers and all(isinstance(value, int) and abs(value) <= _INT64_MAX for value in numbers):
        return pa.array(values, type=pa.int64())
    return pa.array([None if value is None else str(value) for value in values], type=pa.string())


PARQUET: Final = Format(
    "parquet", "Parquet", ".parquet", "application/vnd.apache.parquet", TABLE_ROWS_MAX, True, to_parquet
)
