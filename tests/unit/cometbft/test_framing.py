"""Messages on a socket: however the bytes are cut into reads, the same messages come out, and none that is too long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.engines.cometbft.framing import FrameError, FrameReader, frame

MESSAGES = [b"", b"a", bytes(127), bytes(128), bytes(300), bytes(16_384), b"end"]


def test_a_stream_cut_at_every_byte_gives_the_same_messages() -> None:
    stream = frame(MESSAGES)
    for cut in range(len(stream) + 1):
        reader = FrameReader()
        assert reader.feed(stream[:cut]) + reader.feed(stream[cut:]) == MESSAGES


def test_one_byte_at_a_time_gives_the_same_messages() -> None:
    reader, found = FrameReader(), list[bytes]()
    for byte in frame(MESSAGES):
        found += reader.feed(bytes([byte]))
    assert found == MESSAGES


@given(st.lists(st.binary(max_size=400)), st.lists(st.integers(1, 50)))
def test_any_messages_in_any_reads(messages: list[bytes], sizes: list[int]) -> None:
    stream, reader, found, start = frame(messages), FrameReader(), list[bytes](), 0
    for size in sizes:
        found += reader.feed(stream[start : start + size])
        start += size
    assert found + reader.feed(stream[start:]) == messages


def test_two_messages_in_one_read_are_two() -> None:
    assert FrameReader().feed(frame([b"one", b"two"])) == [b"one", b"two"]


def test_a_message_beyond_the_cap_is_refused_before_its_bytes_come() -> None:
    reader = FrameReader(bytes_max=1_000)
    assert reader.feed(frame([bytes(1_000)])) == [bytes(1_000)]
    with pytest.raises(FrameError, match="1001 bytes; at most 1000"):
        reader.feed(frame([bytes(1_001)])[:2])


def test_a_length_without_end_is_refused() -> None:
    with pytest.raises(FrameError, match="2\\^35"):
        FrameReader().feed(b"\xff" * 5)
