"""Packed rows read like the list of rows that they hold."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.errors import InvariantError
from gridcore.rows import PackedRows


@given(st.integers(1, 50), st.integers(0, 12), st.randoms(use_true_random=False), st.data())
@settings(max_examples=60, deadline=None)
def test_packed_rows_read_like_a_list(row_bytes: int, count: int, draw: random.Random, data: st.DataObject) -> None:
    rows = [draw.randbytes(row_bytes) for _ in range(count)]
    packed = PackedRows.of(rows, row_bytes)
    assert (len(packed), list(packed)) == (count, rows)
    assert [packed[index] for index in range(-count, count)] == [rows[index] for index in range(-count, count)]
    start, stop = data.draw(st.integers(0, count)), data.draw(st.integers(0, count))
    assert list(packed[start:stop]) == rows[start:stop]
    assert PackedRows.of(packed) is packed
    for index in (-count - 1, count):
        with pytest.raises(IndexError):
            packed[index]


def test_rows_of_different_lengths_are_a_broken_promise() -> None:
    with pytest.raises(InvariantError, match="2 bytes each"):
        PackedRows.of([b"ab", b"c"])
    with pytest.raises(InvariantError, match="2 bytes each"):
        PackedRows.of([b"abc"], 2)
    with pytest.raises(InvariantError, match="whole rows"):
        PackedRows(b"abc", 2)
    with pytest.raises(InvariantError, match="step 1"):
        PackedRows(b"abcd", 2)[::2]
    assert list(PackedRows.of([])) == []
