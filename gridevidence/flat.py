"""A decoded value as fields that a person reads one below the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def flat_fields(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, text) of each item inside, in the order of its bytes; bytes in hex."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from flat_fields(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from flat_fields(item, f"{key}[{index}]")
    else:
        yield key, value.hex() if isinstance(value, bytes) else str(value)
