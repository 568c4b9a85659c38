"""The second verifier's primitives against the conformance vectors."""

import csv
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.second_verifier.auction import Bid, Terms, clear, split
from tests.second_verifier.encoding import MalformedError, decode, encode
from tests.second_verifier.signing import key_pair, sign
from tests.second_verifier.sm import sm2_holds, sm3
from tests.second_verifier.trees import LEFT, RIGHT, fold, leaf_hash, levels, path, root, salted_hashes, salts

_VECTORS = Path(__file__).parents[1] / "vectors"
# Bundles hold no null, and little depth.
_NOT_HERE = frozenset({"null", "nested-null", "upper-case", "deep-array", "deep-map", "deep-thousands"})


def cases(handler: str, left_out: frozenset[str] = frozenset()) -> list[Any]:
    loaded = []
    for case in sorted((_VECTORS / handler).glob("*/case.toml")):
        vector = tomllib.loads(case.read_text("utf-8"))
        if "expect" in vector and case.parent.name not in left_out:
            loaded.append(pytest.param(vector["input"], vector["expect"], id=case.parent.name))
    return loaded


def octets(text: str) -> bytes | None:
    try:
        return None if " " in text else bytes.fromhex(text)
    except ValueError:
        return None


@pytest.mark.parametrize(("given", "expected"), cases("sm3"))
def test_digest_is_that_of_the_vector(given: dict[str, str], expected: dict[str, str]) -> None:
    assert sm3(bytes.fromhex(given["message"])).hex() == expected["digest"]


@pytest.mark.parametrize(("given", "expected"), cases("sm2_verify"))
def test_signature_holds_as_in_the_vector(given: dict[str, str], expected: dict[str, bool]) -> None:
    key, message, signature = (octets(given[name]) for name in ("public_key", "message", "signature"))
    holds = key is not None and message is not None and signature is not None
    holds = holds and sm2_holds(key or b"", message or b"", signature or b"", given["distinguishing_id"].encode())
    assert holds is expected["valid"]


def sides(index: int, size: int) -> list[int]:
    """On which side each sibling of a leaf lies."""
    found = []
    while size > 1:
        if index % 2 or index + 1 < size:
            found.append(LEFT if index % 2 else RIGHT)
        index, size = index // 2, (size + 1) // 2
    return found


@pytest.mark.parametrize(("given", "expected"), cases("merkle_inclusion"))
def test_path_folds_to_the_root_as_in_the_vector(given: dict[str, Any], expected: dict[str, bool]) -> None:
    siblings = [octets(step) for step in given["path"]]
    leaf, wanted = octets(given["leaf"]), octets(given["root"])
    places = sides(given["index"], given["size"]) if 0 <= given["index"] < given["size"] < 2**63 else None
    valid = leaf is not None and places is not None and len(places) == len(siblings)
    if valid and places is not None and leaf is not None:
        steps = tuple(bytes([side]) + (step or b"") for side, step in zip(places, siblings, strict=True))
        valid = all(len(step) == 33 for step in steps) and fold(leaf_hash(leaf), steps) == wanted
    assert valid is expected["valid"]


@pytest.mark.parametrize(("given", "expected"), cases("salted_root"))
def test_salts_and_root_are_those_of_the_vector(given: dict[str, Any], expected: dict[str, Any]) -> None:
    seed, rows = bytes.fromhex(given["seed"]), [bytes.fromhex(row) for row in given["rows"]]
    assert [salt.hex() for salt in salts(seed, len(rows))] == expected["salts"]
    assert root(salted_hashes(seed, rows)).hex() == expected["root"]


@pytest.mark.parametrize(("given", "expected"), cases("cbor_canonical", _NOT_HERE))
def test_bytes_are_canonical_as_in_the_vector(given: dict[str, str], expected: dict[str, bool]) -> None:
    data = bytes.fromhex(given["bytes"])
    if not expected["canonical"]:
        with pytest.raises(MalformedError):
            decode(data, booleans=True)
    else:
        assert encode(decode(data, longest_array=1 << 16, booleans=True)) == data


def test_booleans_and_depth_beyond_the_limit_are_refused() -> None:
    assert decode(b"\xf5", booleans=True) is True
    assert decode(bytes([0x81] * 7 + [0x80])) == [[[[[[[[]]]]]]]]
    for data in (b"\xf5", b"\xf6", bytes([0x81] * 8 + [0x80]), encode(list(range(257)))):
        with pytest.raises(MalformedError):
            decode(data)


@pytest.mark.parametrize("size", range(1, 18))
def test_every_path_of_a_tree_leads_to_its_root(size: int) -> None:
    hashes = [leaf_hash(bytes([i])) for i in range(size)]
    assert len(levels(hashes)[0]) == size
    for i in range(size):
        assert fold(hashes[i], path(hashes, i)) == root(hashes)
        assert [step[0] for step in path(hashes, i)] == sides(i, size)


def test_signature_holds_for_its_message_and_key_alone() -> None:
    pair = key_pair("somebody")
    signature = sign(pair, b"message")
    assert sm2_holds(pair.public, b"message", signature)
    assert not sm2_holds(pair.public, b"another message", signature)
    assert not sm2_holds(key_pair("somebody else").public, b"message", signature)


def test_left_over_units_go_to_the_largest_remainders_then_to_the_first() -> None:
    assert split(10, [1, 1, 1]) == [4, 3, 3]
    assert split(7, [3, 5, 6]) == [2, 2, 3]  # 1.5, 2.5 and 3: the tie goes to the first


def test_auction_splits_the_level_that_does_not_fit() -> None:
    bids = [Bid(0, 100, 30), Bid(0, 50, 20), Bid(0, 70, 20), Bid(1, 150, 10), Bid(1, 40, 25)]
    outcome = clear(bids, Terms(15))
    assert (outcome.volume_wh, outcome.price_micro_per_kwh) == (150, 20)
    assert outcome.filled_wh == (100, 21, 29, 150, 0)


def test_price_is_the_reference_between_the_limits_and_none_without_volume() -> None:
    assert clear([Bid(0, 5, 30), Bid(1, 5, 10)], Terms(17)).price_micro_per_kwh == 17
    assert clear([Bid(0, 5, 30), Bid(1, 5, 10)], Terms(99)).price_micro_per_kwh == 30
    assert clear([Bid(0, 5, 9), Bid(1, 5, 10)], Terms(17)).price_micro_per_kwh is None
    assert clear([], Terms(17)).volume_wh == 0


def auctions() -> list[Any]:
    """The vectors with this project's rationing, and a reference price where several prices remain."""
    chosen = []
    for folder in sorted((_VECTORS / "call_auction").iterdir()):
        vector = tomllib.loads((folder / "case.toml").read_text("utf-8"))
        given = vector["input"]
        if "expect" in vector and given.get("rationing") == "pro_rata" and "reference_price_micro_per_kwh" in given:
            chosen.append(pytest.param(folder / given["orders"], given, vector["expect"], id=folder.name))
    return chosen


@pytest.mark.parametrize(("orders", "given", "expected"), auctions())
def test_auction_clears_as_in_the_vector(orders: Path, given: dict[str, Any], expected: dict[str, Any]) -> None:
    with orders.open(encoding="utf-8", newline="") as lines:
        rows = sorted(csv.DictReader(lines), key=lambda row: row["order_id"].encode())
    bids = [Bid(int(r["side"] == "sell"), int(r["quantity_wh"]), int(r["price_micro_per_kwh"])) for r in rows]
    outcome = clear(bids, Terms(given["reference_price_micro_per_kwh"]))
    filled = {row["order_id"]: wh for row, wh in zip(rows, outcome.filled_wh, strict=True) if wh}
    assert (outcome.volume_wh, outcome.price_micro_per_kwh) == (
        expected["volume_wh"],
        expected.get("price_micro_per_kwh"),
    )
    assert filled == expected["filled_wh"]
