"""docs/operating: a gateway's key, a wrong tariff, a household that leaves: their files and commands as they stand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ledger.client import Answer, Client, run_with_client
from tests.integration.village import FIRST_S, RUN_NODE, SLOT_S, Village, blocks_of, founded
from tests.worlds.transactions import Sender

TENANT_S = FIRST_S + 3 * SLOT_S
"""The boundary after the second in which the household leaves."""


def ask(village: Village, path: str, **asked: Any) -> Any:
    """What the node answers the utility."""

    async def query(client: Client) -> Any:
        return await client.query(path, **asked)

    return run_with_client(village.url, query, signer_id="utility", signer=village.signer("utility"))


def read(village: Village, sender: Sender, boundary_s: int, *rows: tuple[int, int]) -> Answer:
    """Move ledger time to a boundary and deliver (installation, import Wh); the answer to the batch."""
    answers = village.submit([sender.clock(boundary_s)])
    answers += village.submit([sender.batch("gateway-1", boundary_s, [(number, shown, 0) for number, shown in rows])])
    assert answers[0].name == "ACCEPTED"
    return answers[1]


def pays_nano(village: Village, slot: int, run: str) -> int:
    """What home-1 pays by a run of a slot."""
    answer = ask(village, f"areas/north/slots/{FIRST_S + slot * SLOT_S}/run", run=run, party="home-1")
    return sum(line["amount_nano"] for line in answer["lines"])


def test_a_gateway_goes_on_under_a_new_key_and_not_under_the_old_or_a_revoked_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    keygen, _, register, check, revoke = blocks_of("gateway-key.md")
    new_key, stop = blocks_of("gateway-key.md", "toml")
    village = founded(tmp_path)
    old = village.signer("gateway-1")
    sender = village.sender(FIRST_S - SLOT_S)
    with village.running(RUN_NODE):
        village.advance(FIRST_S - SLOT_S)
        assert read(village, sender, FIRST_S, (1, 1_000)).name == "ACCEPTED"
        capsys.readouterr()
        village.do(keygen)
        (public_key,) = re.findall(r"04[0-9a-f]{128}", capsys.readouterr().out)
        (tmp_path / "key.toml").write_text(new_key.replace("PUBLIC-KEY", public_key))
        village.do(register)
        config = tmp_path / "village" / "edge-1.toml"
        config.write_text(config.read_text().replace("gateway-1.p", "gateway-1-new.p"))
        village.do(check)
        signers = {"clock": village.signer("clock"), "gateway-1": village.signer("gateway-1-new")}
        sender.sign = lambda name, signed: signers[name].sign(signed)
        signers["gateway-1"] = old
        counted = sender._last.copy()
        assert read(village, sender, FIRST_S + SLOT_S, (1, 1_250)).name == "WRONG_SIGNATURE"
        sender._last = counted
        signers["gateway-1"] = village.signer("gateway-1-new")
        (answer,) = village.submit([sender.batch("gateway-1", FIRST_S + SLOT_S, [(1, 1_250, 0)])])
        assert answer.name == "ACCEPTED"
        (tmp_path / "stop.toml").write_text(stop)
        village.do(revoke)
        assert read(village, sender, FIRST_S + 2 * SLOT_S, (1, 1_500)).name == "REVOKED"


def test_a_wrong_tariff_is_corrected_from_the_instant_of_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    submit, prove = blocks_of("wrong-tariff.md")
    (right,) = blocks_of("wrong-tariff.md", "toml")
    village = founded(tmp_path)
    sender = village.sender(FIRST_S - SLOT_S)
    with village.running(RUN_NODE):
        village.advance(FIRST_S - SLOT_S)
        for slot, shown in enumerate((1_000, 1_250, 1_350)):
            assert read(village, sender, FIRST_S + slot * SLOT_S, (1, shown)).name == "ACCEPTED"
        village.submit([sender.clock(FIRST_S + 3 * SLOT_S)])
        wrong = [pays_nano(village, slot, "initial") for slot in (0, 1)]
        (tmp_path / "right.toml").write_text(right)
        village.do(submit)
        village.submit([sender.clock(FIRST_S + 3 * SLOT_S + 1)])
        cheaper = [energy_wh * (460_000 - 400_000) for energy_wh in (250, 100)]
        assert [pays_nano(village, slot, "correction-1") for slot in (0, 1)] == [
            paid - less for paid, less in zip(wrong, cheaper, strict=True)
        ]
        (balance,) = ask(village, "accounts", area="north")["balances"]
        assert balance["owes_nano"] == sum(wrong) - sum(cheaper), "all runs together are the last ones alone"
        village.do(prove)


def test_a_household_leaves_its_balance_at_its_point_and_the_next_tenant_has_one_of_his_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    submit, audit = blocks_of("party-leaves.md")
    (moves,) = blocks_of("party-leaves.md", "toml")
    village = founded(tmp_path)
    sender = village.sender(FIRST_S - SLOT_S)
    with village.running(RUN_NODE):
        village.advance(FIRST_S - SLOT_S)
        for slot, shown in enumerate((1_000, 1_250, 1_350)):
            assert read(village, sender, FIRST_S + slot * SLOT_S, (1, shown)).name == "ACCEPTED"
        (tmp_path / "moves.toml").write_text(moves)
        village.do(submit)
        for boundary_s, shown in ((TENANT_S, 1_600), (TENANT_S + SLOT_S, 1_700)):
            assert read(village, sender, boundary_s, (2, shown)).name == "ACCEPTED"
        village.submit([sender.clock(TENANT_S + 2 * SLOT_S)])
        paid = sum(pays_nano(village, slot, "initial") for slot in range(3))
        owed = {found["point"]: found["owes_nano"] for found in ask(village, "accounts", area="north")["balances"]}
        assert owed["P-1"] == paid > 0
        assert owed["P-1-home-2"] == 100 * (460_000 + 180_000 + 40_000)
        capsys.readouterr()
        village.do(audit.rstrip("\n") + " --organisation utility --json")
    (act,) = json.loads(capsys.readouterr().out)["acts"]
    assert "signer/home-1" in [row["key"] for row in act["what"]["rows"]]
