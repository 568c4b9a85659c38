"""Deterministic CBOR: laws over generated values, RFC 8949 examples, and everything that must be refused."""

from __future__ import annotations

import enum
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, NamedTuple

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import cbor
from gridcore.errors import EncodingError

SCALARS = (
    st.booleans()
    | st.integers(cbor.INT_MIN, cbor.INT_MAX)
    | st.binary(max_size=40)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)

# RFC 8949 appendix A, the examples of the kinds that the ledger uses.
EXAMPLES: list[tuple[Any, str]] = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (100, "1864"),
    (255, "18ff"),
    (256, "190100"),
    (65_535, "19ffff"),
    (65_536, "1a00010000"),
    (1_000_000_000_000, "1b000000e8d4a51000"),
    (18_446_744_073_709_551_615, "1bffffffffffffffff"),
    (-18_446_744_073_709_551_616, "3bffffffffffffffff"),
    (-1, "20"),
    (-100, "3863"),
    (-1000, "3903e7"),
    (False, "f4"),
    (True, "f5"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"),
    ('"\\', "62225c"),
    ("ü", "62c3bc"),
    ("水", "63e6b0b4"),
    ("𐅑", "64f0908591"),
    ([], "80"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({}, "a0"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
]

REFUSED = {
    "empty": "",
    "cut in the head": "19ff",
    "cut in a string": "43010200"[:6],
    "cut in an array": "8201",
    "cut in a map": "a16161",
    "bytes after the item": "0000",
    "one byte where the head has room": "1817",
    "two bytes for 255": "1900ff",
    "four bytes for 65535": "1a0000ffff",
    "eight bytes for 2^32-1": "1b00000000ffffffff",
    "long form of a length": "5800",
    "long form of an array length": "980101",
    "reserved information 28": "1c",
    "indefinite byte string": "5f4100ff",
    "indefinite text": "7f6161ff",
    "indefinite array": "9fff",
    "indefinite map": "bfff",
    "break alone": "ff",
    "tag": "c001",
    "half float": "f93c00",
    "single float": "fa3f800000",
    "double float": "fb3ff0000000000000",
    "null": "f6",
    "undefined": "f7",
    "simple value 0": "e0",
    "simple value in two bytes": "f818",
    "true in two bytes": "f815",
    "integer key": "a10100",
    "byte string key": "a1416100",
    "array key": "a18000",
    "boolean key": "a1f400",
    "duplicate key": "a2616100616100",
    "keys out of order": "a2616200616100",
    "dictionary order instead of encoded order": "a262616100617a00",
    "invalid UTF-8": "61ff",
    "UTF-8 of a surrogate": "63eda080",
    "overlong UTF-8": "62c080",
    "array longer than the input": "9bffffffffffffffff",
    "map longer than the input": "bb7fffffffffffffff",
    "string longer than the input": "5bffffffffffffffff",
}


@pytest.mark.parametrize(("value", "encoded"), EXAMPLES, ids=[encoded for _, encoded in EXAMPLES])
def test_rfc_8949_examples_in_both_directions(value: Any, encoded: str) -> None:
    assert cbor.encode(value).hex() == encoded
    decoded = cbor.decode(bytes.fromhex(encoded))
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize("encoded", REFUSED.values(), ids=REFUSED.keys())
def test_non_canonical_bytes_are_refused_with_the_offset(encoded: str) -> None:
    with pytest.raises(EncodingError, match=r"at offset \d+: "):
        cbor.decode(bytes.fromhex(encoded))
    if encoded != "f6":
        assert not cbor.is_canonical(bytes.fromhex(encoded))


def test_null_is_canonical_for_the_conformance_kit_but_never_decoded() -> None:
    assert cbor.is_canonical(b"\xf6")
    assert cbor.is_canonical(b"\x81\xf6")
    with pytest.raises(EncodingError, match="offset 1: null"):
        cbor.decode(b"\x81\xf6")


@given(VALUES)
@settings(max_examples=80, deadline=None)
def test_decode_is_the_inverse_of_encode(value: Any) -> None:
    encoded = cbor.encode(value)
    assert cbor.decode(encoded) == value
    assert cbor.is_canonical(encoded)
    assert cbor.encode(cbor.decode(encoded)) == encoded


@given(VALUES)
@settings(max_examples=60, deadline=None)
def test_an_independent_decoder_reads_the_same_value(value: Any) -> None:
    assert cbor2.loads(cbor.encode(value)) == value


@given(VALUES)
@settings(max_examples=60, deadline=None)
def test_an_independent_canonical_encoder_gives_the_same_bytes(value: Any) -> None:
    # cbor2 sorts keys by the older rule (shorter encodings first); among text keys alone the two rules agree.
    assert cbor2.dumps(value, canonical=True) == cbor.encode(value)


@given(st.dictionaries(KEYS, st.integers(0, 9), max_size=12))
@settings(max_examples=60, deadline=None)
def test_map_keys_stand_in_the_order_of_their_encoded_bytes(value: dict[str, int]) -> None:
    keys = list(cbor.decode(cbor.encode(value)))
    assert keys == sorted(value, key=cbor.encode)
    assert cbor.encode(dict(reversed(value.items()))) == cbor.encode(value)


def encoded_anew(data: bytes) -> bytes | None:
    """What ``data`` decodes to, encoded; None when it is refused."""
    try:
        return cbor.encode(cbor.decode(data))
    except EncodingError:
        return None


@given(st.binary(max_size=24) | VALUES.map(cbor.encode))
@settings(max_examples=80, deadline=None)
def test_whatever_is_accepted_is_its_own_encoding(data: bytes) -> None:
    assert encoded_anew(data) in (None, data)


@given(VALUES, st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=80, deadline=None)
def test_a_changed_byte_never_gives_the_same_value(value: Any, position: int, change: int) -> None:
    encoded = bytearray(cbor.encode(value))
    encoded[position % len(encoded)] ^= change
    assert encoded_anew(cbor.encode(value)) == cbor.encode(value)
    assert encoded_anew(bytes(encoded)) in (None, bytes(encoded))


@pytest.mark.parametrize(
    "value",
    [
        None,
        1.0,
        1 << 64,
        -(1 << 64) - 1,
        {1: 2},
        {b"a": 1},
        {None: 1},
        bytearray(b"a"),
        {"a"},
        1j,
        "\ud800",
        {"\ud800": 1},
    ],
    ids=repr,
)
def test_a_value_without_canonical_form_is_refused(value: Any) -> None:
    for wrapped in (value, [value], {"k": value}):
        with pytest.raises(EncodingError):
            cbor.encode(wrapped)


def test_enumerations_tuples_and_views_encode_as_their_values() -> None:
    class Quality(enum.IntEnum):
        SUSPECT = 3

    class Side(enum.StrEnum):
        BUY = "buy"

    class Term(NamedTuple):
        side: str
        quantity_wh: int

    assert cbor.encode((Quality.SUSPECT, Side.BUY)) == cbor.encode([3, "buy"])
    assert cbor.encode([Term("buy", 7)]) == cbor.encode([["buy", 7]])
    assert cbor.encode(MappingProxyType({"b": 1, Side.BUY: 2})) == cbor.encode({"buy": 2, "b": 1})


@pytest.mark.parametrize("nest", [lambda inner: [inner], lambda inner: {"a": inner}], ids=["arrays", "maps"])
def test_depth_is_allowed_up_to_the_limit_and_refused_beyond(nest: Any) -> None:
    value: Any = 0
    for _ in range(cbor.DEPTH_MAX):
        value = nest(value)
    assert cbor.decode(cbor.encode(value)) == value
    with pytest.raises(EncodingError, match="nested deeper"):
        cbor.encode(nest(value))
    head = cbor.encode(nest(0))[:-1]
    with pytest.raises(EncodingError, match="nested deeper"):
        cbor.decode(head * (cbor.DEPTH_MAX + 1) + b"\x00")
    assert cbor.is_canonical(head * 100 + b"\x00")


def test_very_deep_input_is_refused_without_exhausting_the_interpreter() -> None:
    deep = b"\x81" * 20_000
    assert not cbor.is_canonical(deep)
    assert cbor.is_canonical(deep + b"\x00")
    with pytest.raises(EncodingError, match="nested deeper"):
        cbor.decode(deep)


def test_the_error_names_the_offset_of_a_fault_inside() -> None:
    with pytest.raises(EncodingError, match="at offset 4: map key 'a' is duplicate"):
        cbor.decode(bytes.fromhex("a2616101616102"))
    with pytest.raises(EncodingError, match="at offset 2: text that is not UTF-8"):
        cbor.decode(bytes.fromhex("6261ff"))
    with pytest.raises(EncodingError, match="at offset 1: 1 bytes after the item"):
        cbor.decode(b"\x00\x00")


def items_of(value: Any) -> int:
    """Containers, scalars and map keys in a value."""
    if isinstance(value, dict):
        return 1 + sum(1 + items_of(item) for item in value.values())
    return 1 + sum(map(items_of, value)) if isinstance(value, list) else 1


@given(VALUES)
def test_items_are_allowed_up_to_the_bound_and_refused_beyond(value: Any) -> None:
    encoded = cbor.encode(value)
    items = items_of(value)
    assert cbor.decode(encoded, items_max=items) == value
    if items > 1:
        with pytest.raises(EncodingError, match=f"more than {items - 1} items"):
            cbor.decode(encoded, items_max=items - 1)


def test_a_container_that_announces_too_much_is_refused_at_its_head() -> None:
    many = cbor.ITEMS_MAX
    for head, width in ((b"\x9a", 1), (b"\xba", 2)):
        bad = head + many.to_bytes(4, "big") + b"\xff" * (width * many)  # 0xff is nothing that could be read
        with pytest.raises(EncodingError, match=f"at offset 0: more than {many} items"):
            cbor.decode(bad)
    fits = b"\x9a" + (many - 1).to_bytes(4, "big") + b"\xff" * many
    with pytest.raises(EncodingError, match="at offset 5"):
        cbor.decode(fits)


def test_empty_containers_count_as_items() -> None:
    assert cbor.decode(b"\x82\x80\xa0", items_max=3) == [[], {}]
    with pytest.raises(EncodingError, match="at offset 1: more than 3 items"):
        cbor.decode(b"\x82\x81\x80\xa0", items_max=3)


def test_canonical_form_itself_has_no_bound_on_items() -> None:
    assert cbor.is_canonical(b"\x9a" + cbor.ITEMS_MAX.to_bytes(4, "big") + b"\x00" * cbor.ITEMS_MAX)


@pytest.mark.parametrize(
    "fail",
    [
        lambda: cbor.decode(cbor.encode({"b" * 500_000: 0})[:-1] + b"\x00" + b"a" * 9),
        lambda: cbor.decode(b"\xa2" + 2 * (cbor.encode("\n" * 500_000) + b"\x00")),
        lambda: cbor.decode(b"\xa2" + 2 * (cbor.encode("\U000e0001" * 50) + b"\x00")),
        lambda: cbor.encode("\ud800" * 500_000),
        lambda: cbor.encode({"\ud800" * 500_000: 1}),
        lambda: cbor.encode(1 << 100_000),
        lambda: cbor.encode({1 << 100_000: 1}),  # type: ignore[dict-item]  # what the encoder must refuse
    ],
)
def test_an_error_quotes_little_of_what_it_refuses(fail: Callable[[], object]) -> None:
    with pytest.raises(EncodingError) as raised:
        fail()
    assert len(str(raised.value)) < 160
    assert "\n" not in str(raised.value)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=30))
def test_digests_packed_are_encoded_as_their_list(digests: list[bytes]) -> None:
    assert cbor.encode_digests(b"".join(digests)) == cbor.encode(digests)
