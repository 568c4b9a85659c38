"""Four organisations on this machine with the real engine: their nodes as processes, their network as proxies that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from gridcore import sm3
from gridcore.config import load_config
from gridcore.genesis import decode_genesis
from gridcore.serving.ports import HOST, free_port
from gridcore.signers import open_signer
from gridcore.sm import Signer
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.content import Content, sign_content
from gridledger.founding.consortium import found_consortium, found_everywhere, take_over
from gridledger.founding.consortium_config import ConsortiumConfig, example_text
from ledger.client import Answer, Client, NodeStatus, run_with_client
from ledger.engines.cometbft.home import load_keys
from tests.waiting import wait_until

T = TypeVar("T")

MEMBERS: Final = ("grid", "retailer", "aggregator", "regulator")
FIRST_S: Final = 1_800_000_000
DAY_S: Final = 86_400
STARTED_S: Final = FIRST_S - DAY_S
"""Ledger time at genesis."""
PATIENCE_S: Final = 90.0
"""More than starting, healing or catching up takes on a loaded machine."""


class Wire:
    """A TCP proxy between two validators; ``cut`` closes what goes through it and lets nothing new in."""

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self._target_port = target_port
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self) -> asyncio.Server:
        """Listen."""
        return await asyncio.start_server(self._forward, HOST, self.port)

    def cut(self) -> None:
        """From now on nothing passes."""
        self._is_cut = True
        for writer in self._writers:
            writer.close()

    def heal(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.close()
            return
        task = asyncio.ensure_future(self._connect(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        await task

    async def end(self) -> None:
        """Cut, and wait until nothing is open any more."""
        self.cut()
        await asyncio.gather(*self._open)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, self._target_port)
        except OSError:
            writer.close()
            return
        ends = {writer, far_writer}
        self._writers |= ends
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        self._writers -= ends


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


class Network:
    """All wires, by (from, to), served by a thread of their own."""

    def __init__(self, wires: dict[tuple[str, str], Wire]) -> None:
        self._wires = wires
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._serving = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the wires work meanwhile."""
        thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        thread.start()
        assert self._serving.wait(30)
        try:
            yield
        finally:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._stop.set)
            thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            for wire in self._wires.values():
                await stack.enter_async_context(await wire.serve())
            self._serving.set()
            await self._stop.wait()
            for wire in self._wires.values():
                await wire.end()

    def part(self, side: Iterable[str]) -> None:
        """Cut every wire between ``side`` and the others."""
        inside = set(side)
        self._each(Wire.cut, lambda ends: (ends[0] in inside) != (ends[1] in inside))

    def heal(self) -> None:
        """Mend every wire."""
        self._each(Wire.heal, lambda _: True)

    def _each(self, act: Callable[[Wire], None], chosen: Callable[[tuple[str, str]], bool]) -> None:
        async def work() -> None:
            for ends, wire in self._wires.items():
                if chosen(ends):
                    act(wire)

        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(10)


class Consortium:
    """A folder with those of the members in it, their processes, and their network where it can be cut."""

    def __init__(self, folder: Path, network: Network | None = None) -> None:
        self.folder = folder
        self.genesis = decode_genesis((folder / "grid" / "genesis.cbor").read_bytes())
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._network = network
        self._agreed_height = 0

    @property
    def chain(self) -> str:
        """The chain's id."""
        return self.genesis.chain

    @property
    def network(self) -> Network:
        """What can be cut."""
        assert self._network is not None
        return self._network

    # -------------------------------------------------------------------------------------------------- processes

    def start(self, *names: str, program: Sequence[str] = ("-m", "gridledger")) -> None:
        """Start nodes; does not wait for them. program: what Python runs."""
        for name in names:
            command = [sys.executable, *program, "node", "run", "--config", "node.toml"]
            with (self.folder / name / "node.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(command, cwd=self.folder / name, stdout=log, stderr=log)

    def kill(self, *names: str) -> None:
        """kill -9 of nodes; the engine of each is told by the system."""
        for name in names:
            self.processes[name].kill()
            self.processes[name].wait()

    def kill_engine(self, *names: str) -> None:
        """kill -9 of the engines of nodes."""
        for name in names:
            os.kill(self.engine_pid(name), signal.SIGKILL)

    def engine_pid(self, name: str) -> int:
        """The process id of a node's engine, once there is one."""
        found: list[int] = []

        def look() -> bool:
            found[:] = children_of(self.processes[name].pid)
            return bool(found)

        wait_until(look, f"engine of {name}", PATIENCE_S)
        return found[0]

    def log(self, name: str) -> str:
        """What a node has said, over all its lives."""
        return (self.folder / name / "node.log").read_text(errors="replace")

    def lose_disk(self, name: str) -> None:
        """Take away what a stopped node and its engine have kept, and found it again from the file and the requests."""
        for place in ("ledger", "engine/data"):
            shutil.rmtree(self.folder / name / place)
        requests = [self.folder / member / f"{member}.request" for member in MEMBERS]
        config = load_config(self.folder.parent / "consortium.toml", ConsortiumConfig)
        take_over(found_consortium(config, requests), name, self.folder / name)

    def stop(self, *names: str) -> list[int]:
        """SIGTERM to nodes, all at once; how each ended."""
        for name in names:
            self.processes[name].terminate()
        return [self.processes.pop(name).wait(60) for name in names]

    def end(self) -> None:
        """End whatever runs."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    # ------------------------------------------------------------------------------------------------- questions

    def url(self, name: str) -> str:
        """Where a node answers."""
        found = re.search(r"^port = (\d+)", (self.folder / name / "node.toml").read_text(), re.MULTILINE)
        assert found is not None
        return f"http://{HOST}:{found[1]}"

    def signer(self, signer: str) -> Signer:
        """The key of a signer, as its organisation opens it."""
        keys = self.folder / signer.partition("-")[0] / "keys"
        return open_signer(f"file:{keys / signer}.pem", f"file:{keys / signer}.password")

    def status(self, name: str) -> NodeStatus | None:
        """What a node says of itself, None while it does not answer."""
        try:
            return run_with_client(self.url(name), lambda client: client.status(), timeout_s=5.0)
        except Exception:
            return None

    def height(self, name: str) -> int:
        """The newest block of a node; -1 while it does not answer."""
        status = self.status(name)
        return -1 if status is None else status.height

    def certified(self, name: str) -> int:
        """The newest certified height of a node; -1 while it does not answer."""
        status = self.status(name)
        return -1 if status is None else status.certified_height

    def wait_height(self, height: int, *names: str) -> None:
        """Wait until each of these nodes has certified ``height``."""
        for name in names or MEMBERS:
            wait_until(lambda name=name: self.certified(name) >= height, f"{name} at height {height}", PATIENCE_S)  # type: ignore[misc]

    # ---------------------------------------------------------------------------------------------- transactions

    def sign(self, signer: str, content: Content) -> bytes:
        """A transaction."""
        return sign_content(content, chain=self.chain, signer=signer, sign=self.signer(signer).sign).wire

    def submit(self, name: str, wires: list[bytes], timeout_s: float = 60.0) -> list[Answer]:
        """What a node answers."""

        async def send(client: Client) -> list[Answer]:
            return await client.submit(wires)

        return run_with_client(self.url(name), send, timeout_s=timeout_s)

    def advance(self, to_s: int, via: str = "grid") -> None:
        """Move ledger time by a transaction that a node takes; acknowledged when certified."""
        wire = self.clock_step(to_s)

        def is_accepted() -> bool:
            try:
                (answer,) = self.submit(via, [wire])
            except Exception:
                return False
            return answer.name in ("ACCEPTED", "EXISTS")

        wait_until(is_accepted, f"ledger time {to_s}", PATIENCE_S)

    def clock_step(self, to_s: int) -> bytes:
        """A transaction that moves ledger time; the same bytes for the same time."""
        step = ClockAdvance(client_id=sm3.sm3(b"%d" % to_s)[:16], valid_until_s=to_s, to_s=to_s)
        return self.sign("grid-clock", step)

    # -------------------------------------------------------------------------------------------------- the whole

    def check_agreement(self, *names: str) -> None:
        """These nodes (all members) have the same header at every height that all have; heights that were looked at before are not again."""
        common = min(self.height(name) for name in names or MEMBERS)
        heights = range(self._agreed_height + 1, common + 1)
        told = {name: self._digests(name, heights) for name in names or MEMBERS}
        for height, *digests in zip(heights, *told.values(), strict=True):
            assert len(set(digests)) == 1, (height, dict(zip(told, digests, strict=True)))
        self._agreed_height = max(common, self._agreed_height)

    def _digests(self, name: str, heights: Iterable[int]) -> list[str]:
        """The header digest of each of these heights, as a node tells it."""
        return [block["digest"] for block in self.blocks(name, heights)]

    def blocks(self, name: str, heights: Iterable[int]) -> list[dict[str, Any]]:
        """Blocks as a node tells them."""

        async def ask(client: Client) -> list[dict[str, Any]]:
            return [await client.query(f"blocks/{height}") for height in heights]

        return self.ask(name, ask)

    def ask(self, name: str, question: Callable[[Client], Awaitable[T]]) -> T:
        """What a node tells its organisation's pages, by an administrator's key where it has none of its own."""
        signer = f"{name}-web"
        options = {"chain": self.chain, "signer_id": signer, "signer": self.signer(signer)}
        return run_with_client(self.url(name), question, **options)


def wires_between(folder: Path) -> Network:
    """A wire between every two validators, in the place of their addresses in the configuration of their engines."""
    ids = {load_keys(folder / name / "engine").node_id: name for name in MEMBERS}
    wires: dict[tuple[str, str], Wire] = {}
    for name in MEMBERS:
        path = folder / name / "engine" / "config" / "config.toml"

        def through(found: re.Match[str], name: str = name) -> str:
            wire = Wire(int(found[2]))
            wires[name, ids[found[1]]] = wire
            return f"{found[1]}@{HOST}:{wire.port}"

        path.write_text(re.sub(r"([0-9a-f]{40})@[\d.]+:(\d+)", through, path.read_text()))
    assert len(wires) == len(MEMBERS) * (len(MEMBERS) - 1)
    return Network(wires)


def children_of(pid: int) -> list[int]:
    """Process ids of a process's children."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def founding_text(text: str, ports: Mapping[str, str]) -> str:
    """The example's text on a simulated clock, with these ports in the place of its own."""
    for key, value in {"clock": '"simulated"', "first_slot_start_s": str(FIRST_S)}.items():
        text, count = re.subn(rf"^(# )?{key} = \S+", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
        assert count == 1, key
    return with_ports(text, ports)


def with_ports(text: str, ports: Mapping[str, str]) -> str:
    """A text with other port numbers."""
    return re.sub(r"\d+", lambda found: ports.get(found[0], found[0]), text)


def free_ports(text: str) -> dict[str, str]:
    """A free port for each that a text names."""
    return {port: str(free_port()) for port in re.findall(r"_port = (\d+)", text)}


def founded(folder: Path) -> Path:
    """c/ in ``folder``: four organisations on a simulated clock, on ports that are free."""
    text = example_text()
    text = founding_text(text, free_ports(text))
    file = folder / "consortium.toml"
    file.write_text(text, encoding="utf-8")
    config = load_config(file, ConsortiumConfig)
    found_everywhere(config, folder / "c", int(time.time()))
    return folder / "c"


@contextmanager
def running(folder: Path) -> Iterator[Consortium]:
    """The same with all nodes running, ready, and one step of the clock certified."""
    place = founded(folder)
    consortium = Consortium(place, wires_between(place))
    with consortium.network.running():
        try:
            consortium.start(*MEMBERS)
            consortium.advance(STARTED_S + 60)
            yield consortium
        finally:
            consortium.end()
