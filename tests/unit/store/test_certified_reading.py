"""What a ledger shows while its newest blocks have no certificates yet: everything is proved under the newest certified header."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore import merkle, verify
from gridcore.header import VerificationError, check_certificate, check_receipt, decode_receipt
from gridevidence.sources import EvidenceNotYetError
from ledger.evidence import build_bundle
from ledger.store.errors import NotCertifiedError
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import FIRST_S
from tests.worlds.feeders import FEEDERS, START_S, batches, clock_advance, new_key
from tests.worlds.keys import key
from tests.worlds.lagging import LAG, LaggingLedger, lagging_ledger
from tests.worlds.ledgers import decide, open_ledger
from tests.worlds.transactions import transaction_id
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

GW1 = batches("gw-1", 6)
SIGNERS = [(key("operator").public_key, 1)]
TRUST = verify.decode_trust(json.dumps(trust_of(TWO_AREAS.genesis)).encode())


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[LaggingLedger]:
    """Six blocks of one batch each after the clock; certificates up to height 5, and height 4 has none of its own."""
    blocks = [[clock_advance(START_S + 1)], *([wire] for wire in GW1)]
    with lagging_ledger(tmp_path, FEEDERS, blocks, uncovered={4}) as ledger:
        yield ledger


def test_the_certified_height_is_the_newest_with_a_certificate(ledger: LaggingLedger) -> None:
    assert (ledger.height, ledger.certified_height) == (7, 5)
    assert ledger.certificate(4) == ledger.certificate(6) == ledger.certificate(7) == []
    check_certificate(ledger.header(5), ledger.certificate(5), SIGNERS)
    assert ledger.certificate_power(5) == (1, 1)
    assert ledger.certificate_power(6) == ledger.certificate_power(0) == (0, 1)
    ledger.decide([])
    assert ledger.certified_height == 6


def test_the_certified_height_is_found_again_after_a_restart(ledger: LaggingLedger) -> None:
    ledger._db._certified_height = None
    assert ledger.certified_height == 5


def test_the_embedded_engines_certified_height_is_its_newest_and_costs_no_query(tmp_path: Path) -> None:
    embedded = open_ledger(tmp_path / "embedded")
    assert embedded.certified_height == 0
    decide(embedded, [clock_advance(START_S + 1)])
    asked: list[str] = []
    embedded._db._tables.connection.set_trace_callback(asked.append)
    assert embedded.certified_height == embedded.height == 1
    assert asked == []
    embedded.close()


def test_a_receipt_is_given_once_the_block_is_certified_and_not_before(ledger: LaggingLedger) -> None:
    decided, newest = transaction_id(GW1[1]), transaction_id(GW1[4])
    receipt = decode_receipt(ledger.receipt(decided) or b"")
    assert (receipt.header.height, receipt.certified) == (3, None)
    with pytest.raises(NotCertifiedError, match="block 6 has decided this transaction, and is not certified yet"):
        ledger.receipt(newest)
    ledger.decide([])
    receipt = decode_receipt(ledger.receipt(newest) or b"")
    check_receipt(receipt, chain=ledger.chain, digest=receipt.digest, signers=SIGNERS)


def test_a_receipt_of_a_header_without_a_certificate_is_proved_by_a_later_one(ledger: LaggingLedger) -> None:
    receipt = decode_receipt(ledger.receipt(transaction_id(GW1[2])) or b"")
    assert receipt.certified is not None
    assert (receipt.header.height, receipt.certified_header.height) == (4, 5)
    check_receipt(receipt, chain=ledger.chain, digest=receipt.digest, signers=SIGNERS)
    assert decode_receipt(receipt.encode()) == receipt
    wrong = {
        "not more than 2/3": replace(receipt, certified=None, certificate=[]),
        "a signature does not hold": replace(receipt, certified=None),
        "does not have height 4 in its history": replace(receipt, certified=replace(receipt.certified, path=())),
        "header 4 does not have height 4": replace(
            receipt, certified=replace(receipt.certified, header=receipt.header)
        ),
        "receipt of chain": replace(
            receipt, certified=replace(receipt.certified, header=replace(receipt.certified.header, chain="x"))
        ),
        "expected 33 bytes": replace(receipt, certified=replace(receipt.certified, path=(b"x",))),
    }
    for said, forged in wrong.items():
        with pytest.raises(VerificationError, match=said):
            check_receipt(forged, chain=ledger.chain, digest=receipt.digest, signers=SIGNERS)


def test_leaves_are_proved_as_they_were_at_the_certified_height(tmp_path: Path) -> None:
    blocks = [[clock_advance(START_S + 1)], [new_key("util", 1, START_S + 60)], [new_key("util", 2, START_S + 61)], []]
    with lagging_ledger(tmp_path, FEEDERS, blocks) as ledger:
        proof = ledger.leaf_proof("signer/util")
        assert proof is not None
        assert proof.header.height == 2
        check_certificate(proof.header, proof.certificate, SIGNERS)
        assert merkle.fold(merkle.leaf_hash(proof.leaf), proof.path) == proof.header.state_root
        assert proof.leaf != ledger.leaf("signer/util"), "the newest leaf is not certified yet"


def test_before_the_first_certificate_nothing_is_proved(tmp_path: Path) -> None:
    with lagging_ledger(tmp_path, FEEDERS, [[clock_advance(START_S + 1)], [GW1[0]]]) as ledger:
        assert ledger.certified_height == 0
        assert ledger.leaf_proof("chain") is None
        with pytest.raises(NotCertifiedError):
            ledger.receipt(transaction_id(GW1[0]))


def test_a_certificate_that_stays_away_for_longer_than_the_undo_log_is_said_in_one_line(
    ledger: LaggingLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.store.reader.PROVABLE_HEIGHTS", 1)
    with pytest.raises(
        NotCertifiedError, match="newest certificate is of height 5, and the state is proved at the newest 1"
    ):
        ledger.leaf_proof("chain")


def test_a_bundle_is_proved_under_the_newest_certified_header(tmp_path: Path) -> None:
    with lagging_ledger(tmp_path, TWO_AREAS, one_settled_slot(TWO_AREAS.sender())) as ledger:

        def export() -> bytes:
            return build_bundle(ledger, CONTRACTS, party="p-1", slot_start_s=FIRST_S, line_kind="trade_buy")

        for _ in range(LAG):
            with pytest.raises(EvidenceNotYetError, match="no certified header has the run of block 6 yet"):
                export()
            ledger.decide([])
        verdict = verify.verify_bundle(export(), TRUST)
        assert verdict.answer == verify.VERIFIED, verdict.reason
        assert (verdict.facts["height"], ledger.height) == (6, 8)
