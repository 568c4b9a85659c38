"""Tables of results by columns: the same bytes, order and roots as row by row with the plain encoder and csv writer."""

from __future__ import annotations

import csv
import io
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore import cbor, merkle
from gridcore.errors import GridError
from gridledger.tables import cells, files
from gridledger.tables.cells import cbor_rows, csv_rows, csv_text
from gridledger.tables.columns import table_of
from gridledger.tables.files import RunningRoot, write_csv, write_rows, write_tables
from gridledger.tables.results import results_root

NAMES = ("number", "text", "maybe", "word")
EDGES = [
    sign * (edge + near)
    for edge in (0, 24, 1 << 8, 1 << 16, 1 << 32, 10**4, 10**8, 10**12, 10**16)
    for near in (-1, 0, 1)
    for sign in (1, -1)
]
NUMBERS = st.one_of(st.sampled_from([*EDGES, -(2**63), 2**63 - 1]), st.integers(-(2**63), 2**63 - 1))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
Row = tuple[int | str, ...]
ROWS = st.lists(st.tuples(NUMBERS, TEXTS, st.one_of(st.just(""), NUMBERS), st.sampled_from(["a", "电", 'b"c', "d,e"])))


def plain_key(row: Row) -> tuple[tuple[int, int | bytes], ...]:
    return tuple((0, item) if isinstance(item, int) else (-1 if item == "" else 1, item.encode()) for item in row)


def plain_csv(rows: list[Row]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


@given(ROWS)
def test_columns_give_the_order_bytes_and_root_of_plain_rows(rows: list[Row]) -> None:
    table = table_of(NAMES, rows).sorted()
    rows = sorted(rows, key=plain_key)
    packed = cbor_rows(table)
    bounds = packed.offsets.tolist()
    assert [packed.data[start:end] for start, end in pairwise(bounds)] == [cbor.encode(list(row)) for row in rows]
    assert csv_rows(table) == plain_csv(rows)
    running = RunningRoot()
    running.add(table)
    assert running.root() == merkle.root(cbor.encode(list(row)) for row in rows)


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 63, 64, 65, 200])
def test_a_root_over_pieces_of_any_size_is_the_root_over_all(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_BLOCK_ROWS", 5)
    monkeypatch.setattr(files, "_SUBTREE_LEAVES", 8)
    table = table_of(("party", "energy_wh"), [("H001", row) for row in range(rows)])
    running = RunningRoot()
    for start in range(0, rows, 13):
        running.add(table.take(slice(start, start + 13)))
    assert running.root() == merkle.root(cbor.encode(["H001", row]) for row in range(rows))


def test_a_list_of_texts_is_encoded_once_however_many_blocks_bring_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []

    def noting(text: str) -> bytes:
        encoded.append(text)
        return csv_text(text)

    monkeypatch.setattr(files, "_BLOCK_ROWS", 5)
    monkeypatch.setattr(cells, "csv_text", noting)
    table = table_of(("party", "energy_wh"), [(f"H{row % 7}", row) for row in range(100)])
    write_csv(tmp_path / "a.csv", table.names, [table, table.take(slice(0, 20))])
    assert encoded == [f"H{number}" for number in range(7)]
    expected = [f"H{row % 7},{row}" for row in [*range(100), *range(20)]]
    assert (tmp_path / "a.csv").read_text().split() == ["party,energy_wh", *expected]


def test_tables_behind_one_another_are_one_file_with_one_header(tmp_path: Path) -> None:
    parts = [
        table_of(("party", "energy_wh"), [("H001", 3), ("H002", -4)]),
        table_of(("party", "energy_wh"), [("H003", 5)]),
    ]
    root = write_tables(tmp_path / "a.csv", ("party", "energy_wh"), parts)
    assert (tmp_path / "a.csv").read_text() == "party,energy_wh\nH001,3\nH002,-4\nH003,5\n"
    assert root == merkle.root(cbor.encode(list(row)) for row in [("H001", 3), ("H002", -4), ("H003", 5)])
    with pytest.raises(FileExistsError):
        write_rows(tmp_path / "a.csv", ("party",), [])


def test_a_table_without_rows_is_a_header_and_the_root_of_the_empty_tree(tmp_path: Path) -> None:
    assert write_rows(tmp_path / "a.csv", ("party", "energy_wh"), []) == merkle.EMPTY_ROOT
    assert (tmp_path / "a.csv").read_text() == "party,energy_wh\n"


def test_a_file_that_is_not_there_counts_as_the_empty_table() -> None:
    roots = {"statements.csv": b"s" * 32, "postings.csv": b"p" * 32}
    empty = merkle.EMPTY_ROOT
    assert results_root(roots) == merkle.root([empty, empty, b"p" * 32, b"s" * 32])


@pytest.mark.parametrize(
    ("value", "word"), [(2**63, "outside the signed 64-bit range"), ("text", "both numbers and texts")]
)
def test_a_column_that_is_no_column_is_named(value: int | str, word: str) -> None:
    with pytest.raises(GridError, match=f"column energy_wh holds .*{word}"):
        table_of(("energy_wh",), [(1,), (value,)])
