"""Writing a table as a CSV file, and the root over its rows, both in one pass and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from gridcore.merkle import EMPTY_ROOT
from gridcore.sm3 import DIGEST_BYTES, ROWS
from gridcore.sm3.rows import LEAF_PREFIX
from gridledger.tables.cells import KeptTexts, cbor_rows, csv_rows, csv_text
from gridledger.tables.columns import Table, table_of

_BLOCK_ROWS: Final = 1 << 13
"""Rows encoded at once: their bytes stay in the processor's cache."""
_SUBTREE_LEAVES: Final = 1 << 15
"""Leaves of a whole subtree, of which only the root is kept: a power of two."""


class RunningRoot:
    """Root over the rows of a table that comes in pieces; 1 MiB of leaf hashes, and a digest for every 32,768 rows."""

    def __init__(self) -> None:
        self._leaves = b""
        self._roots: list[bytes] = []
        self._texts = KeptTexts()

    def add(self, table: Table) -> None:
        """The next rows; over the whole, they ascend."""
        for start in range(0, table.rows, _BLOCK_ROWS):
            packed = cbor_rows(table.take(slice(start, start + _BLOCK_ROWS)), self._texts)
            self._leaves += ROWS.slices(LEAF_PREFIX, packed.data, packed.offsets.tobytes())
            while len(self._leaves) >= _SUBTREE_LEAVES * DIGEST_BYTES:
                whole = self._leaves[: _SUBTREE_LEAVES * DIGEST_BYTES]
                self._roots.append(ROWS.root(whole))
                self._leaves = self._leaves[len(whole) :]

    def root(self) -> bytes:
        """The root over all rows so far, 32 bytes; of no row that of the empty tree."""
        roots = [*self._roots, *([ROWS.root(self._leaves)] if self._leaves else [])]
        return ROWS.root(b"".join(roots)) if roots else EMPTY_ROOT


def write_csv(path: Path, names: Sequence[str], tables: Iterable[Table]) -> None:
    """Make one CSV file of tables of the same columns, one behind the other. FileExistsError when something stands there."""
    texts = KeptTexts()
    with path.open("xb") as file:
        file.write(b",".join(csv_text(name) for name in names) + b"\n")
        for table in tables:
            for start in range(0, table.rows, _BLOCK_ROWS):
                file.write(csv_rows(table.take(slice(start, start + _BLOCK_ROWS)), texts))


def write_tables(path: Path, names: Sequence[str], tables: Iterable[Table]) -> bytes:
    """The same; the root over the rows. Over the whole they ascend where the root is to be one of a results file."""
    running = RunningRoot()

    def noted() -> Iterator[Table]:
        for table in tables:
            running.add(table)
            yield table

    write_csv(path, names, noted())
    return running.root()


def write_rows(path: Path, names: Sequence[str], rows: Iterable[Sequence[int | str]]) -> bytes:
    """The same of rows of Python values: for files that are small."""
    return write_tables(path, names, [table_of(names, rows)])
