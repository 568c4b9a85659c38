"""The tables of a folder as Parquet besides: exact 64-bit numbers, texts, nulls for empty numbers. Needs the extra ``parquet`` (pyarrow)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

from gridcore.errors import UsageError

TEXTS: Final = frozenset(
    "meter area party role label kind target other element quality flags order side account run line_kind currency".split()
)
"""Columns of texts; every other column has whole numbers."""
SUFFIX: Final = ".parquet"


def check_parquet(argument: str) -> None:
    """UsageError naming ``argument`` where pyarrow is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError(f"{argument}: needs pyarrow; pip install 'gridledger[parquet]'")


def copy_as_parquet(csv: Path) -> Path:
    """Make ``NAME.parquet`` beside ``NAME.csv``, block by block: the same rows and columns, the same bytes for the same table."""
    from pyarrow import csv as arrow_csv
    from pyarrow import int64, parquet, string

    with csv.open("rb") as file:
        names = file.readline().decode().strip().split(",")
    types = {name: string() if name in TEXTS else int64() for name in names}
    path = csv.with_suffix(SUFFIX)
    # one thread: blocks, and with them row groups, end where they do on any machine
    read = arrow_csv.ReadOptions(use_threads=False)
    convert = arrow_csv.ConvertOptions(column_types=types, strings_can_be_null=False)
    with (
        arrow_csv.open_csv(csv, read_options=read, convert_options=convert) as blocks,
        path.open("xb") as out,
        parquet.ParquetWriter(out, blocks.schema) as writer,
    ):
        for block in blocks:
            writer.write_batch(block)
    return path
