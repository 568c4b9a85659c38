"""What newer files say otherwise than the ledger, as transactions and blocks take it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gridcore.registry.price_series import PRICE_SERIES
from gridcore.registry.row import Row
from gridcore.transactions.registry_register import ROWS_BYTES_MAX, ROWS_MAX, attached_bytes

REGISTERED_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of registrations in one block, which holds twice as much."""


def parts_of(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Rows as they go into transactions: price series first, then the rest; of each as many as one takes, by their count and their bytes."""
    series = [row for row in rows if row.key.startswith(f"{PRICE_SERIES.kind}/")]
    others = [row for row in rows if not row.key.startswith(f"{PRICE_SERIES.kind}/")]
    for kind in (series, others):
        part, size = list[Row](), 0
        for row in kind:
            row_bytes = attached_bytes(row)
            if part and (len(part) == ROWS_MAX or size + row_bytes > ROWS_BYTES_MAX):
                yield part
                part, size = [], 0
            part.append(row)
            size += row_bytes
        if part:
            yield part


def in_blocks(wires: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Registrations as they go into blocks: in one, unless they are more than it takes."""
    block, size = list[bytes](), 0
    for wire in wires:
        if block and size + len(wire) > REGISTERED_BYTES_MAX:
            yield block
            block, size = [], 0
        block.append(wire)
        size += len(wire)
    if block:
        yield block
