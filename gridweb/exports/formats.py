"""The formats in which every table of the pages is served, by the name in ``?format=``."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from gridweb.exports.csv_file import CSV
from gridweb.exports.format import Format
from gridweb.exports.json_file import JSON
from gridweb.exports.parquet_file import PARQUET
from gridweb.exports.pdf_file import PDF
from gridweb.exports.xlsx_file import XLSX

_BY_EXTRA: Final = (PARQUET,) if find_spec("pyarrow") is not None else ()
FORMATS: Final[dict[str, Format]] = {one.name: one for one in (CSV, XLSX, PDF, JSON, *_BY_EXTRA)}
