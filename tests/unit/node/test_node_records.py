"""What a node tells of gateways, observations, installations, calendars, positions and blocks, and of one party alone."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gridcore.observations import Observation, Observations, encode_observations
from gridcore.sm3 import sm3
from gridcore.verify import decode_trust, verify_bundle
from ledger.client import NodeRefused
from ledger.http import view as view_module
from ledger.http.queries import answers, metering
from ledger.http.view import LedgerView
from ledger.trust import trust_of
from settlement import statements
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import DAYS, FIRST_S, SLOT_S
from tests.worlds.keys import key
from tests.worlds.nodes import RunningNode, running_node, submit_all
from tests.worlds.transactions import Sender
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

SLOT = f"areas/a-1/slots/{FIRST_S}"
DAY = f"areas/a-1/days/{DAYS[1]}/statements"


async def settled(node: RunningNode) -> Sender:
    """Let the node trade and settle one slot."""
    sender = node.sender()
    await submit_all(node.client(), one_settled_slot(sender))
    return sender


async def refusal(node: RunningNode, signer: str, path: str, **params: str | int) -> tuple[int, str]:
    """Status and line of a query that is refused."""
    with pytest.raises(NodeRefused) as raised:
        await node.client(signer).query(path, **params)
    return raised.value.status, raised.value.detail


async def test_gateways_with_their_counters_and_what_they_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        client = node.client("reg")
        common = {"epoch": 1, "organisation": "util", "protection": "software"}
        sent = {"gateway": "gw-1", "counter": 2, "last_boundary_s": FIRST_S + SLOT_S, "meters": 4, "areas": ["a-1"]}
        silent = {"gateway": "gw-2", "counter": 0, "last_boundary_s": -1, "meters": 1, "areas": ["a-2"]}
        expected = [sent | common, silent | common]
        assert await client.query("gateways") == {"gateways": expected, "next": None}
        monkeypatch.setattr(answers, "PAGE_ROWS_MAX", 1)
        assert await client.query("gateways") == {"gateways": expected[:1], "next": 1}
        assert await client.query("gateways", start=1) == {"gateways": expected[1:], "next": None}


async def test_installations_of_an_area_and_a_party_its_own(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        found = (await node.client("util").query("areas/a-1/installations"))["installations"]
        assert [row["number"] for row in found] == [1, 2, 3, 4]
        household = {"number": 1, "meter": "M-1", "point": "P-1", "party": "p-1", "role": "household", "trades": True}
        assert found[0] == household | {"gateway": "gw-1", "ratio": 1, "limit_wh": 10_000, "modulus_wh": 0}
        load = {"number": 3, "meter": "M-3", "point": "P-3", "party": "l-1", "role": "load", "trades": False}
        assert found[2] == load | {"gateway": "gw-1", "ratio": 40, "limit_wh": 400_000, "modulus_wh": 0}
        feeder = {"number": 4, "meter": "M-4", "point": "P-4", "party": None, "role": "feeder", "trades": False}
        assert found[3] == feeder | {"gateway": "gw-1", "ratio": 100, "limit_wh": 1_000_000, "modulus_wh": 0}
        own = await node.client("p-2").query("areas/a-1/installations")
        assert own == {"area": "a-1", "installations": [found[1] | {"since_s": 0}], "next": None}
        assert (await refusal(node, "q-1", "areas/a-1/installations"))[0] == 403


@pytest.mark.parametrize(("rows_max", "is_kept"), [(5, True), (4, False), (0, False)])
async def test_tables_of_areas_are_kept_at_hand_by_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_max: int, is_kept: bool
) -> None:
    monkeypatch.setattr(view_module, "TABLE_ROWS_MAX", rows_max)
    async with running_node(tmp_path / "ledger") as node:
        view = LedgerView(node.ledger, CONTRACTS, statements)
        large, small = view.area("a-1"), view.area("a-2")
        first = view.table(large)
        assert view.table(large) is first, "the one in use is kept, however large"
        assert len(view.table(small).meters) == 1
        assert (view.table(large) is first) == is_kept
        assert view.table(large).meters == first.meters


async def test_a_calendar_is_for_every_signer(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        for signer in ("gw-2", "clock", "q-1"):
            calendar = await node.client(signer).query("calendars/c")
            assert calendar == {"calendar": "c", "days": DAYS, "months": [0], "tz": "UTC", "tz_version": "1"}
        assert (await refusal(node, "gw-2", "calendars/d"))[0] == 404


async def test_positions_are_those_of_the_statements(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        client = node.client("util")
        positions = await client.query(f"{SLOT}/positions")
        assert positions["parties"] == ["p-1", "p-2", "l-1"]
        assert positions["meters"] == ["M-1", "M-2", "M-3"]
        assert positions["import_wh"] == [900, 0, 80]
        assert positions["export_wh"] == [0, 500, 0]
        assert positions["bought_wh"] == [300, 0, 0]
        assert positions["sold_wh"] == [0, 300, 0]
        assert positions["quality"] == [0, 0, 0]
        totals = (await client.query(f"{SLOT}/run"))["parties"]
        for name in ("pays_nano", "supplier_only_nano"):
            assert positions[name] == [total[name] for total in totals]
        assert positions["next"] is None
        assert (await refusal(node, "util", f"{SLOT}/positions", run="final"))[0] == 404


async def test_positions_come_in_pages_and_a_party_sees_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        client = node.client("util")
        everything = await client.query(f"{SLOT}/positions")
        monkeypatch.setattr(answers, "PAGE_ROWS_MAX", 2)
        pages = [await client.query(f"{SLOT}/positions", start=start) for start in (0, 2)]
        assert [page["next"] for page in pages] == [2, None]
        for name, column in everything.items():
            if isinstance(column, list):
                assert pages[0][name] + pages[1][name] == column
        own = await node.client("p-2").query(f"{SLOT}/positions")
        assert own == await client.query(f"{SLOT}/positions", party="p-2")
        assert {name: column[0] for name, column in own.items() if isinstance(column, list)} == {
            name: column[1] for name, column in everything.items() if isinstance(column, list)
        }


async def test_answers_narrow_to_one_party(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        client = node.client("admin")
        everything, narrowed = await client.query(f"{SLOT}/run"), await client.query(f"{SLOT}/run", party="p-1")
        assert narrowed["result"] == everything["result"]
        assert narrowed["lines"] == [line for line in everything["lines"] if line["party"] == "p-1"] != []
        assert [posting["account"] for posting in narrowed["postings"]] == ["p-1"]
        own = await node.client("p-1").query(f"{SLOT}/run")
        assert own == {name: value for name, value in narrowed.items() if name != "result"}
        for path, rows in ((f"{SLOT}/orders", "orders"), (DAY, "statements")):
            found = (await client.query(path, party="p-1"))[rows]
            assert found == [row for row in (await client.query(path))[rows] if row["party"] == "p-1"] != []


async def test_a_party_that_is_not_there_is_not_found_and_anothers_is_refused(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        for path in (f"{SLOT}/orders", f"{SLOT}/run", f"{SLOT}/positions", DAY):
            assert (await refusal(node, "util", path, party="q-1")) == (404, "no party 'q-1' in area 'a-1'")
            lines = {(await refusal(node, "p-1", path, party=party)) for party in ("p-2", "p-99", "")}
            assert len(lines) == 1
            assert lines.pop()[0] == 403


async def test_a_block_with_its_header_signers_and_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        sender = await settled(node)
        gap = sender.order("p-1", "a-9", "buy", 5, 5, FIRST_S)
        await node.client().submit([gap, sender.clock(sender.now_s + 1)])
        client = node.client("util")
        block = await client.query("blocks/7")
        header = node.ledger.header(7)
        for name in ("previous", "history_root", "data_root", "state_root"):
            assert block[name] == getattr(header, name).hex()
        assert (block["height"], block["time_s"], block["digest"]) == (7, header.time_s, header.digest().hex())
        operator = key("operator").public_key.hex()
        assert block["covered_by"] == 7
        assert block["signers"] == [{"name": "operator", "public_key": operator, "power": 1, "signed": True}]
        told = [(entry["kind"], entry["signer"], entry["name"]) for entry in block["transactions"]]
        assert told == [("market/order", "p-1", "WRONG_AREA"), ("clock/advance", "clock", "ACCEPTED")]
        assert [entry["id"] for entry in block["transactions"]] == [entry.id.hex() for entry in node.ledger.results(7)]
        monkeypatch.setattr(answers, "PAGE_ROWS_MAX", 1)
        second = await client.query("blocks/7", start=1)
        assert (second["transactions"], second["next"]) == (block["transactions"][1:], None)
        for height, status in (("0", 404), ("8", 404), ("-1", 404), ("one", 400)):
            found, line = await refusal(node, "util", f"blocks/{height}")
            assert found == status
            assert "height" in line


# ------------------------------------------------------------------------------------------------------ observations

VOLTAGE, CURRENT = Observation(1, "32.7.0", 230_100, -40), Observation(1, "31.7.0", -2_500, 20)
PLUG = Observation(900, "1.7.0", 12_000, 5)


def row(observation: Observation, name: str | None) -> dict[str, Any]:
    """An observation as the node shows it."""
    return {
        "device": observation.device,
        "name": name,
        "obis": observation.obis,
        "value_milli": observation.value_milli,
        "offset_ms": observation.offset_ms,
    }


async def observe(node: RunningNode, *sent: bytes) -> Any:
    """What the node tells of a boundary for which a gateway sent these observations, one batch each."""
    sender = node.sender()
    wires = [sender.batch("gw-1", FIRST_S, [(1, 5, 5)], observations=data) for data in sent]
    await submit_all(node.client(), [[sender.clock(FIRST_S)], *[[wire] for wire in wires]])
    return await node.client("util").query("gateways/gw-1/observations", boundary_s=FIRST_S)


async def test_observations_are_told_with_the_names_of_their_devices(tmp_path: Path) -> None:
    other_gateways = Observation(5, "32.7.0", 1, 1)
    observed = Observations(
        (VOLTAGE, CURRENT, PLUG, other_gateways), {900: "plug-kitchen", 1: "mine"}, {2: "no_answer", 901: "stale"}
    )
    async with running_node(tmp_path / "ledger") as node:
        assert await observe(node, encode_observations(observed)) == {
            "gateway": "gw-1",
            "boundary_s": FIRST_S,
            "observations": [
                row(VOLTAGE, "M-1"),
                row(CURRENT, "M-1"),
                row(PLUG, "plug-kitchen"),
                row(other_gateways, None),
            ],
            "absent": [
                {"device": 2, "name": "M-2", "reason": "no_answer"},
                {"device": 901, "name": None, "reason": "stale"},
            ],
            "unreadable": 0,
        }


async def test_batches_of_one_boundary_are_put_together_and_the_first_value_stands(tmp_path: Path) -> None:
    first = Observations((VOLTAGE,), {900: "plug"}, {900: "broker_down", 901: "stale"})
    later = Observations((Observation(1, "32.7.0", 9, 9), PLUG), {900: "renamed"}, {901: "refused"})
    async with running_node(tmp_path / "ledger") as node:
        told = await observe(node, encode_observations(first), b"", encode_observations(later))
        assert told["observations"] == [row(VOLTAGE, "M-1"), row(PLUG, "plug")]
        assert told["absent"] == [{"device": 901, "name": None, "reason": "stale"}]


async def test_bytes_that_are_no_observations_are_counted_and_do_no_harm(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        told = await observe(node, b"\xff\x00", encode_observations(Observations((VOLTAGE,))), b"x")
        assert (told["observations"], told["unreadable"]) == ([row(VOLTAGE, "M-1")], 2)


async def test_only_the_first_batches_of_a_boundary_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metering, "OBSERVED_BATCHES_MAX", 2)
    async with running_node(tmp_path / "ledger") as node:
        told = await observe(node, *(encode_observations(Observations((row_,))) for row_ in (VOLTAGE, CURRENT, PLUG)))
        assert [entry["obis"] for entry in told["observations"]] == ["32.7.0", "31.7.0"]


async def test_a_boundary_without_observations_and_a_gateway_that_is_not_there(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        path = "gateways/{}/observations"
        client = node.client("util")
        told = await client.query(path.format("gw-2"), boundary_s=FIRST_S)
        assert (told["observations"], told["absent"]) == ([], [])
        assert (await refusal(node, "util", path.format("gw-9"), boundary_s=FIRST_S))[0] == 404
        assert (await refusal(node, "util", path.format("gw-1"), boundary_s=FIRST_S + 1))[0] == 400
        lines = {(await refusal(node, "gw-1", path.format(name), boundary_s=FIRST_S)) for name in ("gw-1", "gw-9")}
        assert len(lines) == 1


async def test_a_bill_line_over_batches_with_observations_verifies_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        sender = node.sender()
        observed = encode_observations(Observations((VOLTAGE,)))
        monkeypatch.setattr(sender, "batch", partial(sender.batch, observations=observed))
        await submit_all(node.client(), one_settled_slot(sender))
        params: dict[str, str | int] = {"party": "p-1", "slot_start_s": FIRST_S, "line_kind": "trade_buy"}
        bundle = await node.client("p-1").fetch_bytes("evidence", **params)
        root = decode_trust(json.dumps(trust_of(TWO_AREAS.genesis)).encode())
        assert verify_bundle(bundle, root).answer == "verified"
        assert sm3(observed) in bundle
