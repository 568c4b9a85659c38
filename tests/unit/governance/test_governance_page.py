"""docs/governance.md: its files and commands as they stand, on a node of three organisations; and what a file may get wrong."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridcore.genesis import Thresholds
from gridcore.registry.organisation import ROLES
from gridcore.registry.row import Row
from gridcore.signers import save_key
from gridledger.cli import main
from ledger.client import NodeRefused
from settlement.catalogue import pins
from tests.unit.governance.council import membership, removed
from tests.worlds.consortium import Consortium, feeder, gateway
from tests.worlds.keys import key
from tests.worlds.nodes import RunningNode, running_node

PAGE = (Path(__file__).parents[3] / "docs" / "governance.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```toml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [block.splitlines() for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)]
PEOPLE = {"admin": "util", "dso-admin": "dso", "reg-admin": "regulator"}
WORLD = Consortium(
    gateways=[gateway("gw-1")],
    meters=[feeder(1)],
    roles={name: ["administrator"] for name in PEOPLE},
    organisations={name: owner for name, owner in PEOPLE.items() if owner != "util"},
    thresholds=Thresholds(contract=2, protocol=2, registry=1, signers=2),
)


class Desk:
    """People of several organisations at one node, with the page's files in a folder; ``proposal``: the last one made."""

    def __init__(self, node: RunningNode, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.node, self.folder, self._capsys = node, folder, capsys
        self.proposal = "0" * 64
        (folder / "password").write_text("correct horse")
        (folder / "password").chmod(0o600)
        for name in (*PEOPLE, "store-admin"):
            save_key(folder / f"{name}.pem", key(name), b"correct horse")
        for name, text in FILES.items():
            text = text.replace("OPERATOR_KEY", key("operator").public_key.hex())
            (folder / name).write_text(text.replace("PUBLIC_KEY", key("store-admin").public_key.hex()))

    async def run(self, line: str) -> tuple[int, Any]:
        """Exit status and answer of one command of the page."""
        line = line.replace("http://127.0.0.1:7070", self.node.url).replace(" ID ", f" {self.proposal} ")
        status = await asyncio.to_thread(main, [*shlex.split(line)[1:], "--json"])
        said = json.loads(self._capsys.readouterr().out)
        self.proposal = said.get("proposal", self.proposal) if isinstance(said, dict) else self.proposal
        return status, said

    async def propose(self, text: str, *more: str) -> tuple[int, str]:
        """Exit status and the one line for a file of this text."""
        (self.folder / "file.toml").write_text(text)
        who = f"--url {self.node.url} --signer admin --key file:admin.pem --password file:password"
        status = await asyncio.to_thread(main, shlex.split(f"consortium propose file.toml {' '.join(more)} {who}"))
        captured = self._capsys.readouterr()
        return status, (captured.out or captured.err).strip()


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_the_walk_of_the_page_a_bad_proposal_a_new_organisation_and_a_contract(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [len(block) for block in COMMANDS] == [6, 3, 2]
    async with running_node(in_folder / "ledger", WORLD) as node:
        desk = Desk(node, in_folder, capsys)
        check, propose, everything, one, first, second = COMMANDS[0]
        status, said = await desk.run(check)
        assert (status, said["needed"], said["voters"]) == (0, 2, ["dso", "regulator", "util"])
        assert node.ledger.height == 0, "nothing was sent"
        assert (await desk.run(propose))[0] == 0
        status, said = await desk.run(everything)
        assert [(found["sort"], found["status"]) for found in said["proposals"]] == [("thresholds", "open")]
        status, said = await desk.run(one)
        assert said["action"] == {"sort": "thresholds", "contract": 1, "protocol": 1, "registry": 1, "signers": 1}
        assert (await desk.run(first))[1]["status"] == "open"
        status, said = await desk.run(second)
        assert (status, said["status"], said["against"]) == (0, "failed", ["dso", "util"])
        assert (await desk.run(one))[1]["action"]["contract"] == 1, "what was asked for is told when it has failed too"

        propose, vote, show = COMMANDS[1]
        assert (await desk.run(propose))[0] == 0
        assert (await desk.run(vote))[1]["status"] == "passed"
        status, said = await desk.run(show)
        assert (status, said["entries"][0]["value"]["title"]) == (0, "The Store")

        for line in COMMANDS[2]:
            status, said = await desk.run(line)
            assert status == 0
        assert said["status"] == "passed"
        contracts = (await node.client("admin").query("contracts"))["contracts"]
        found = {one["contract"]: one for one in contracts}["mid_market_rate/1"]
        pin = pins()["mid_market_rate/1"].hex()
        assert found == {"contract": "mid_market_rate/1", "pin": pin, "height": 900, "active": False, "installed": True}
        acts = (await node.client("admin").query("audit", after_height=0))["acts"]
        assert [act["kind"] for act in acts] == [
            "governance/propose",
            *["governance/vote"] * 2,
            *["governance/propose", "governance/vote"] * 2,
        ]
        assert acts[-2]["what"]["action"]["pin"] == pin


async def test_every_file_of_the_page_is_a_proposal_that_a_node_would_take(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sorted(FILES) == [
        "alone.toml",
        "contract.toml",
        "permission.toml",
        "protocol.toml",
        "store.toml",
        "validators.toml",
    ]
    async with running_node(in_folder / "ledger", WORLD) as node:
        desk = Desk(node, in_folder, capsys)
        for name in FILES:
            status, said = await desk.propose((in_folder / name).read_text(), "--check")
            assert (status, "would be proposed" in said) == (0, True), said


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "file.toml: a proposal is one table of [contract], [protocol], [permission], [thresholds], or"),
        ("[weather]\n", "file.toml: a proposal is one table of"),
        ("[contract]\n[protocol]\n", "file.toml: a proposal is one table of"),
        ("contract = 1\n", "file.toml: contract: write one table, [contract]"),
        (
            '[contract]\ncontract = "p2p/9"\nheight = 9\n',
            "file.toml: contract: contract is one that this program has, bilateral_agreements/1",
        ),
        (
            f'[contract]\ncontract = "mid_market_rate/1"\nheight = 9\npin = "{"ab" * 32}"\n',
            f"file.toml: contract: pin of mid_market_rate/1 is {pins()['mid_market_rate/1'].hex()} in this program",
        ),
        ('[contract]\ncontract = "mid_market_rate/1"\n', "file.toml: contract: height is missing: a whole number"),
        (
            '[contract]\ncontract = "p2p_call_auction/1"\nheight = 9\n',
            "file.toml: contract: p2p_call_auction/1 is approved from height 0 on; other code has another id (24 PROPOSAL",
        ),
        (
            "[protocol]\nversion = 3\nheight = 1\nday = 2\n",
            "file.toml: protocol: 'day' is no field of it; it has version",
        ),
        (
            '[permission]\nkind = "market/swap"\nroles = ["clock"]\n',
            "file.toml: kind: one of clock/accept, clock/advance",
        ),
        (
            "[thresholds]\ncontract = 9\nprotocol = 1\nregistry = 1\nsigners = 1\n",
            "file.toml: contract: at most 3, the",
        ),
        ("[validator]\n", "file.toml: validator: write one table a validator, [[validator]]"),
        ('[[validator]]\nname = "x"\npublic_key = "xyz"\n', "file.toml: validator 1: public_key is hex digits"),
        (
            '[[validator]]\nname = "x"\npublic_key = "04"\n',
            "file.toml: validator 1: has name, organisation, public_key (65",
        ),
        (
            f'[[validator]]\nname = "operator"\norganisation = "util"\npublic_key = "{key("operator").public_key.hex()}"\n',
            "file.toml: validators: they certify already (24 PROPOSAL_FORM)",
        ),
        ("[organisation]\n", "file.toml: organisation: write one table a row, [[organisation]]"),
        ('[[organisation]]\nname = "x y"\n', "file.toml: organisation 1: name is 1 to 64 of"),
        ('[[organisation]]\nname = "x"\nfrom_s = 1\n', "file.toml: organisation 1: from_s has no place here"),
        ('[[organisation]]\nname = "x"\n', "file.toml: organisation 1, organisation/x: roles is missing"),
        (
            '[[signer]]\nname = "admin"\norganisation = "dso"\nrevoked = true\n',
            "file.toml: row 1, signer/admin: organisation is util as in the row before of it: it never changes (15 NOT_P",
        ),
    ],
)
async def test_what_is_wrong_with_a_file_is_one_line_and_nothing_is_sent(
    in_folder: Path, capsys: pytest.CaptureFixture[str], text: str, line: str
) -> None:
    async with running_node(in_folder / "ledger", WORLD) as node:
        status, said = await Desk(node, in_folder, capsys).propose(text)
        assert said.startswith(line), said
        assert (status in (1, 2), "\n" in said, node.ledger.height) == (True, False, 0)


async def test_votes_that_do_not_count_are_refused_by_name(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running_node(in_folder / "ledger", WORLD) as node:
        desk = Desk(node, in_folder, capsys)
        who = f"--url {node.url} --signer admin --key file:admin.pem --password file:password"
        status, said = await desk.run(f"gridledger consortium vote {'0' * 64} --in-favour {who}")
        assert (status, said["name"]) == (1, "NOTHING_TO_VOTE")
        assert await asyncio.to_thread(main, shlex.split(f"consortium vote 0f --against {who}")) == 2
        assert capsys.readouterr().err.startswith("0f: a proposal's id is 64 lower-case hex digits")
        assert (await desk.run(COMMANDS[1][0]))[0] == 0
        status, said = await desk.run(f"gridledger consortium vote ID --in-favour {who}")
        assert (status, said["name"]) == (1, "VOTED_ALREADY")
        assert await asyncio.to_thread(main, shlex.split(f"consortium proposals {desk.proposal} {who}")) == 0
        shown = capsys.readouterr().out.splitlines()
        assert shown[0].startswith(f"{desk.proposal}: membership of util, open until 20")
        assert shown[0].endswith("1 of 2 in favour, 0 against")
        assert shown[1:3] == ["  in favour: util", "  against: nobody"]


async def test_an_organisation_that_has_left_asks_nothing_more(in_folder: Path) -> None:
    world = replace(WORLD, thresholds=Thresholds())
    async with running_node(in_folder / "ledger", world) as node:
        assert await node.client("dso-admin").query("organisations")
        sender = node.sender()
        later = Row("organisation/dso", sender.now_s + 60, {"roles": list(ROLES), "title": "Back"})
        for wire in (
            sender.register([later], signer="dso-admin"),
            sender.propose(membership(removed("dso"))),
            sender.clock(sender.now_s + 120),
        ):
            (answer,) = await node.client().submit([wire])
            assert answer.code == 0
        with pytest.raises(NodeRefused) as raised:
            await node.client("dso-admin").query("organisations")
        assert raised.value.status == 401
        told = (await node.client("reg-admin").query("organisations"))["organisations"]
        assert {one["organisation"]: (one["votes"], one["removed"]) for one in told} == {
            "dso": (False, True),
            "regulator": (True, False),
            "util": (True, False),
        }
