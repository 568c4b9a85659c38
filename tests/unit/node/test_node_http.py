"""The node's interface on a real socket: who may ask what, submissions and their bounds, errors, waiting, going down."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from gridcore import cbor
from gridcore.envelope import decode_transaction
from gridcore.header import VerificationError, check_receipt
from gridcore.node_interface import API, TRANSACTIONS_MAX, WAIT_S_MAX
from gridcore.signed_query import Audience, authorization
from gridcore.verify import decode_trust, verify_bundle
from ledger.client import (
    Client,
    NodeRefused,
    NodeUnreachable,
    NotCertified,
)
from ledger.http import bodies
from ledger.http.queries import answers
from ledger.http.view import LedgerView
from ledger.trust import trust_of
from tests.independent import recompute
from tests.worlds.consortium import DAYS, FIRST_S, PRICES, SLOT_S, START_S
from tests.worlds.keys import key
from tests.worlds.nodes import RunningNode, running_node, submit_all, wait_for_waiters
from tests.worlds.transactions import Sender
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

SLOT = f"areas/a-1/slots/{FIRST_S}"
EVERYBODY = {"", *TWO_AREAS.signers}
READS_ALL = {"util", "reg", "admin"}
OF_AREA_1 = READS_ALL | {"p-1", "p-2"}
DAY = f"areas/a-1/days/{DAYS[1]}/statements"
# of the one settled slot: party, (import, export), (bought, sold)
TAKEN_AND_TRADED = (("p-1", (900, 0), (300, 0)), ("p-2", (0, 500), (0, 300)), ("l-1", (80, 0), (0, 0)))
# route, parameters, who may
MATRIX: tuple[tuple[str, dict[str, str | int], set[str]], ...] = (
    ("status", {}, EVERYBODY),
    ("clock", {}, EVERYBODY),
    ("openapi.json", {}, EVERYBODY),
    ("changes", {"after_height": 0}, READS_ALL),
    ("blocks/1", {}, READS_ALL),
    ("blocks", {}, READS_ALL),
    ("gateways", {}, READS_ALL),
    ("fleet", {}, READS_ALL),
    ("gateways/gw-1/observations", {"boundary_s": FIRST_S}, READS_ALL),
    ("calendars/c", {}, set(TWO_AREAS.signers)),
    ("areas/a-1/installations", {}, OF_AREA_1),
    ("areas/a-1/installations", {"party": "p-1"}, READS_ALL | {"p-1"}),
    (f"{SLOT}/positions", {}, OF_AREA_1),
    (f"{SLOT}/positions", {"party": "p-1"}, READS_ALL | {"p-1"}),
    (f"{SLOT}/orders", {"party": "p-1"}, READS_ALL | {"p-1"}),
    (f"{SLOT}/run", {"party": "p-1"}, READS_ALL | {"p-1"}),
    (DAY, {"party": "p-1"}, READS_ALL | {"p-1"}),
    ("credit", {"party": "p-1"}, READS_ALL | {"p-1"}),
    ("profiles", {"party": "p-1"}, READS_ALL | {"p-1"}),
    ("disputes", {}, READS_ALL | {"p-1", "p-2", "q-1"}),
    ("gateways/gw-1", {}, READS_ALL | {"gw-1"}),
    ("gateways/gw-2", {}, READS_ALL | {"gw-2"}),
    ("proposals", {}, READS_ALL),
    ("organisations", {}, READS_ALL),
    ("contracts", {}, READS_ALL),
    ("protocol", {}, READS_ALL),
    ("validators", {}, READS_ALL),
    ("permissions", {}, READS_ALL),
    ("areas", {}, READS_ALL | {"p-1", "p-2", "q-1"}),
    ("areas/a-1/progress", {}, READS_ALL),
    ("areas/a-1/coverage", {"boundary_s": FIRST_S}, READS_ALL),
    ("areas/a-1/registers", {"boundary_s": FIRST_S}, OF_AREA_1),
    (f"{SLOT}/orders", {}, OF_AREA_1),
    (f"{SLOT}/clearing", {}, OF_AREA_1),
    (f"{SLOT}/run", {}, OF_AREA_1),
    (DAY, {}, OF_AREA_1),
    (DAY.replace("statements", "runs"), {}, OF_AREA_1),
    ("exceptions", {}, READS_ALL),
    ("accounts", {"area": "a-1"}, OF_AREA_1),
    ("accounts/sums", {}, READS_ALL),
    ("book", {"area": "a-1", "slot": FIRST_S}, READS_ALL),
    ("evidence", {"party": "p-1", "slot_start_s": FIRST_S, "line_kind": "levy"}, READS_ALL | {"p-1"}),
    ("evidence/row", {"area": "a-1", "slot_start_s": FIRST_S, "row": 0}, READS_ALL),
    ("evidence", {"party": "l-1", "slot_start_s": FIRST_S, "line_kind": "levy"}, READS_ALL),
)


async def settled(node: RunningNode) -> Sender:
    """Let the node trade and settle one slot."""
    sender = node.sender()
    await submit_all(node.client(), one_settled_slot(sender))
    return sender


async def test_every_role_sees_what_it_may_and_nothing_else(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        for path, params, allowed in MATRIX:
            for name in sorted(EVERYBODY):
                try:
                    await node.client(name or None).fetch_bytes(path, **params)
                    status = 200
                except NodeRefused as refused:
                    status = refused.status
                expected = 200 if name in allowed else 403 if name else 401
                assert (path, name, status) == (path, name, expected)


async def test_a_refused_caller_does_not_learn_what_exists(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        for path in (
            "areas/{}/registers?boundary_s=0",
            f"areas/{{}}/slots/{FIRST_S}/run",
            "areas/{}/days/0/statements",
            "gateways/{}",
        ):
            lines = set()
            for name in ("a-2", "a-9", "gw-2", "gw-9"):
                where, _, query = path.format(name).partition("?")
                with pytest.raises(NodeRefused) as raised:
                    await node.client("p-1").query(where, **dict(pair.split("=") for pair in query.split("&") if pair))
                lines.add((raised.value.status, raised.value.detail.replace(name, "X")))
            assert len(lines) == 1


async def test_a_party_sees_its_own_lines_orders_registers_and_balance_alone(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        own, all_of_it = node.client("p-1"), node.client("util")
        everything = await all_of_it.query(f"{SLOT}/run")
        run = await own.query(f"{SLOT}/run")
        assert run["lines"] == [line for line in everything["lines"] if line["party"] == "p-1"] != []
        assert run["postings"] == [entry for entry in everything["postings"] if entry["account"] == "p-1"]
        assert [total["party"] for total in run["parties"]] == ["p-1"]
        assert "result" not in run
        assert [order["party"] for order in (await own.query(f"{SLOT}/orders"))["orders"]] == ["p-1"]
        registers = await own.query("areas/a-1/registers", boundary_s=FIRST_S)
        assert registers == await all_of_it.query("areas/a-1/registers", boundary_s=FIRST_S, party="p-1")
        assert [row["meter"] for row in registers["registers"]] == ["M-1"]
        accounts = await own.query("accounts", area="a-1")
        assert accounts["accounts"] == []
        assert accounts["balances"] == [{"party": "p-1", "point": "P-1", "owes_nano": run["parties"][0]["pays_nano"]}]
        assert [area["area"] for area in (await node.client("q-1").query("areas"))["areas"]] == ["a-2"]


async def test_figures_of_a_settled_slot(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        client = node.client("util")
        registers = (await client.query("areas/a-1/registers", boundary_s=FIRST_S))["registers"]
        assert [(row["meter"], row["import_wh"], row["export_wh"], row["quality"]) for row in registers] == [
            ("M-1", 1000, 0, "measured"),
            ("M-2", 500, 100, "measured"),
            ("M-3", 400, 0, "measured"),  # ratio 40
            ("M-4", 7000, 500, "measured"),  # ratio 100
        ]
        absent = (await client.query("areas/a-2/registers", boundary_s=FIRST_S))["registers"]
        assert absent == [{"meter": "M-5", "import_wh": None, "export_wh": None, "quality": "missing", "flags": []}]
        assert await client.query("areas/a-1/coverage", boundary_s=FIRST_S) == {
            "area": "a-1",
            "boundary_s": FIRST_S,
            "expected": 4,
            "committed": 4,
            "borders_elsewhere": 0,
        }
        orders = (await client.query(f"{SLOT}/orders"))["orders"]
        assert [(order["order"], order["filled_wh"]) for order in orders] == [
            (f"p-1/{FIRST_S}/1", 300),
            (f"p-2/{FIRST_S}/1", 300),
        ]
        run = await client.query(f"{SLOT}/run")
        assert sum(entry["debit_nano"] - entry["credit_nano"] for entry in run["postings"]) == 0
        assert (run["result"]["points"], run["result"]["volume_wh"], run["estimated"]) == (3, 300, 0)
        assert {line["party"] for line in run["lines"]} == {"p-1", "p-2", "l-1"}
        gateway = await client.query("gateways/gw-1")
        assert (gateway["epoch"], gateway["counter"], gateway["last_boundary_s"]) == (1, 2, FIRST_S + SLOT_S)
        (exception,) = (await client.query("exceptions", gateway="gw-1"))["exceptions"]
        assert exception["rows"] == [{"row": 4, "meter": 9, "code": 82, "name": "ROW_UNKNOWN_METER"}]
        assert (await client.query("exceptions", gateway="gw-2"))["exceptions"] == []


async def test_what_a_run_says_is_what_independent_arithmetic_finds(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        answer = await node.client("util").query(f"{SLOT}/run")
        price = (await node.client("util").query(f"{SLOT}/clearing"))["price_micro_per_kwh"]
    lines = [
        (recompute.RUN, party, FIRST_S, *line)
        for party, taken, traded in TAKEN_AND_TRADED
        for line in recompute.lines_of_party(taken, traded, price, PRICES)
    ]
    points = {line.pop("point") for line in answer["lines"]} | {total.pop("point") for total in answer["parties"]}
    assert points == {"P-1", "P-2", "P-3"}
    assert [(recompute.RUN, line.pop("party"), FIRST_S, *line.values()) for line in answer["lines"]] == lines
    book = [(FIRST_S, *posting.values(), recompute.RUN) for posting in answer["postings"]]
    assert sorted(book) == sorted(recompute.post(lines))
    for total, (party, taken, _) in zip(answer["parties"], TAKEN_AND_TRADED, strict=True):
        pays = sum(int(line[6]) for line in lines if line[1] == party)
        assert tuple(total.values()) == (party, pays, recompute.supplier_only(*taken, PRICES))


async def test_a_gate_that_closed_without_orders_had_none_and_its_book_is_empty(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        client, idle = node.client("reg"), {"area": "a-2", "slot_start_s": FIRST_S, "zone": "z-2"}
        answer = await client.query(f"areas/a-2/slots/{FIRST_S}/clearing")
        assert answer == {**idle, "orders": 0, "price_micro_per_kwh": None, "volume_wh": 0}
        assert cbor.decode(await client.fetch_bytes("book", area="a-2", slot=FIRST_S))["book"] == []
        with pytest.raises(NodeRefused, match="not cleared yet"):
            await client.query(f"areas/a-2/slots/{FIRST_S + 8 * SLOT_S}/clearing")


async def test_evidence_is_a_bundle_that_verifies(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        client = node.client("p-1")
        params: dict[str, str | int] = {"party": "p-1", "slot_start_s": FIRST_S}
        bundle = await client.fetch_bytes("evidence", **params, line_kind="trade_buy")
        root = decode_trust(json.dumps(trust_of(TWO_AREAS.genesis)).encode())
        assert verify_bundle(bundle, root).answer == "verified"
        book = await node.client("reg").fetch_bytes("book", area="a-1", slot=FIRST_S)
        assert verify_bundle(bundle, root, book).answer == "verified"
        for wrong in ({"line_kind": "gift"}, {"line_kind": "shortfall"}, {"line_kind": "levy", "run": "final"}):
            with pytest.raises(NodeRefused) as raised:
                await client.fetch_bytes("evidence", **params, **wrong)
            assert raised.value.status == 404


async def test_a_slot_that_is_not_there_yet_is_not_found(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        client = node.client("util")
        await submit_all(client, [[node.sender().order("p-1", "a-1", "buy", 5, 1, FIRST_S)]])
        for what in ("run", "clearing"):
            with pytest.raises(NodeRefused, match="yet") as raised:
                await client.query(f"{SLOT}/{what}")
            assert raised.value.status == 404
        (order,) = (await client.query(f"{SLOT}/orders"))["orders"]
        assert order["filled_wh"] is None
        with pytest.raises(NodeRefused, match="no area 'a-9'"):
            await client.query("areas/a-9/progress")
        with pytest.raises(NodeRefused, match="multiple of the slot length"):
            await client.query("areas/a-1/coverage", boundary_s=FIRST_S + 1)


async def test_pages_follow_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "PAGE_ROWS_MAX", 3)
    async with running_node(tmp_path / "ledger") as node:
        client = node.client("util")
        meters: list[str] = []
        start: int | None = 0
        while start is not None:
            page = await client.query("areas/a-1/registers", boundary_s=FIRST_S, start=start)
            assert len(page["registers"]) <= 3
            meters += [row["meter"] for row in page["registers"]]
            start = page["next"]
        assert meters == ["M-1", "M-2", "M-3", "M-4"]
        beyond = await client.query("areas/a-1/registers", boundary_s=FIRST_S, start=99)
        assert (beyond["registers"], beyond["next"]) == ([], None)


async def test_exceptions_come_in_pages_and_none_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "PAGE_ROWS_MAX", 2)
    async with running_node(tmp_path / "ledger") as node:
        client, sender = node.client("util"), node.sender()
        wires = [sender.batch("gw-1", FIRST_S + SLOT_S * (number // 6), [(100 + number, 1, 1)]) for number in range(11)]
        await submit_all(client, [*([step] for step in sender.clocks(FIRST_S + SLOT_S)), wires])
        counters: list[int] = []
        start: int | None = 0
        while start is not None:
            page = await client.query("exceptions", start=start)
            assert 1 <= len(page["exceptions"]) <= 2
            counters += [entry["counter"] for entry in page["exceptions"]]
            start = page["next"]
        assert sorted(counters) == list(range(1, 12))
        beyond = await client.query("exceptions", gateway="gw-1", start=11)
        assert (beyond["exceptions"], beyond["next"]) == ([], None)


async def test_receipts_verify_and_belong_to_whoever_knows_the_id(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        wire = node.sender().order("p-1", "a-1", "buy", 400, 450_000, FIRST_S)
        transaction = decode_transaction(wire)
        client = node.client()
        assert await client.receipt(transaction.id) is None
        (answer,) = await client.submit([wire])
        receipt = await client.receipt(answer.id)
        assert receipt is not None
        signers = list(TWO_AREAS.genesis.signers)
        check_receipt(receipt, chain=node.chain, digest=transaction.digest, signers=signers)
        assert (receipt.code, receipt.header.height) == (0, answer.height)
        with pytest.raises(VerificationError):
            check_receipt(receipt, chain=node.chain, digest=bytes(32), signers=signers)
        with pytest.raises(NodeRefused, match="64 lower-case hex digits"):
            await client.receipt(b"short")


async def test_a_receipt_of_a_block_that_is_not_certified_yet_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        client = node.client()
        (answer,) = await client.submit([node.sender().order("p-1", "a-1", "buy", 400, 450_000, FIRST_S)])
        with monkeypatch.context() as patch:
            patch.setattr(node.ledger._db, "find_certified", lambda height: None)
            with pytest.raises(
                NotCertified, match="block 1 has decided this transaction, and is not certified yet"
            ) as raised:
                await client.receipt(answer.id)
        assert raised.value.status == 409
        assert await client.receipt(answer.id) is not None


async def test_status_and_metrics_say_how_far_certificates_have_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        client = node.client()
        before = await client.status()
        assert (before.certified_height, before.certificate_power, before.signers_power) == (0, 0, 1)
        await client.submit([node.sender().order("p-1", "a-1", "buy", 400, 450_000, FIRST_S)])
        certified = await client.status()
        assert (certified.height, certified.certified_height, certified.certificate_power) == (1, 1, 1)
        monkeypatch.setattr(node.ledger._db, "certified_height", lambda: 0)
        behind = await client.status()
        assert (behind.height, behind.certified_height, behind.certificate_power) == (1, 0, 0)
        async with httpx.AsyncClient(trust_env=False) as http:
            metrics = (await http.get(f"{node.url}/metrics")).text
        for line in ("certified_height 0", "certificate_lag_blocks 1", "certificate_power 0", "signers_power 1"):
            assert f"gridledger_node_{line}\n" in metrics


async def test_each_transaction_has_an_answer_of_its_own(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        client, sender = node.client(), node.sender()
        order = sender.order("p-1", "a-1", "buy", 400, 450_000, FIRST_S)
        await submit_all(client, [[order]])
        forged = sender.order("p-2", "a-1", "buy", 1, 1, FIRST_S, key="stranger")
        ahead = sender.batch("gw-1", START_S, [(1, 1, 1)], counter=3)
        answers = await client.submit([order, b"\x00", forged, ahead])
        assert [(answer.name, answer.retry) for answer in answers] == [
            ("EXISTS", False),
            ("NOT_CANONICAL", False),
            ("WRONG_SIGNATURE", False),
            ("WAITING", True),
        ]
        assert answers[0].height == 1
        assert answers[1].id == b""
        assert answers[3].waiting_for == 1


async def post(node: RunningNode, body: bytes, **headers: str) -> httpx.Response:
    """A raw submission."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.post(f"{node.url}{API}/transactions", content=body, headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"{}",
        cbor.encode({}),
        cbor.encode([1]),
        cbor.encode([]) + b"\x00",
        b"\x9f\xff",
        cbor.encode([["a"]]),
    ],
)
async def test_a_malformed_submission_is_one_line(tmp_path: Path, body: bytes) -> None:
    async with running_node(tmp_path / "ledger") as node:
        response = await post(node, body)
        assert_problem(response, 400)


async def test_a_submission_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SUBMISSION_BYTES_MAX", 4_000)
    async with running_node(tmp_path / "ledger") as node:
        many = await post(node, cbor.encode([b"x"] * (TRANSACTIONS_MAX + 1)))
        assert_problem(many, 413)
        assert "at most 1000 transactions" in many.json()["detail"]
        assert (await post(node, cbor.encode([b"x"] * TRANSACTIONS_MAX))).status_code == 200
        assert_problem(await post(node, cbor.encode([bytes(4_000)])), 413)
        monkeypatch.setattr(bodies, "BODIES_BYTES_MAX", 10)
        busy = await post(node, cbor.encode([b"xxxxxxxxxxx"]))
        assert_problem(busy, 503)
        assert busy.headers["retry-after"] == "1"


async def test_errors_are_problems(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node, httpx.AsyncClient(trust_env=False) as http:
        assert_problem(await http.get(node.url + "/nowhere"), 404)
        assert_problem(await http.get(f"{node.url}{API}/transactions"), 405)
        assert_problem(await http.get(f"{node.url}{API}/clock?after_s=soon"), 400)
        assert_problem(await http.get(f"{node.url}{API}/clock?wait_s=-1"), 400)
        unsigned = await http.get(f"{node.url}{API}/areas")
        assert_problem(unsigned, 401)
        assert unsigned.headers["www-authenticate"] == "GridLedger"
        assert "server" not in unsigned.headers
        status = (await http.get(f"{node.url}{API}/status")).json()
        header = authorization(
            "util",
            key("util"),
            audience=Audience(node.chain, bytes.fromhex(status["instance"])),
            method="GET",
            path=f"{API}/areas",
            pairs=(),
            issued_s=int(time.time()),
        )
        assert (await http.get(f"{node.url}{API}/areas", headers={"Authorization": header})).status_code == 200
        assert_problem(await http.get(f"{node.url}{API}/areas", headers={"Authorization": header}), 401)


def assert_problem(response: httpx.Response, status: int) -> None:
    """A problem of RFC 9457 with one line."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail"}
    assert problem["status"] == status
    assert problem["type"].startswith("urn:gridledger:problem:")
    assert problem["detail"]
    assert "\n" not in problem["detail"]


async def test_a_fault_of_our_own_says_nothing_about_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise KeyError("inner secret")

    monkeypatch.setattr(LedgerView, "area", fail)
    async with running_node(tmp_path / "ledger") as node:
        with pytest.raises(NodeRefused) as raised:
            await node.client("util").query("areas")
        assert raised.value.status == 500
        assert "secret" not in str(raised.value)


async def test_waiting_for_the_clock_ends_when_it_moves(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        client = node.client()
        assert await client.wait_clock(START_S - 1, 5) == START_S
        assert await client.wait_clock(START_S, 0) == START_S
        waiting = asyncio.create_task(client.wait_clock(START_S, 20))
        await wait_for_waiters(node.url, 1)
        assert not waiting.done()
        await submit_all(client, [[node.sender().clock(START_S + 900)]])
        assert await asyncio.wait_for(waiting, 5) == START_S + 900


async def test_going_down_does_not_wait_for_those_who_wait(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        clients = [Client(node.url) for _ in range(5)]
        waiting = [asyncio.create_task(client.wait_clock(START_S, WAIT_S_MAX)) for client in clients]
        await wait_for_waiters(node.url, len(waiting))
        node.stop.set()
        async with asyncio.timeout(WAIT_S_MAX / 2):
            results = await asyncio.gather(*waiting, return_exceptions=True)
        for client in clients:
            await client.close()
    assert all(isinstance(result, NodeUnreachable) for result in results)


async def test_health_readiness_and_metrics(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node, httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(node.url + "/healthz")).json() == {"status": "ok"}
        assert (await http.get(node.url + "/readyz")).json()["status"] == "ready"
        await submit_all(node.client(), [[node.sender().order("p-1", "a-1", "buy", 5, 1, FIRST_S)]])
        await http.get(node.url + "/nothing/here")
        text = (await http.get(node.url + "/metrics")).text
        assert "gridledger_node_height 1\n" in text
        assert 'gridledger_node_transactions_total{code="ACCEPTED"} 1\n' in text
        assert 'gridledger_node_http_requests_total{route="none",status="4xx"} 1\n' in text
        names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
        assert len(names) == len(set(names))
