"""What a ledger answers: proofs, receipts, indexes; the check of a whole directory; a missing guard."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gridcore import merkle
from gridcore.codes import Code
from gridcore.errors import InvariantError, UsageError
from gridcore.header import check_certificate, data_leaf, decode_receipt
from ledger.application import data_hashes
from ledger.leaves.delivery import DELIVERY
from ledger.store import indexes, reader
from ledger.store.check import check_ledger, renew_guard
from ledger.store.errors import StoreError
from ledger.store.ledger import Ledger
from ledger.store.rows import IndexedBatch
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import SLOT_S
from tests.worlds.feeders import FEEDERS, START_S, batches, clock_advance
from tests.worlds.keys import key
from tests.worlds.ledgers import decide, open_ledger
from tests.worlds.transactions import transaction_id

GW1 = batches("gw-1", 9)
BOUNDARY_S = START_S // SLOT_S * SLOT_S


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Eight blocks: the clock first, then one batch each; the last holds a refusal as well."""
    ledger = open_ledger(tmp_path)
    decide(ledger, [clock_advance(START_S + 1)])
    for wire in GW1[:6]:
        decide(ledger, [wire])
    assert decide(ledger, [GW1[0], GW1[6], b"no transaction"]) == [Code.COUNTER_PASSED, 0, Code.NOT_CANONICAL]
    yield ledger
    ledger.close()


def test_every_earlier_header_is_under_the_history_root_of_every_later_one(ledger: Ledger) -> None:
    for of_height in range(1, ledger.height + 1):
        root = ledger.header(of_height).history_root
        for height in range(of_height):
            path = ledger.history_path(height, of_height)
            assert merkle.fold(merkle.leaf_hash(ledger.digest(height)), path) == root
    with pytest.raises(InvariantError):
        ledger.history_path(3, 3)


def test_every_transaction_is_under_the_data_root_with_its_code(ledger: Ledger) -> None:
    for height in range(1, ledger.height + 1):
        for entry in ledger.transactions(height):
            path = ledger.data_path(height, entry.position)
            leaf = merkle.leaf_hash(data_leaf(entry.digest, entry.code))
            assert merkle.fold(leaf, path) == ledger.header(height).data_root
    wire, malformed = ledger.transactions(8)[1], ledger.transactions(8)[2]
    assert (wire.wire, wire.id, wire.code) == (GW1[6], transaction_id(GW1[6]), 0)
    assert (malformed.wire, malformed.id, malformed.code) == (b"no transaction", b"", Code.NOT_CANONICAL)


def test_a_leaf_proof_leads_to_a_certified_header(ledger: Ledger) -> None:
    proof = ledger.leaf_proof(DELIVERY.key("gw-1"))
    assert proof is not None
    assert merkle.fold(merkle.leaf_hash(proof.leaf), proof.path) == proof.header.state_root == ledger.state_root()
    check_certificate(proof.header, proof.certificate, [(key("operator").public_key, 1)])
    assert ledger.leaf_proof(DELIVERY.key("nobody")) is None


def test_a_transaction_is_found_where_it_was_applied_not_where_it_was_refused_later(ledger: Ledger) -> None:
    found = ledger.find_applied(transaction_id(GW1[0]))
    assert found is not None
    assert (found.height, found.position, found.code) == (2, 0, 0)
    transaction = ledger.transaction(transaction_id(GW1[0]))
    assert transaction is not None
    assert transaction.wire == GW1[0]
    assert ledger.find_transaction(bytes(32)) is None
    assert ledger.receipt(bytes(32)) is None


def test_receipts_of_one_block_hash_it_once_and_never_under_the_lock(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []

    def is_free() -> bool:
        if ledger._lock.acquire(timeout=0.5):
            ledger._lock.release()
            return True
        return False

    def count(decisions: Iterable[tuple[bytes, int]]) -> Sequence[bytes]:
        with ThreadPoolExecutor(1) as other:
            hashed.append(other.submit(is_free).result())
        return data_hashes(decisions)

    monkeypatch.setattr(reader, "data_hashes", count)
    ledger._trees.clear()
    for _ in range(3):
        receipt = ledger.receipt(transaction_id(GW1[6]))
        assert receipt is not None
        assert ledger.data_path(8, 1) == list(decode_receipt(receipt).path)
    assert ledger.transaction(transaction_id(GW1[6])) == ledger.transactions(8)[1]
    assert hashed == [True]


def test_few_blocks_are_kept_at_hand_and_the_one_asked_for_last_stays(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "BLOCK_TREES_MAX", 3)
    ledger._trees.clear()
    for height in (1, 2, 3, 1, 4):
        ledger.data_path(height, 0)
    assert list(ledger._trees) == [3, 1, 4]


def test_batches_are_found_by_gateway_and_boundary(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [IndexedBatch(BOUNDARY_S, 2 + n, 1 if n == 6 else 0, transaction_id(GW1[n])) for n in range(7)]
    assert ledger.find_batches("gw-1", 0, START_S) == expected
    assert ledger.find_batches("gw-1", BOUNDARY_S, BOUNDARY_S) == expected
    assert ledger.find_batches("gw-1", BOUNDARY_S + 1, START_S) == ledger.find_batches("gw-2", 0, START_S) == []
    monkeypatch.setattr(indexes, "PAGE_BATCHES_MAX", 7)
    assert ledger.find_batches("gw-1", 0, START_S) == expected
    monkeypatch.setattr(indexes, "PAGE_BATCHES_MAX", 6)
    page = ledger.find_batches("gw-1", 0, START_S)
    assert page == expected[:6]
    assert ledger.find_batches("gw-1", 0, START_S, page[-1]) == expected[6:]
    assert ledger.find_batches("gw-1", 0, START_S, expected[-1]) == []


def test_heights_that_are_not_there_are_refused_in_one_line(ledger: Ledger) -> None:
    for ask in (ledger.certificate, ledger.block, ledger.results, ledger.transactions):
        for height in (0, 9, -1):
            with pytest.raises(UsageError, match=rf"height {height}: this ledger has heights 1 to 8"):
                ask(height)
    assert ledger.header(0).digest() == ledger.digest(0)
    for ask_from_genesis in (ledger.header, ledger.digest):
        with pytest.raises(UsageError, match="heights 0 to 8"):
            ask_from_genesis(9)


def test_leaves_are_listed_by_prefix_in_number_order(ledger: Ledger) -> None:
    assert ledger.leaf_keys(DELIVERY.prefix) == [DELIVERY.key(gateway.name) for gateway in FEEDERS.gateways]
    assert ledger.leaf(DELIVERY.key("nobody")) is None
    assert ledger.get(DELIVERY.key("nobody")) is None
    assert len(ledger.leaf_keys()) == len(set(ledger.leaf_keys()))
    everything = list(ledger.application.state.leaf_keys())
    assert ledger.leaf_keys() == everything
    assert [ledger.leaf_keys("", start, 5) for start in (0, 5)] == [everything[:5], everything[5:10]]
    assert ledger.leaf_keys("", len(everything), 5) == []
    assert ledger.leaf_keys(DELIVERY.key("gw-2")) == [DELIVERY.key("gw-2")]
    said: list[str] = []
    ledger._db._tables.connection.set_trace_callback(said.append)
    ledger.leaf_keys(DELIVERY.prefix, 0, 5)
    ledger._db._tables.connection.set_trace_callback(None)
    plan = [detail for *_, detail in ledger._db._tables.rows(f"EXPLAIN QUERY PLAN {said[0]}")]
    assert plan[0].startswith("SEARCH leaves USING COVERING INDEX"), "a page looks at the keys of its prefix alone"


def test_a_directory_that_holds_is_checked_without_a_word(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="in use"):
        check_ledger(tmp_path, CONTRACTS)
    root, digest = ledger.state_root(), ledger.digest(8)
    ledger.close()
    report = check_ledger(tmp_path, CONTRACTS)
    assert report.holds
    assert (report.problems, report.notes) == ([], [])
    assert (report.height, report.transactions, report.state_root, report.digest) == (8, 10, root, digest)


def test_a_missing_database_and_a_torn_tail_are_notes(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    for path in tmp_path.glob("state.db*"):
        path.unlink()
    with (tmp_path / "blocks.log").open("ab") as file:
        file.write(b"GLB1 torn")
    report = check_ledger(tmp_path, CONTRACTS)
    assert report.holds
    assert any("missing; the next start" in note for note in report.notes)
    assert any("never signed" in note for note in report.notes)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE blocks SET certificate = x'80' WHERE height = 2", "not more than 2/3"),
        (
            "UPDATE blocks SET header = (SELECT header FROM blocks WHERE height = 2) WHERE height = 3",
            "header 3 differs",
        ),
        ("UPDATE blocks SET results = x'80' WHERE height = 3", "results of block 3 differ"),
        ("DELETE FROM transactions WHERE height = 4", "block 4 is not indexed"),
        ("UPDATE leaves SET leaf = x'80' WHERE key = 'protocol'", "the first is protocol"),
        ("UPDATE leaves SET number = 10000 WHERE key = 'protocol'", "leaves differ from the replayed state"),
        ("UPDATE state_tiles SET digests = zeroblob(32) WHERE tile = 0", "tile 0/0 of the state differs"),
        ("DELETE FROM history_tiles", "tile 0/0 of the headers differs"),
    ],
)
def test_a_database_that_says_something_else_is_a_problem(
    ledger: Ledger, tmp_path: Path, statement: str, said: str
) -> None:
    ledger.close()
    connection = sqlite3.connect(tmp_path / "state.db")
    connection.execute(statement)
    connection.commit()
    connection.close()
    report = check_ledger(tmp_path, CONTRACTS)
    assert not report.holds
    assert any(said in problem for problem in report.problems), report.problems


def test_a_log_that_is_cut_or_damaged_is_a_problem(ledger: Ledger, tmp_path: Path) -> None:
    offset = ledger._db.log_offset(5) or 0
    ledger.close()
    path = tmp_path / "blocks.log"
    whole = path.read_bytes()
    path.write_bytes(whole[:offset])
    assert any(
        "guard: stands at block 8, blocks.log ends with block 4" in p
        for p in check_ledger(tmp_path, CONTRACTS).problems
    )
    path.write_bytes(whole[: offset + 60] + bytes([whole[offset + 60] ^ 1]) + whole[offset + 61 :])
    assert any(f"block 5 at byte {offset}" in problem for problem in check_ledger(tmp_path, CONTRACTS).problems)


def test_a_missing_guard_is_written_anew_only_when_all_else_holds(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="never overwritten"):
        renew_guard(tmp_path, CONTRACTS)
    ledger.close()
    (tmp_path / "guard").unlink()
    whole = (tmp_path / "blocks.log").read_bytes()
    (tmp_path / "blocks.log").write_bytes(whole[:-1])
    with pytest.raises(StoreError, match="no guard is written"):
        renew_guard(tmp_path, CONTRACTS)
    (tmp_path / "blocks.log").write_bytes(whole)
    assert renew_guard(tmp_path, CONTRACTS).height == 8
    again = open_ledger(tmp_path)
    assert decide(again, [GW1[7]]) == [0]
    again.close()
    assert check_ledger(tmp_path, CONTRACTS).holds


def test_a_copy_of_the_log_alone_brings_back_every_certificate(ledger: Ledger, tmp_path: Path) -> None:
    certificates = [ledger.certificate(height) for height in range(1, 9)]
    ledger.close()
    other = tmp_path / "other"
    other.mkdir()
    for name in ("genesis.cbor", "blocks.log", "guard"):
        shutil.copy(tmp_path / name, other / name)
    again = open_ledger(other)
    assert [again.certificate(height) for height in range(1, 9)] == certificates
    again.close()
