"""A node's metrics as it answers ``/metrics``, kept in a file: lines of a name, labels and a value (Prometheus' text format)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Final

from gridcore.errors import UsageError
from gridcore.files import read_bounded
from gridwatch.columns import Sample

METRICS_BYTES_MAX: Final = 16 * 1024 * 1024
_LINE: Final = re.compile(r"(?P<series>(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})?) (?P<value>\S+)( \d+)?")


def read_metrics(path: Path) -> tuple[Sample, ...]:
    """The samples of a file in their order. UsageError names file and line."""
    data = read_bounded(path, METRICS_BYTES_MAX, "save what the node answers at /metrics")
    return tuple(_samples(data.decode("utf-8", "replace"), path))


def _samples(text: str, path: Path) -> Iterator[Sample]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        try:
            value = float(found["value"]) if found is not None else float("nan")
        except ValueError:
            value = float("nan")
        if found is None or not isfinite(value):
            raise UsageError(f'{path}:{number}: is no metric with a finite value; an example: height{{chain="a"}} 12')
        yield Sample(found["name"], found["series"], value)
