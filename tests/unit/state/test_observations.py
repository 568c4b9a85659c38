"""Observations beside the readings of a batch: one form of bytes for one value, hostile bytes refused, the digest bound by the body."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore import cbor
from gridcore.column import encode_column
from gridcore.errors import EncodingError
from gridcore.observations import (
    CODES_MAX,
    DEVICES_MAX,
    OBSERVATION_ROWS_MAX,
    OBSERVATIONS_BYTES_MAX,
    Observation,
    Observations,
    decode_observations,
    encode_observations,
)
from gridcore.sm3 import sm3
from gridcore.transactions.readings import Reading, attach, encode_attachment, split_attachment
from tests.worlds.transactions import readings_of

DEVICES = st.integers(0, 2**32 - 1)
OBIS = st.tuples(*[st.integers(0, 255)] * 3).map(lambda parts: ".".join(map(str, parts)))
ROWS = st.builds(Observation, DEVICES, OBIS, st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1))
NAMES = st.text(min_size=1, max_size=64).filter(str.isprintable)
REASONS = st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True)
OBSERVATIONS = st.builds(
    Observations,
    st.lists(ROWS, max_size=40).map(tuple),
    st.dictionaries(DEVICES, NAMES, max_size=5),
    st.dictionaries(DEVICES, REASONS, max_size=5),
)
VOLTAGE = Observation(7, "32.7.0", 230_100, -40)
READINGS = [Reading(number, 0, 0, number, 0) for number in range(3)]


def encoded_anew(data: bytes) -> bytes | None:
    """What ``data`` decodes to, encoded; None when it is refused."""
    try:
        return encode_observations(decode_observations(data))
    except EncodingError:
        return None


@given(OBSERVATIONS)
def test_observations_come_back_as_they_were_and_have_one_form_of_bytes(observations: Observations) -> None:
    data = encode_observations(observations)
    assert decode_observations(data) == observations
    backwards = replace(
        observations,
        names=dict(reversed(list(observations.names.items()))),
        absent=dict(reversed(list(observations.absent.items()))),
    )
    assert encode_observations(backwards) == data


@given(OBSERVATIONS, st.data())
def test_changed_bytes_are_refused_or_are_the_one_form_of_other_observations(
    observations: Observations, data: st.DataObject
) -> None:
    changed = bytearray(encode_observations(observations))
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    assert encoded_anew(encode_observations(observations)) == encode_observations(observations)
    assert encoded_anew(bytes(changed)) in (None, bytes(changed))


@given(st.binary(max_size=300))
def test_any_bytes_are_observations_or_an_encoding_error(data: bytes) -> None:
    assert encoded_anew(data) in (None, data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows": 2}, "has another length"),
        ({"rows": -1}, "0 to"),
        ({"rows": True}, "0 to"),
        ({"rows": OBSERVATION_ROWS_MAX + 1}, "0 to"),
        ({"rows": 0}, "four columns, or none"),
        ({"columns": []}, "four columns"),
        ({"columns": [b""] * 4}, "at least one value"),
        ({"columns": [1] * 4}, "byte strings"),
        ({"columns": [encode_column([value]) for value in (7, 1, 5, 0)]}, "not among the codes"),
        ({"columns": [encode_column([value]) for value in (7, -1, 5, 0)]}, "not among the codes"),
        ({"columns": [encode_column([value]) for value in (2**32, 0, 5, 0)]}, "2^32"),
        ({"columns": [encode_column([value]) for value in (7, 0, 5, 2**31)]}, "32-bit"),
        ({"codes": ["32.7.0", "52.7.0"]}, "canonical form"),
        ({"codes": ["32.7.0\n"]}, "OBIS"),
        ({"codes": ["３2.7.0"]}, "OBIS"),
        ({"codes": [327]}, "texts"),
        ({"codes": "32.7.0"}, "texts"),
        ({"names": [[2, "b"], [1, "a"]]}, "canonical form"),
        ({"names": [[1, "a"], [1, "a"]]}, "canonical form"),
        ({"names": [[1, "line\nfeed"]]}, "not a name"),
        ({"names": [[1, ""]]}, "not a name"),
        ({"names": [[1, 5]]}, "not a name"),
        ({"names": [[1, "a", "b"]]}, "pairs"),
        ({"names": [["1", "a"]]}, "pairs"),
        ({"names": {}}, "arrays"),
        ({"absent": [[1, "No answer"]]}, "not a reason"),
        ({"absent": [[1, ["x"]]]}, "not a reason"),
        ({"absent": [[-1, "stale"]]}, "pairs"),
        ({"extra": 1}, "exactly the keys"),
    ],
    ids=repr,
)
def test_bytes_of_another_form_are_refused_with_their_fault(change: dict[str, Any], words: str) -> None:
    good = cbor.decode(encode_observations(Observations((VOLTAGE,), {9: "relay"}, {8: "stale"})))
    with pytest.raises(EncodingError) as raised:
        decode_observations(cbor.encode(good | change))
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "too_many",
    [
        Observations((VOLTAGE,) * (OBSERVATION_ROWS_MAX + 1)),
        Observations(tuple(replace(VOLTAGE, value_milli=2**40 * n) for n in range(6_000))),
        Observations(tuple(replace(VOLTAGE, obis=f"{n // 200}.{n % 200}.0") for n in range(CODES_MAX + 1))),
        Observations(names=dict.fromkeys(range(DEVICES_MAX + 1), "x")),
        Observations(absent=dict.fromkeys(range(DEVICES_MAX + 1), "stale")),
    ],
    ids=["rows", "bytes", "codes", "names", "absent"],
)
def test_more_observations_than_the_limits_allow_are_not_encoded(too_many: Observations) -> None:
    with pytest.raises(EncodingError, match=r"at most|more than"):
        encode_observations(too_many)


def test_bytes_beyond_the_limit_are_refused_before_they_are_read() -> None:
    with pytest.raises(EncodingError, match="more than 65536"):
        decode_observations(b"\xff" * (OBSERVATIONS_BYTES_MAX + 1))


def test_as_many_devices_as_are_allowed_come_back() -> None:
    most = Observations(
        absent=dict.fromkeys(range(DEVICES_MAX), "no_answer"), names=dict.fromkeys(range(DEVICES_MAX), "x")
    )
    with pytest.raises(EncodingError, match="65536"):
        encode_observations(most)
    for one in (replace(most, names={}), replace(most, absent={})):
        assert decode_observations(encode_observations(one)) == one


def test_attachment_holds_observations_beside_its_columns() -> None:
    observed = encode_observations(Observations((VOLTAGE,)))
    attachment = encode_attachment(bytes(32), READINGS, observed)
    seed, columns, held = split_attachment(attachment)
    assert (seed, len(columns), held) == (bytes(32), 5, observed)
    assert readings_of(attachment, 3) == READINGS
    assert split_attachment(encode_attachment(bytes(32), READINGS))[2] == b""


@pytest.mark.parametrize(
    "observed", [b"", "text", 5, [], bytes(OBSERVATIONS_BYTES_MAX + 1)], ids=lambda value: repr(value)[:9]
)
def test_attachment_with_observations_of_another_form_is_refused(observed: Any) -> None:
    good = cbor.decode(encode_attachment(bytes(32), READINGS))
    with pytest.raises(EncodingError, match="observations"):
        split_attachment(cbor.encode(good | {"observations": observed}))


def test_attachment_is_not_encoded_with_too_many_observations() -> None:
    assert split_attachment(encode_attachment(bytes(32), READINGS, bytes(OBSERVATIONS_BYTES_MAX)))[2]
    with pytest.raises(EncodingError, match="65537"):
        encode_attachment(bytes(32), READINGS, bytes(OBSERVATIONS_BYTES_MAX + 1))


def test_a_batch_names_its_observations_by_digest_and_none_where_there_are_none() -> None:
    assert attach(bytes(32), READINGS).observations is None
    assert attach(bytes(32), READINGS, b"some").observations == sm3(b"some")
