"""The folder that docs/operating begins in: a chain founded from the example, its node as a process, and the pages' commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware_profiles import ModbusProfile, load_profile
from gridcore import sm3
from gridcore.serving.ports import HOST, free_port
from gridcore.signers import open_signer
from gridcore.sm import Signer
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.content import Content, sign_content
from gridledger.cli import main
from gridledger.founding.config import EXAMPLE
from ledger.client import Answer, Client, run_with_client
from simulators.meters import MeterFleet, assign_lines
from tests.processes import ready_line
from tests.worlds.transactions import Sender

PAGES: Final = Path(__file__).resolve().parents[2] / "docs" / "operating"
FIRST_S: Final = 1_800_000_000
SLOT_S: Final = 900
DAY_S: Final = 86_400
START_TIMEOUT_S: Final = 30.0


def blocks_of(page: str, language: str = "console") -> list[str]:
    """The fenced blocks of a page, in order; a command that goes on behind a backslash is one line."""
    text = (PAGES / page).read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(r"\\\n\s*", "", block) for block in found]


@dataclass
class Village:
    """The working folder; ``ports``: the ones in use instead of those that the pages name."""

    folder: Path
    ports: dict[str, str]

    @property
    def url(self) -> str:
        """Where the node answers."""
        return f"http://{HOST}:{self.ports['7070']}"

    @property
    def chain(self) -> str:
        """The chain's id."""
        found = re.search(r'"chain": "([^"]+)"', (self.folder / "village" / "trust.json").read_text())
        assert found is not None
        return found[1]

    def text(self, documented: str) -> str:
        """A text of a page with this folder's ports in it."""
        return re.sub(r"\d+", lambda found: self.ports.get(found[0], found[0]), documented)

    def do(self, block: str, status: int = 0) -> None:
        """The commands of a block, in this process and this folder; the last ends with ``status``."""
        lines = self.text(block).splitlines()
        for number, line in enumerate(lines):
            words = shlex.split(line)
            expected = status if number == len(lines) - 1 else 0
            if words[0] == "gridledger":
                assert main(words[1:]) == expected, line
            else:
                subprocess.run(words, cwd=self.folder, check=True)

    @contextmanager
    def running(self, block: str) -> Iterator[list[subprocess.Popen[bytes]]]:
        """The commands of a block as processes, nodes once they are ready; ended at the end."""
        started: list[subprocess.Popen[bytes]] = []
        try:
            for line in self.text(block).splitlines():
                command = [sys.executable, "-m", "gridledger", *shlex.split(line)[1:], "--json"]
                pipe = subprocess.PIPE
                started.append(subprocess.Popen(command, cwd=self.folder, stdout=pipe, stderr=pipe))
                if "edge run" not in line:
                    assert ready_line(started[-1], START_TIMEOUT_S)["ready"]
            yield started
        finally:
            for process in started:
                process.terminate()
                process.communicate(timeout=START_TIMEOUT_S)

    def signer(self, name: str) -> Signer:
        """The key of ``name``, as its owner opens it."""
        keys = self.folder / "village" / "keys"
        return open_signer(f"file:{keys / name}.pem", f"file:{keys / name}.password")

    def sender(self, now_s: int) -> Sender:
        """Everybody's hand at a ledger time."""
        signers = {name: self.signer(name) for name in ("clock", "gateway-1")}
        return Sender(self.chain, now_s, sign=lambda name, signed: signers[name].sign(signed))

    def sign(self, name: str, content: Content) -> bytes:
        """A transaction in the name of ``name``."""
        return sign_content(content, chain=self.chain, signer=name, sign=self.signer(name).sign).wire

    def submit(self, wires: Sequence[bytes], url: str = "") -> list[Answer]:
        """What the node answers."""

        async def send(client: Client) -> list[Answer]:
            return await client.submit(wires)

        return run_with_client(url or self.url, send)

    def advance(self, *to_s: int) -> None:
        """Move ledger time, a block a step."""
        for instant_s in to_s:
            content = ClockAdvance(client_id=_id_of(instant_s), valid_until_s=instant_s, to_s=instant_s)
            (answer,) = self.submit([self.sign("clock", content)])
            assert answer.name == "ACCEPTED"


def _id_of(number: int) -> bytes:
    return sm3.sm3(b"%d" % number)[:16]


def founded(folder: Path, *, more: str = "", **changes: str) -> Village:
    """village/ with a node that is initialised, on a simulated clock; ``changes``: other keys of the example, ``more``: at its end."""
    village = Village(folder, {"7070": str(free_port()), "7171": str(free_port())})
    text = EXAMPLE.read_text(encoding="utf-8")
    keys = {"clock": '"simulated"', "first_slot_start_s": str(FIRST_S), "node_port": village.ports["7070"], **changes}
    for key, value in keys.items():
        text, count = re.subn(rf"^(# )?{key} = \S+", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
        assert count == 1, key
    (folder / "village.toml").write_text(text + more, encoding="utf-8")
    village.do("gridledger genesis new --config village.toml --out village")
    village.do("gridledger node init --genesis village/genesis.cbor --data village/ledger")
    return village


@asynccontextmanager
async def meter() -> AsyncIterator[tuple[MeterFleet, int]]:
    """The example's meter on a socket, and its port."""
    fleet = MeterFleet(assign_lines([("M-1", load_profile("acrel_adl400", kind=ModbusProfile))]))
    (line,) = await fleet.start(HOST)
    try:
        yield fleet, line.port
    finally:
        await fleet.close()


RUN_NODE: Final = "gridledger node run --config village/node.toml"
