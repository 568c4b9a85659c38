"""Readings flow while a fifth organisation joins by votes, another leaves, and all keys change: no batch is lost or counted twice. Real engines."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gridcore.config import decode_config
from gridcore.files import replace_file
from gridcore.serving.ports import free_port
from gridcore.sm import SigningKey
from gridledger.cli import main
from gridledger.founding.consortium import found_everywhere
from gridledger.founding.consortium_config import ConsortiumConfig, MemberConfig, example_text, to_text
from gridledger.founding.folder import save_key_and_password
from gridledger.toml_text import toml_lines
from ledger.client import Client, run_with_client
from tests.external import NEEDS_COMETBFT
from tests.integration.consortium_readings import SLOT_S, Readings
from tests.integration.consortium_world import (
    MEMBERS,
    PATIENCE_S,
    STARTED_S,
    Consortium,
    founding_text,
    free_ports,
)
from tests.waiting import wait_until

pytestmark = [*NEEDS_COMETBFT, pytest.mark.slow]
FIFTH = "store"


class Council:
    """The members at their own nodes; what is said is JSON."""

    def __init__(self, consortium: Consortium, capsys: pytest.CaptureFixture[str]) -> None:
        self.consortium, self._capsys = consortium, capsys

    def run(self, words: str, member: str | None = None) -> Any:
        """The answer of a command, at a member's node with its administrator's key."""
        if member is not None:
            keys = self.consortium.folder / member / "keys" / f"{member}-administrator"
            words += f" --url {self.consortium.url(member)} --signer {member}-administrator"
            words += f" --key file:{keys}.pem --password file:{keys}.password"
        self._capsys.readouterr()
        status = main([*shlex.split(words), "--json"])
        said = self._capsys.readouterr().out
        assert status == 0, (words, said)
        return json.loads(said)

    def decide(self, file: Path, proposer: str, *others: str) -> None:
        """Propose what a file says, and vote for it until it has passed."""
        proposal = self.run(f"consortium propose {file}", proposer)["proposal"]
        for number, other in enumerate(others, 1):
            wait_until(partial(self._knows, proposal, other), f"{other} knows the proposal", PATIENCE_S)
            said = self.run(f"consortium vote {proposal} --in-favour", other)
            assert said["status"] == ("passed" if number == len(others) else "open")

    def _knows(self, proposal: str, member: str) -> bool:
        return proposal in [one["proposal"] for one in self.run("consortium proposals", member)["proposals"]]

    def validators(self, member: str = "grid") -> list[dict[str, Any]]:
        """The set that certifies, as a member's node has it."""
        found: list[dict[str, Any]] = self.run("consortium validators", member)["current"]
        return found

    def signed(self, member: str, heights: range) -> set[str]:
        """Who signed certificates of these blocks, as a member's node has them."""

        async def ask(client: Client) -> set[str]:
            blocks = [await client.query(f"blocks/{height}") for height in heights]
            return {one["name"] for block in blocks for one in block["signers"] if one["signed"]}

        signer = f"{member}-administrator"
        options = {"signer_id": signer, "signer": self.consortium.signer(signer)}
        return run_with_client(self.consortium.url(member), ask, **options)

    def newest_signers(self) -> set[str]:
        """Who signed the newest certificates that the grid company's node has."""
        certified = self.consortium.certified("grid")
        return self.signed("grid", range(certified - 4, certified + 1))

    def has_key(self, name: str, public_key: bytes) -> bool:
        """Whether a validator certifies with this key."""
        return (name, public_key.hex()) in [(one["name"], one["public_key"]) for one in self.validators()]

    def wait_set(self, *names: str) -> None:
        """Wait until just these certify."""
        wait_until(lambda: {one["name"] for one in self.validators()} == set(names), f"set {names}", PATIENCE_S)


@contextmanager
def running(folder: Path) -> Iterator[tuple[Consortium, ConsortiumConfig]]:
    """Four members that run, and the founding file with a fifth in it."""
    example = re.sub(r"^slot_s = \d+", f"slot_s = {SLOT_S}", example_text(), flags=re.MULTILINE)
    text = founding_text(example, free_ports(example))
    config = decode_config(text.encode(), ConsortiumConfig, folder / "consortium.toml")
    found_everywhere(config, folder / "c", int(time.time()))
    fifth = MemberConfig(
        name=FIFTH,
        title="The Store",
        peer_port=free_port(),
        node_port=free_port(),
        pages_port=free_port(),
        rpc_port=free_port(),
    )
    consortium = Consortium(folder / "c")
    try:
        consortium.start(*MEMBERS)
        consortium.advance(STARTED_S + 60)
        yield consortium, replace(config, members=(*config.members, fifth))
    finally:
        consortium.end()


def test_a_fifth_organisation_joins_by_votes_and_another_leaves_while_readings_flow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(tmp_path) as (consortium, config):
        place, council = consortium.folder, Council(consortium, capsys)
        (tmp_path / "joined.toml").write_text(to_text(config))
        shutil.copy(place / "grid" / "genesis.cbor", tmp_path / "genesis.cbor")
        readings = Readings(consortium)
        readings.start()
        with_config = f"--config {tmp_path / 'joined.toml'}"
        council.run(f"consortium request {with_config} --name {FIFTH} --out {place / FIFTH}")
        requests = " ".join(str(place / name / f"{name}.request") for name in (*MEMBERS, FIFTH))
        join = f"consortium join {requests} {with_config} --genesis {tmp_path / 'genesis.cbor'} --own"
        said = council.run(f"{join} {place / FIFTH}")
        assert [Path(one).name for one in said["proposals"]] == ["member.toml", "validator.toml"]
        for name in MEMBERS:  # one after the other: the rest goes on
            assert consortium.stop(name) == [0]
            assert council.run(f"{join} {place / name}")["proposals"] == []
            consortium.start(name)
            consortium.wait_height(consortium.certified("grid" if name != "grid" else "retailer"), name)
        consortium.start(FIFTH)

        council.decide(place / FIFTH / "member.toml", "grid", "retailer", "aggregator")
        consortium.wait_height(consortium.certified("grid"), FIFTH)
        whole = tmp_path / "set.toml"
        capsys.readouterr()
        keys = place / "grid" / "keys" / "grid-administrator"
        who = f"--signer grid-administrator --key file:{keys}.pem --password file:{keys}.password"
        assert main(shlex.split(f"consortium validators --url {consortium.url('grid')} {who}")) == 0
        whole.write_text(capsys.readouterr().out + (place / FIFTH / "validator.toml").read_text())
        council.decide(whole, "grid", "retailer", "aggregator")
        council.wait_set(*MEMBERS, FIFTH)

        without = tmp_path / "without.toml"
        tables = whole.read_text().split("[[validator]]")[1:]
        kept = [table for table in tables if 'name = "regulator"' not in table]
        without.write_text("".join(f"[[validator]]{table}" for table in kept))
        council.decide(without, FIFTH, "grid", "retailer")
        council.wait_set("grid", "retailer", "aggregator", FIFTH)
        changed = consortium.status("grid")
        assert changed is not None
        (tmp_path / "leaves.toml").write_text('[[organisation]]\nname = "regulator"\nremoved = true\n')
        council.decide(tmp_path / "leaves.toml", "grid", "retailer", FIFTH)
        assert consortium.stop("regulator") == [0]

        readings.stop()
        readings.check_nothing_is_lost("grid", "retailer", "aggregator", FIFTH)
        status = consortium.status(FIFTH)
        assert status is not None
        assert status.certified_height > changed.height + 1, "blocks came after the set had taken over"
        signed = council.signed(FIFTH, range(changed.height + 1, status.certified_height + 1))
        assert FIFTH in signed
        assert signed <= {"grid", "retailer", "aggregator", FIFTH}


def test_every_validators_key_is_changed_by_votes_one_after_the_other_while_readings_flow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(tmp_path) as (consortium, _):
        place, council = consortium.folder, Council(consortium, capsys)
        readings = Readings(consortium)
        readings.start()
        for name in MEMBERS:
            key = SigningKey.generate()
            save_key_and_password(place / name / "keys", "validator-2", key)
            node = place / name / "node.toml"
            next_key = '[next_key]\nuri = "file:keys/validator-2.pem"\npassword = "file:keys/validator-2.password"\n'
            replace_file(
                node, f"{node.read_text()}\n{next_key}".encode()
            )  # whole at any time: the readings ask its port
            assert consortium.stop(name) == [0]
            consortium.start(name)
            consortium.wait_height(consortium.certified("grid" if name != "grid" else "retailer"), name)
            changed = {"public_key": key.public_key.hex()}
            tables = [{**one, **(changed if one["name"] == name else {})} for one in council.validators()]
            (tmp_path / "set.toml").write_text("\n".join(toml_lines({"validator": tables})))
            council.decide(tmp_path / "set.toml", *(member for member in MEMBERS if member != name))
            wait_until(partial(council.has_key, name, key.public_key), f"{name} with another key", PATIENCE_S)
        readings.stop()
        readings.check_nothing_is_lost(*MEMBERS)
        wait_until(lambda: council.newest_signers() == {*MEMBERS}, "certificates by all new keys", PATIENCE_S)
