"""A bundle put together from what a ledger hands in is, byte for byte, the one that the specification's own builder makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from gridcore import cbor, merkle, verify
from gridcore.sm3 import sm3
from gridevidence.export import Pin, TrustedSigner, encode_book, encode_bundle, first_change, trust_root
from gridevidence.layout import BUNDLE_BYTES_MAX, HANDOVERS_MAX
from gridevidence.sources import (
    ChunkedRows,
    Enrolment,
    EvidenceError,
    EvidenceNotYetError,
    HandOver,
    MeterPiece,
    ProvenOrder,
    ProvenReading,
    RecordedTransaction,
    RegistryEntry,
    RowProof,
    SaltedRows,
    SettledPoint,
    StateProof,
)
from tests.second_verifier.chain_builder import RecordedRow, Rows
from tests.second_verifier.evidence import HAND_OVER, HEADER, LATER
from tests.second_verifier.facts import START_S
from tests.second_verifier.story import EXCHANGE, KEYS, NEW_SIGNERS, OLD_SIGNERS, RESET, SHARED, Story
from tests.second_verifier.told import Recorded, Told
from tests.unit.verify.honest import TRADE, evidence, tell, trust_of


class ToldLedger:
    """A told story as an ``EvidenceLedger`` of one height."""

    def __init__(self, told: Told, height: int = HEADER) -> None:
        self.told, self.chain, self.height = told, told.chain, height

    @contextmanager
    def frozen(self) -> Iterator[None]:
        yield

    def state_proof(self, key: str) -> StateProof | None:
        return self._proof(key, self.height)

    def genesis_proof(self, key: str) -> StateProof | None:
        return self._proof(key, 0)

    def _proof(self, key: str, height: int) -> StateProof | None:
        leaves = self.chain.blocks[height].state
        if key not in leaves:
            return None
        hashes = [merkle.leaf_hash(leaf) for leaf in leaves.values()]
        return StateProof(leaves[key], merkle.sided_path(hashes, list(leaves).index(key)))

    def _rows(self, key: str) -> list[RecordedRow]:
        return [row for row in (*self.told.genesis_rows, self.told.enrolled) if row.key == key]

    def entry_in_force(self, key: str, at_s: int, as_of_height: int) -> RegistryEntry | None:
        rows = [row for row in self._rows(key) if row.from_s <= at_s and row.height <= as_of_height]
        return _entry(rows[-1]) if rows else None

    def first_entry(self, key: str) -> RegistryEntry | None:
        return _entry(self._rows(key)[0])

    def enrolment(self, key: str, entry: RegistryEntry) -> Enrolment:
        assert (key, entry.recorded_height) == ("signer/h1", 1)
        hashes = merkle.salted_leaf_hashes(self.told.enrolled_rows.seed, self.told.enrolled_rows.rows)
        return Enrolment(recorded(self.told, self.told.enrolment), merkle.sided_path(hashes, 0))

    def decision(self, key: str, entry: RegistryEntry) -> StateProof | None:
        return None

    def header_bytes(self, height: int) -> bytes:
        return self.chain.blocks[height].header

    def certificate(self, height: int) -> Sequence[tuple[bytes, bytes]]:
        pairs: list[Any] = self.chain.certificate(height, OLD_SIGNERS if height < LATER else NEW_SIGNERS)
        return [(key, signature) for key, signature in pairs]

    def history_path(self, height: int, of_height: int) -> list[bytes]:
        hashes = [merkle.leaf_hash(block.digest) for block in self.chain.blocks[:of_height]]
        return merkle.sided_path(hashes, height)

    def handovers(self, to_height: int) -> Sequence[HandOver]:
        set_of_new = sorted((pair.public, 1) for pair in NEW_SIGNERS)
        return [HandOver(HAND_OVER, set_of_new)] if to_height > HAND_OVER else []


def _entry(row: RecordedRow) -> RegistryEntry:
    return RegistryEntry(row.from_s, row.height, row.row, row.salt)


def recorded(told: Told, of: Recorded) -> RecordedTransaction:
    transaction, block = of.transaction, told.chain.blocks[of.height]
    hashes = [merkle.leaf_hash(leaf) for leaf in block.data_leaves]
    leaf = cbor.encode([transaction.digest, 0])
    return RecordedTransaction(
        height=of.height,
        ledger_time_s=cbor.decode(block.header)[4],
        signer=cbor.decode(transaction.signed)["signer"],
        signed=transaction.signed,
        signature=transaction.signature,
        attachment_digest=sm3(transaction.attachment),
        header=block.header,
        data_path=merkle.sided_path(hashes, block.data_leaves.index(leaf)),
    )


def first_row(rows: Rows) -> RowProof:
    salted = SaltedRows(rows.rows, rows.seed)
    return salted.proof(0, rows.root, "told")


def pieces_of(story: Story, start: ProvenReading, end: ProvenReading) -> list[MeterPiece]:
    """The meters of the household in the slot."""
    if story.removed_s is None:
        return [MeterPiece(1, START_S, start=start, end=end)]
    number, begin_s = (1, story.removed_s) if story.next_meter_s is None else (3, story.next_meter_s)
    return [MeterPiece(1, START_S, ended_s=story.removed_s, start=start), MeterPiece(number, begin_s, end=end)]


def settled_point(told: Told) -> SettledPoint:
    """What a ledger would gather of the story's household."""
    start, end = (
        ProvenReading(recorded(told, batch), first_row(rows))
        for batch, rows in zip(told.batches, told.readings, strict=True)
    )
    has_orders = told.story.contract != SHARED.contract
    orders = [ProvenOrder(recorded(told, told.orders[0]), first_row(told.fills))] if has_orders else []
    return SettledPoint(
        zone="z1",
        area="a1",
        rules="r1",
        party="h1",
        point="p1",
        pieces=pieces_of(told.story, start, end),
        run="initial",
        slot_start_s=START_S,
        slot_s=900,
        as_of_height=5,
        open_before_start_s=3_600,
        position=first_row(told.positions),
        area_result=first_row(told.area_results),
        orders=orders,
        cleared_area=first_row(told.cleared) if has_orders else None,
    )


@pytest.mark.parametrize(
    "story",
    [Story(), Story(later_run=True), SHARED, EXCHANGE, RESET],
    ids=["a trade", "a later run", "shared", "an exchange", "a reset"],
)
def test_an_exported_bundle_is_the_one_of_the_specification(story: Story) -> None:
    told = tell(story)
    assert encode_bundle(ToldLedger(told), settled_point(told)) == evidence(story).bundle_bytes


def test_a_header_behind_a_change_of_signers_comes_with_the_hand_over() -> None:
    told = tell(Story())
    bundle = encode_bundle(ToldLedger(told, LATER), settled_point(told))
    assert len(cbor.decode(bundle)["handovers"]) == 1
    assert verify.verify_bundle(bundle, trust_of(TRADE)).answer == verify.VERIFIED


def test_of_more_changes_of_the_set_than_a_bundle_has_room_for_the_newest_are_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once a chain's 65th change made every new bundle one that no verifier reads."""
    ledger = ToldLedger(tell(Story()), LATER)
    (told,) = ledger.handovers(LATER)
    monkeypatch.setattr(ledger, "handovers", lambda _: [*([told] * HANDOVERS_MAX), HandOver(1, told.signers)])
    shown = cbor.decode(encode_bundle(ledger, settled_point(ledger.told)), items_max=1 << 16)["handovers"]
    assert len(shown) == HANDOVERS_MAX
    assert shown[-1]["header"] == ledger.header_bytes(1)


def test_a_bundle_shows_the_newest_changes_that_leave_it_readable_and_not_one_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sets of 256 validators: 64 changes of them are three times what a verifier reads."""
    ledger = ToldLedger(tell(Story()), LATER)
    signers = sorted((n.to_bytes(65), 1) for n in range(256))
    changes = [HandOver(height, signers) for height in range(1, LATER) for _ in range(20)][-HANDOVERS_MAX:]
    monkeypatch.setattr(ledger, "handovers", lambda _: changes)
    bundle = encode_bundle(ledger, settled_point(ledger.told))
    shown = cbor.decode(bundle)["handovers"]
    one = len(cbor.encode(shown[0]))
    assert 0 < len(shown) < HANDOVERS_MAX
    assert len(bundle) <= BUNDLE_BYTES_MAX < len(bundle) + one
    assert shown[-1]["header"] == ledger.header_bytes(changes[-1].height)
    assert first_change(bundle) == changes[-len(shown)].height
    exact = len(bundle)
    for limit, count in ((exact, len(shown)), (exact - 1, len(shown) - 1)):
        monkeypatch.setattr("gridevidence.export.BUNDLE_BYTES_MAX", limit)
        again = encode_bundle(ledger, settled_point(ledger.told))
        assert (len(cbor.decode(again)["handovers"]), len(again) <= limit) == (count, True)


@pytest.mark.parametrize("height", [5, 4])
def test_what_stands_in_the_newest_block_cannot_be_proved_yet(height: int) -> None:
    told = tell(Story())
    with pytest.raises(EvidenceNotYetError):
        encode_bundle(ToldLedger(told, height), settled_point(told))


def test_a_leaf_or_an_entry_that_there_is_not_is_named() -> None:
    told = tell(Story())
    with pytest.raises(EvidenceError, match="run/9000/z1/final"):
        encode_bundle(ToldLedger(told), replace(settled_point(told), run="final"))


def test_a_row_is_proved_out_of_its_chunk_and_the_roots_of_the_others() -> None:
    rows = [b"row %04d" % number for number in range(2_500)]
    seed = sm3(b"seed")
    salts = [bytes(salt) for salt in merkle.salts(seed, len(rows))]
    hashes = merkle.salted_leaf_hashes(seed, rows)
    chunk_roots = [merkle.root_of_hashes(hashes[start : start + 1_024]) for start in range(0, len(rows), 1_024)]
    root = merkle.root_of_hashes(hashes)
    for chunk, index in ((0, 3), (1, 1_023), (2, 451)):
        part = slice(1_024 * chunk, 1_024 * (chunk + 1))
        chunked = ChunkedRows(chunk, rows[part], salts[part], chunk_roots)
        whole = SaltedRows(rows, seed).proof(1_024 * chunk + index, root, "whole")
        assert chunked.proof(index, root, "chunk") == whole


def test_the_book_is_the_one_of_the_specification() -> None:
    book = tell(Story()).book
    assert encode_book(SaltedRows(book.rows, book.seed)) == TRADE.book_bytes


def test_a_trust_root_names_signers_and_pins() -> None:
    told = tell(Story())
    signers = [TrustedSigner(f"node {n}", pair.public, 1) for n, pair in enumerate(OLD_SIGNERS)]
    root = trust_root(told.chain.name, told.chain.blocks[0].digest, signers)
    assert root == TRADE.trust
    pinned = trust_root(
        told.chain.name, told.chain.blocks[0].digest, signers, [Pin("h1", sm3(KEYS["h1"].public).hex())]
    )
    assert pinned["pins"] == [{"fingerprint": KEYS["h1"].fingerprint.hex(), "signer": "h1"}]
