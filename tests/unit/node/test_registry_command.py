"""``gridledger registry`` against a node: every example of docs/registry.md, what stands already, and refusals in one line."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.genesis import Thresholds
from gridcore.signers import save_key
from gridledger.cli import main
from gridledger.registering import parts
from settlement.catalogue import contract_pin
from tests.worlds.consortium import FIRST_S
from tests.worlds.keys import key
from tests.worlds.nodes import RunningNode, running_node
from tests.worlds.two_areas import TWO_AREAS

PAGE = Path(__file__).parents[3] / "docs" / "registry.md"
EXAMPLES = re.findall(r"```(toml|csv)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


class Desk:
    """An administrator at a node, with a folder of files."""

    def __init__(self, node: RunningNode, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.node, self.folder, self._capsys = node, folder, capsys
        (folder / "password").write_text("correct horse")
        (folder / "password").chmod(0o600)
        for name in ("admin", "dso-admin", "gw-1"):
            save_key(folder / f"{name}.pem", key(name), b"correct horse")

    async def run(self, *words: str, signer: str = "admin") -> tuple[int, str]:
        """Exit status and what was said, on stdout or stderr."""
        who = ["--signer", signer, "--key", f"file:{self.folder / f'{signer}.pem'}"]
        told = ["registry", *words, "--url", self.node.url, *who, "--password", f"file:{self.folder / 'password'}"]
        status = await asyncio.to_thread(main, told)
        captured = self._capsys.readouterr()
        return status, (captured.out or captured.err).strip()

    async def submit(self, text: str, *more: str, ending: str = "toml", signer: str = "admin") -> tuple[int, str]:
        """Submit a file of this text."""
        path = self.folder / f"rows.{ending}"
        path.write_text(text, encoding="utf-8")
        status, said = await self.run("submit", str(path), *more, signer=signer)
        return status, said.replace(str(path), "FILE")


async def test_the_examples_of_the_page_are_registered_and_once_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        desk = Desk(node, tmp_path, capsys)
        assert len(EXAMPLES) == 9
        for ending, text in EXAMPLES:
            status, said = await desk.submit(text, "--check", ending=ending)
            assert status == 0, said
            assert "would be registered" in said
            assert (await desk.submit(text, ending=ending))[0] == 0
            assert (await desk.submit(text, ending=ending))[1].endswith("stand already")
        status, said = await desk.run("show", "point/P-9")
        assert (status, said.splitlines()[0]) == (0, "point/P-9, row 4")
        assert "area a-1, balance_responsible_export north-balance, balance_responsible_import north-balance" in said
        assert "grid_operator util, offtaker north-energy, party p-9, role household, supplier north-energy" in said
        assert (await desk.run("show", "installation"))[1].split() == [
            "1",
            "2",
            "3",
            "4",
            "5",
            "9",
            "101",
            "21",
            "22",
            "301",
        ]
        status, said = await desk.run("show", "rules/r", "--json")
        assert [entry["recorded_height"] for entry in json.loads(said)["entries"]] == [0, 4]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '[[point]]\nname = "P-9"\nfrom_s = 1800000007\narea = "a-9"\nrole = "load"\n',
            "FILE: point 1, point/P-9: area: there is no row area/a-9 (52 REGISTRY_UNKNOWN)",
        ),
        (
            '[[point]]\nname = "P-9"\nfrom_s = 7\narea = "a-1"\nrole = "cellar"\n',
            "FILE: point 1, point/P-9: role is one of exchange, feeder, household, load, not 'cellar'",
        ),
        ('[[point]]\nname = "P-9"\narea = "a-1"\nrole = "load"\n', "FILE: point 1: from_s is UTC seconds, or an"),
        ('[[points]]\nname = "P-9"\n', "FILE: points 1: kind 'points' is one of organisation, calendar,"),
        ('point = "P-9"\n', "FILE: point: write one table a row, [[point]]"),
        (
            '[[point]]\nname = "P-1"\nfrom_s = 1800000900\narea = "a-1"\nrole = "load"\n',
            "FILE: point 1: party/p-1: trades: at 1800000900 there is no point of it in area a-1 (53 REGISTRY_CONFLICT)",
        ),
        (
            '[[point]]\nname = "P-1"\nfrom_s = 1800000007\narea = "a-1"\nparty = "p-1"\nrole = "load"\nsupplier = "south"\n',
            (
                "FILE: point 1, point/P-1: from_s 1800000007 lies inside a slot: who is billed and who supplies changes where one "
                "begins, 1800000000 or 1800000900 (53 REGISTRY_CONFLICT)"
            ),
        ),
        ("", "FILE: there are no rows"),
    ],
)
async def test_a_refusal_is_one_line_with_the_row_and_what_would_be_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, line: str
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        status, said = await Desk(node, tmp_path, capsys).submit(text)
        assert status in (1, 2)
        assert said.startswith(line), said
        assert "\n" not in said
        assert node.ledger.height == 0


async def test_cells_are_read_by_the_forms_of_their_fields(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running_node(tmp_path / "ledger") as node:
        desk = Desk(node, tmp_path, capsys)
        head = "kind,name,from_s,organisation,roles,public_key,revoked,protection\n"
        line = f'signer,x,{FIRST_S},util,"[""regulator""]",{key("x").public_key.hex()},,\n'
        text = f"{head}{line}gateway,7,{FIRST_S},util,,,,sw\nsigner,y,{FIRST_S},util,,,true,\n"
        assert await desk.submit(text, ending="csv") == (0, "FILE: 3 rows: 3 registered in block 1")
        status, said = await desk.submit(f"{head}{line}signer,x,{FIRST_S},util,a,b,c,d,e\n", ending="csv")
        assert (status, said) == (2, "FILE: line 3: has 9 cells, the first line 8 columns")


async def test_only_an_administrator_asks_and_registers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running_node(tmp_path / "ledger") as node:
        desk = Desk(node, tmp_path, capsys)
        status, said = await desk.submit(EXAMPLES[0][1], signer="gw-1")
        assert (status, "this is for administrators" in said) == (1, True)
        status, said = await desk.run("show", "point/P-1", signer="gw-1")
        assert (status, "this is for utility, regulator, administrator" in said) == (1, True)


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        (
            "p2p_call_auction/1",
            f"contract_pin of p2p_call_auction/1 is {contract_pin('p2p_call_auction/1').hex()}, as it was approved",
        ),
        ("p2p_call_auction/9", "contract 'p2p_call_auction/9' is not approved; these are: p2p_call_auction/1"),
    ],
)
async def test_a_zone_with_other_code_than_was_approved_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], contract: str, words: str
) -> None:
    row = (
        f'[[zone]]\nname = "z-1"\nfrom_s = 1800000000\ncontract = "{contract}"\ncontract_pin = "{"ab" * 32}"\n'
        "first_slot_start_s = 1800000000\ngate_before_start_s = 300\nmetering_deadline_s = 900\nopen_before_start_s = 86400\n"
    )
    async with running_node(tmp_path / "ledger") as node:
        status, said = await Desk(node, tmp_path, capsys).submit(row)
        assert (status, node.ledger.height) == (1, 0)
        assert said.startswith(f"FILE: zone 1, zone/z-1: {words}")


async def test_more_rows_than_a_transaction_takes_are_split_where_they_may_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ROWS_MAX", 4)
    lines = [
        "kind,name,from_s,area,organisation,trades,party,role,point,gateway,meter,profile,limit_wh,modulus_wh,ratio,first_registers"
    ]
    numbers = range(30, 36)
    lines += [f"party,p-{n},{FIRST_S + 7},a-1,util,true,,,,,,,,,," for n in numbers]
    lines += [f"point,P-{n},{FIRST_S + 7},a-1,,,p-{n},household,,,,,,,," for n in numbers]
    lines += [f'installation,{n},{FIRST_S + 7},,,,,,P-{n},gw-1,M-{n},t,9000,0,1,"[0, 0]"' for n in numbers]
    async with running_node(tmp_path / "ledger") as node:
        desk = Desk(node, tmp_path, capsys)
        assert (await desk.submit("\n".join(lines), ending="csv"))[1].startswith(
            "FILE: 18 rows: 18 registered in block 1, 2"
        )
        assert node.ledger.height == 6


async def test_rows_that_wait_are_listed_and_approved_by_another_organisation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = replace(
        TWO_AREAS,
        roles={**TWO_AREAS.roles, "dso-admin": ["administrator"]},
        organisations={"dso-admin": "dso"},
        thresholds=Thresholds(registry=2),
    )
    async with running_node(tmp_path / "ledger", world) as node:
        desk = Desk(node, tmp_path, capsys)
        status, said = await desk.submit(EXAMPLES[3][1])
        assert (status, said.startswith("FILE: 1 rows: 1 wait for approval: gridledger registry approve ")) == (0, True)
        transaction = said.rpartition(" ")[2]
        assert await desk.run("show", "pending") == (0, f"{transaction}: 1 rows of util")
        refused = f"{transaction}: refused: 56 APPROVED_ALREADY"
        assert await desk.run("approve", transaction) == (1, refused)
        assert await desk.run("approve", transaction, signer="dso-admin") == (0, f"{transaction}: approved in block 3")
        assert await desk.run("show", "pending") == (0, "nothing waits for approval")
