"""Bytes from outside, before anything is known of their sender: what they may cost, and in which words they are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gridcore import cbor, merkle
from gridcore.envelope import (
    SIGNED_ITEMS_MAX,
    decode_transaction,
    decode_transactions,
    encode_signed,
    encode_transaction,
)
from gridcore.errors import EXCERPT_CHARACTERS_MAX, EncodingError, UsageError, excerpt
from gridcore.genesis import decode_genesis
from gridcore.header import (
    Header,
    Receipt,
    VerificationError,
    certificate_message,
    check_receipt,
    data_leaf,
    decode_header,
    decode_receipt,
    signers_digest,
)
from gridcore.sm import SigningKey
from gridcore.sm3 import sm3
from gridcore.transactions.readings import Reading, encode_attachment, split_attachment
from tests.worlds.feeders import FEEDERS
from tests.worlds.transactions import readings_of

KEY = SigningKey.from_scalar(bytes(31) + b"\x05")
CHAIN = "chain-1"
SIGNERS = [(KEY.public_key, 1)]
DIGEST = bytes(range(32))


def unreadable(items: int) -> bytes:
    """An array of ``items`` bytes none of which can be read: reading even one of them ends in another error."""
    return b"\x99" + items.to_bytes(2, "big") + b"\xff" * items


def signed_with(**changes: Any) -> bytes:
    """A transaction's signed part with changed keys."""
    parts: dict[str, Any] = {"chain": CHAIN, "kind": "k", "signer": "s", "identity": {}, "body": {}}
    whole = cbor.decode(encode_signed(**parts)) | changes
    return cbor.encode(whole)


@pytest.mark.parametrize(
    ("decode", "items_max"),
    [
        (decode_transaction, 4),
        (lambda data: decode_transaction(encode_transaction(data, bytes(64))), SIGNED_ITEMS_MAX),
        (split_attachment, 12),
        (lambda data: readings_of(data, 1), 12),
        (decode_header, 13),
        (decode_receipt, 1024),
    ],
    ids=["wire", "signed part", "attachment", "attachment of an evidence bundle", "header", "receipt"],
)
def test_more_items_than_there_can_be_are_refused_unread(decode: Callable[[bytes], object], items_max: int) -> None:
    with pytest.raises(EncodingError, match=f"at offset 0: more than {items_max} items"):
        decode(unreadable(60_000))


def test_signed_part_at_the_limit_of_items_decodes() -> None:
    room = SIGNED_ITEMS_MAX - 15  # a map, seven keys, seven values
    for items, fits in ((room, True), (room + 1, False)):
        wire = encode_transaction(signed_with(body={"x": list(range(items - 2))}), bytes(64))
        if fits:
            assert len(decode_transaction(wire).body["x"]) == items - 2
        else:
            with pytest.raises(EncodingError, match="items"):
                decode_transaction(wire)


def test_attachment_of_a_batch_has_just_the_items_that_are_allowed() -> None:
    readings = [Reading(number, 0, 0, number, 0) for number in range(3)]
    assert readings_of(encode_attachment(bytes(32), readings), 3) == readings


@pytest.mark.parametrize("version", [True, 2, 0, "1", b"\x01", [1]])
def test_a_version_that_is_not_the_integer_one_is_refused(version: Any) -> None:
    with pytest.raises(EncodingError, match="type and version"):
        decode_transaction(encode_transaction(signed_with(version=version), bytes(64)))


@pytest.mark.parametrize("version", [True, 1, 3, "2", b"\x02", [2]])
def test_a_version_of_a_receipt_that_is_not_the_integer_two_is_refused(version: Any) -> None:
    with pytest.raises(EncodingError, match="version 2"):
        decode_receipt(cbor.encode(cbor.decode(make_receipt().encode()) | {"version": version}))


def make_receipt() -> Receipt:
    """A receipt that holds: one signer, a block of two transactions."""
    hashes = [merkle.leaf_hash(data_leaf(digest, 0)) for digest in (DIGEST, bytes(32))]
    root = merkle.root_of_hashes(hashes)
    header = Header(CHAIN, 1, 5, 4, bytes(32), bytes(32), root, bytes(32), signers_digest(SIGNERS), b"", 2)
    signature = KEY.sign(certificate_message(CHAIN, 1, header.digest()))
    return Receipt(header, [(KEY.public_key, signature)], DIGEST, 0, tuple(merkle.sided_path(hashes, 0)))


@pytest.mark.parametrize(
    "path", [(b"",), (bytes(32),), (b"\x02" + bytes(32),), (b"\x01" + bytes(32),) * 1000], ids=repr
)
def test_a_receipt_whose_path_is_malformed_does_not_verify(path: tuple[bytes, ...]) -> None:
    receipt = make_receipt()
    check_receipt(receipt, chain=CHAIN, digest=DIGEST, signers=SIGNERS)
    with pytest.raises(VerificationError, match=r"^receipt: "):
        check_receipt(replace(receipt, path=path), chain=CHAIN, digest=DIGEST, signers=SIGNERS)


def test_a_receipt_with_the_most_signers_decodes() -> None:
    certificate = [(bytes(65), bytes(64))] * 256
    receipt = replace(make_receipt(), certificate=certificate, path=(bytes(33),) * merkle.PATH_ITEMS_MAX)
    assert decode_receipt(receipt.encode()) == receipt


def test_a_receipt_of_a_chain_with_an_endless_name_is_refused_in_one_short_line() -> None:
    receipt = make_receipt()
    bad = replace(receipt, header=replace(receipt.header, chain="x\n" * 100_000))
    with pytest.raises(VerificationError) as raised:
        check_receipt(bad, chain=CHAIN, digest=DIGEST, signers=SIGNERS)
    assert len(str(raised.value)) < 200
    assert "\n" not in str(raised.value)


def genesis(**changes: Any) -> bytes:
    """A genesis that is right but for the changes."""
    return cbor.encode(cbor.decode(FEEDERS.genesis_file) | changes)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not canonical CBOR at offset 0"),
        (genesis() + b"\x00", "1 bytes after the item"),
        (genesis(clock="x\n" * 100_000), "clock is one of block, simulated, imported"),
        (genesis(chain="x\n" * 100_000), "chain is 'test"),
        (genesis(version=True), "version is 2"),
    ],
    ids=["empty", "tail", "clock", "chain", "version"],
)
def test_a_genesis_that_does_not_decode_is_a_users_mistake_told_in_one_short_line(data: bytes, words: str) -> None:
    assert decode_genesis(genesis()) == FEEDERS.genesis
    with pytest.raises(UsageError) as raised:
        decode_genesis(data)
    line = str(raised.value)
    assert line.startswith("genesis: ")
    assert words in line
    assert len(line) < 250
    assert "\n" not in line


def test_an_excerpt_is_whole_up_to_its_limit() -> None:
    assert excerpt("n" * (EXCERPT_CHARACTERS_MAX - 2)) == repr("n" * (EXCERPT_CHARACTERS_MAX - 2))
    for text in ("n" * (EXCERPT_CHARACTERS_MAX - 1), "n" * 10**6, "\0" * 30):
        assert excerpt(text) == repr(text)[:EXCERPT_CHARACTERS_MAX] + "..."


def test_many_transactions_decode_like_each_alone_and_what_is_none_is_none() -> None:
    signed = [signed_with(signer=f"s{number}") for number in range(5)]
    wires = [encode_transaction(data, bytes(64), bytes(number)) for number, data in enumerate(signed)]
    expected = [decode_transaction(wire) for wire in wires]
    assert decode_transactions([*wires[:2], b"\xff", *wires[2:], b""]) == [*expected[:2], None, *expected[2:], None]
    assert [transaction.id for transaction in expected] == [sm3(data) for data in signed]
    assert expected[4].digest == sm3(cbor.encode([signed[4], bytes(64), sm3(bytes(4))]))
    assert decode_transactions([]) == []
