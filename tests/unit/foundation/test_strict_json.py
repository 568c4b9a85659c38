"""JSON that others wrote: read whole and exactly, or refused in one line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.errors import EncodingError
from gridcore.strict_json import CONTAINERS_MAX, DEPTH_MAX, WHOLE_CHARACTERS_MAX, decode_json

LEAVES = st.none() | st.booleans() | st.integers(-(10**38), 10**38) | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner), max_leaves=20
)


@given(VALUES, st.booleans())
def test_what_a_program_writes_comes_back_as_it_was(value: object, is_ascii: bool) -> None:
    data = json.dumps(value, ensure_ascii=is_ascii).encode()
    assert decode_json(data, len(data)) == value


@given(st.binary(max_size=200) | st.text('[]{}":,\\u0dD8fe1-.\n', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused_in_one_line(data: bytes) -> None:
    line = refusal(data)
    assert "\n" not in line
    assert len(line) < 200


def refusal(data: bytes) -> str:
    """Why bytes are refused; empty when they are read, and what they say can be written again."""
    try:
        value = decode_json(data, 100)
    except EncodingError as error:
        return str(error)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return ""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"1.5", "not written as a whole one"),
        (b"1e3", "not written as a whole one"),
        (b"-" + b"1" * WHOLE_CHARACTERS_MAX, f"more than {WHOLE_CHARACTERS_MAX} characters"),
        (b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1), "nested too deeply"),
        (b"[" + b"{}," * CONTAINERS_MAX + b"{}]", f"more than {CONTAINERS_MAX} arrays and objects"),
        (rb'["\ud83d", "\ude00"]', "half of a surrogate pair"),
        (rb'{"\udead": 1}', "half of a surrogate pair"),
        (b'"' + b"x" * 5_000_000 + b'"', "at most 4000000 are read"),
    ],
)
def test_what_is_odd_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(EncodingError, match=reason):
        decode_json(data, 4_000_000)


def test_what_is_just_within_the_bounds_is_read() -> None:
    assert decode_json(b"[" * DEPTH_MAX + b"]" * DEPTH_MAX, 1_000)
    assert decode_json(b"9" * WHOLE_CHARACTERS_MAX, 1_000) == 10**WHOLE_CHARACTERS_MAX - 1
    assert decode_json(rb'"\ud83d\ude00 \\ud800"', 1_000) == "\U0001f600 \\ud800"
