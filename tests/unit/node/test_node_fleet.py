"""All gateways at one look: the ledger's knowledge by their batches, and their own reports, which only they can make."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.gateway_report import REPORT_BYTES_MAX, GatewayReport
from ledger.client import NodeRefused
from ledger.http import reports
from ledger.http.queries import fleet
from ledger.http.reports import GatewayReports
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.nodes import RunningNode, running_node, submit_all
from tests.worlds.two_areas import one_settled_slot

REPORT = GatewayReport(FIRST_S, "gridledger/1.2.3", "file", 7, 70_000, 1800, 3, 0, 40, 2, 1)


async def told(node: RunningNode) -> dict[str, dict[str, Any]]:
    """The fleet as the regulator is told of it, by gateway."""
    found = await node.client("reg").query("fleet")
    assert found["next"] is None
    return {entry["gateway"]: entry for entry in found["gateways"]}


async def report(node: RunningNode, sender: str, gateway: str, body: bytes = b"") -> Any:
    return await node.client(sender).query_about(f"gateways/{gateway}/report", body or REPORT.encode())


async def test_batches_and_reports_stand_beside_each_other_and_reports_end_with_the_node(tmp_path: Path) -> None:
    async with running_node(tmp_path / "n") as node:
        await submit_all(node.client("util"), one_settled_slot(node.sender()))
        assert (await told(node))["gw-1"]["report"] is None
        answered = await report(node, "gw-1", "gw-1")
        known = await told(node)
        assert known["gw-1"]["report"] == {**asdict(REPORT), "received_s": answered["received_s"]}
        newest = known["gw-1"]["newest"]
        assert (newest["boundary_s"], newest["rows"], newest["refused_rows"]) == (FIRST_S + SLOT_S, 5, 1)
        assert newest["clock_state"] == "simulated"
        block = await node.client("reg").query(f"blocks/{newest['height']}")
        assert ("metering/reading_batch", "gw-1") in [(one["kind"], one["signer"]) for one in block["transactions"]]
        assert len(bytes.fromhex(newest["profiles"])) == 32
        assert known["gw-1"]["protection"] == "software"
        assert (known["gw-2"]["newest"], known["gw-2"]["report"], known["gw-2"]["counter"]) == (None, None, 0)
        await report(node, "gw-1", "gw-1", replace(REPORT, batches=8).encode())
        assert (await told(node))["gw-1"]["report"]["batches"] == 8
    async with running_node(tmp_path / "n") as node:
        assert (await told(node))["gw-1"]["report"] is None


@pytest.mark.parametrize(
    ("sender", "gateway", "body", "status"),
    [
        ("gw-2", "gw-1", b"", 403),
        ("util", "gw-1", b"", 403),
        ("p-1", "gw-1", b"", 403),
        ("gw-1", "gw-1", b"no cbor", 400),
        ("gw-1", "gw-1", cbor.encode({"time_s": 1}), 400),
        ("gw-1", "gw-1", cbor.encode({**asdict(REPORT), "batches": -1}), 400),
        ("gw-1", "gw-1", cbor.encode({**asdict(REPORT), "version": "a\nb"}), 400),
        ("gw-1", "gw-1", cbor.encode([0] * REPORT_BYTES_MAX), 413),
    ],
)
async def test_nobody_reports_for_another_and_what_is_no_report_is_refused(
    tmp_path: Path, sender: str, gateway: str, body: bytes, status: int
) -> None:
    async with running_node(tmp_path / "n") as node:
        with pytest.raises(NodeRefused) as refused:
            await report(node, sender, gateway, body)
        assert refused.value.status == status
        assert (await told(node))["gw-1"]["report"] is None


async def test_pages_of_the_fleet_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "GATEWAYS_MAX", 1)
    async with running_node(tmp_path / "n") as node:
        first = await node.client("reg").query("fleet")
        second = await node.client("reg").query("fleet", start=first["next"])
    assert [len(page["gateways"]) for page in (first, second)] == [1, 1]
    assert second["next"] is None


def test_of_one_gateway_too_many_the_one_that_was_silent_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "GATEWAYS_MAX", 2)
    kept = GatewayReports()
    for gateway in ("a", "b", "a", "c"):
        kept.keep(gateway, REPORT, 1)
    assert [kept.of(gateway) is not None for gateway in ("a", "b", "c")] == [True, False, True]


@given(st.binary(max_size=REPORT_BYTES_MAX + 1))
def test_bytes_from_outside_are_a_report_or_refused(data: bytes) -> None:
    try:
        again = GatewayReport.decode(data).encode()
    except EncodingError:
        again = data
    assert again == data


def test_a_report_is_what_was_encoded_up_to_its_size() -> None:
    assert GatewayReport.decode(REPORT.encode()) == REPORT
    longest = replace(REPORT, version="v" * 64, signer="s" * 64, size_bytes=2**53)
    assert len(longest.encode()) < REPORT_BYTES_MAX
    assert GatewayReport.decode(longest.encode()) == longest
