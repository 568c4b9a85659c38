"""Evidence asked of a running node: blocks go on being made meanwhile, any number of batches is found, and "not yet" is no refusal."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from gridcore import merkle
from gridcore.verify import decode_trust, verify_bundle
from ledger.client import NodeBusy, NodeRefused
from ledger.evidence import build_bundle
from ledger.http import dispatcher
from ledger.http.queries import settlement
from ledger.store import indexes
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.waiting import until
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.nodes import RunningNode, running_node, submit_all
from tests.worlds.transactions import Sender, transaction_id
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

TRUST = decode_trust(json.dumps(trust_of(TWO_AREAS.genesis)).encode())


def export(ledger: Ledger) -> bytes:
    return build_bundle(ledger, CONTRACTS, party="p-1", slot_start_s=FIRST_S, line_kind="trade_buy")


async def settle(node: RunningNode) -> Sender:
    sender = node.sender()
    await submit_all(node.client(), one_settled_slot(sender))
    return sender


async def test_rows_are_hashed_and_lines_computed_while_blocks_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settle(node)
        free: list[bool] = []

        def is_free() -> bool:
            if node.ledger._lock.acquire(timeout=0.2):
                node.ledger._lock.release()
                return True
            return False

        def salted(seed: bytes, rows: Sequence[bytes]) -> Sequence[bytes]:
            with ThreadPoolExecutor(1) as other:
                free.append(other.submit(is_free).result())
            return salted_leaf_hashes(seed, rows)

        salted_leaf_hashes = merkle.salted_leaf_hashes
        monkeypatch.setattr(merkle, "salted_leaf_hashes", salted)
        bundle = export(node.ledger)
        monkeypatch.undo()
        assert verify_bundle(bundle, TRUST).answer == "verified"
        assert len(free) == 5  # readings at both ends, the fill, the areas of clearing and run
        assert set(free) == {True}


async def test_every_row_that_somebody_is_billed_for_has_its_bundle_and_no_other_row_has(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settle(node)
        client, said = node.client("reg"), []
        for row in range(12):
            try:
                bundle = await client.fetch_bytes("evidence/row", area="a-1", slot_start_s=FIRST_S, row=row)
            except NodeRefused as refused:
                said.append(f"{refused.status} {refused}")
                continue
            verdict = verify_bundle(bundle, TRUST)
            assert (verdict.answer, f"row {row} of the run" in verdict.claims["position"]) == ("verified", True)
        assert 0 < len(said) < 12
        assert {one[:4] for one in said} == {"404 "}
        assert "nobody is billed for it" in said[0]
        assert re.search(r"row 11: run initial has \d+ rows", said[-1])
        for wrong in ({"area": "a-9"}, {"run": "final"}):
            with pytest.raises(NodeRefused):
                await client.fetch_bytes("evidence/row", **{"area": "a-1", **wrong}, slot_start_s=FIRST_S, row=0)


async def test_a_bundle_is_found_among_more_batches_than_a_page_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        sender = node.sender()
        orders, clock, _, boundary, _, due = one_settled_slot(sender)
        early = node.sender()  # with a chain of batches of its own
        many = [early.batch("gw-1", FIRST_S, [(number, 10 * number, 0)]) for number in (4, 3, 2)]
        last = [early.batch("gw-1", FIRST_S, [(1, 1000, 0), (2, 20, 0)])]
        end = [early.batch("gw-1", FIRST_S + SLOT_S, [(1, 1900, 0), (2, 20, 500), (3, 32, 0), (4, 60, 0)])]
        await submit_all(node.client(), [orders, clock, many, last, boundary, end, due])
        for page in (1, 2, 4, 1000):
            monkeypatch.setattr(indexes, "PAGE_BATCHES_MAX", page)
            assert verify_bundle(export(node.ledger), TRUST).answer == "verified"


async def test_what_stands_in_the_newest_block_is_not_yet_there_and_neither_busy_nor_unknown(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        orders, clock, first, boundary, second, due = one_settled_slot(node.sender())
        await submit_all(node.client(), [orders, clock, first, [*boundary, *second, *due]])
        with pytest.raises(NodeBusy, match=r"a later one .* ask again later") as not_yet:  # 503
            await node.client("p-1").fetch_bytes("evidence", party="p-1", slot_start_s=FIRST_S, line_kind="levy")
        assert not_yet.value.word == "not-yet"


async def test_a_run_whose_block_the_disk_has_not_taken_yet_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        *before, due = one_settled_slot(node.sender())
        await submit_all(node.client(), before)
        monkeypatch.setattr(node.ledger._files, "reach", _refuse("block_certified"))
        assert [answer.name for answer in await node.client().submit(due)] == ["NODE_BUSY"]
        with pytest.raises(NodeRefused, match="no run yet: it falls due at"):
            await node.client("p-1").fetch_bytes("evidence", party="p-1", slot_start_s=FIRST_S, line_kind="levy")
        monkeypatch.undo()
        sender = Sender(node.chain, FIRST_S + 2 * SLOT_S)
        await submit_all(node.client(), [[sender.clock(FIRST_S + 2 * SLOT_S + 1)]])
        assert verify_bundle(export(node.ledger), TRUST).answer == "verified"


def _refuse(step: str) -> Callable[[str], None]:
    def reach(name: str) -> None:
        if name == step:
            raise OSError(28, "No space left on device")

    return reach


async def are_asked(http: httpx.AsyncClient, url: str, count: int) -> bool:
    """Whether a node has ``count`` questions in hand."""
    return f"gridledger_node_questions {count}\n" in (await http.get(f"{url}/metrics")).text


async def test_one_callers_bundles_leave_threads_for_everybody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()

    def wait(*_: object, **__: object) -> bytes:
        begun.release()
        go_on.wait(20)
        return b"bundle"

    monkeypatch.setattr(settlement, "build_bundle", wait)
    monkeypatch.setattr(dispatcher, "LONG_MAX", 6)
    terms: dict[str, str | int] = {"party": "p-1", "slot_start_s": FIRST_S, "line_kind": "trade_buy"}
    async with running_node(tmp_path / "ledger") as node:
        client = node.client("util")
        asked = [asyncio.ensure_future(client.fetch_bytes("evidence", **terms)) for _ in range(6)]
        for _ in range(dispatcher.LONG_AT_ONCE):
            await asyncio.to_thread(begun.acquire)
        assert (await node.client("reg").query("gateways"))["gateways"]
        async with httpx.AsyncClient(trust_env=False) as http:
            await until(lambda: are_asked(http, node.url, len(asked)))
        assert not begun.acquire(blocking=False)
        with pytest.raises(NodeBusy, match="6 bundles and books are being made for you"):
            await client.fetch_bytes("evidence", **terms)
        go_on.set()
        assert await asyncio.gather(*asked) == [b"bundle"] * 6


async def test_a_bill_of_an_estimate_is_proved_without_readings_and_its_correction_with_them(tmp_path: Path) -> None:
    asked: dict[str, str | int] = {"party": "p-1", "slot_start_s": FIRST_S, "line_kind": "trade_buy"}
    rows = [(1, 1900, 0), (2, 500, 600), (3, 12, 0), (4, 90, 5)]
    async with running_node(tmp_path / "ledger") as node:
        signing = node.sender()
        orders, gate, starts, at_end, _ends, due = one_settled_slot(signing)
        await submit_all(node.client(), [orders, gate, starts, at_end, due, [signing.clock(FIRST_S + 2 * SLOT_S + 1)]])
        estimated = verify_bundle(await node.client("p-1").fetch_bytes("evidence", **asked), TRUST)
        late = signing.batch("gw-1", FIRST_S + SLOT_S, rows, counter=2, previous=transaction_id(starts[-1]))
        await submit_all(node.client(), [[late], [signing.clock(FIRST_S + 2 * SLOT_S + 2)]])
        corrected = verify_bundle(await node.client("p-1").fetch_bytes("evidence", **asked), TRUST)
        first = verify_bundle(await node.client("p-1").fetch_bytes("evidence", run="initial", **asked), TRUST)
    assert (estimated.answer, estimated.facts["run"], estimated.facts["estimated"]) == ("verified", "initial", True)
    assert {"energy", "readings"}.isdisjoint(estimated.claims)
    assert (corrected.answer, corrected.facts["run"], corrected.facts["import_wh"]) == ("verified", "correction-1", 900)
    assert "estimated" not in corrected.facts
    assert (first.answer, first.facts["later_runs"]) == ("verified", ["correction-1"])
