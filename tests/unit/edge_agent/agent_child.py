"""A process of its own for the test that cuts an agent's power: ``python -m tests.unit.edge_agent.agent_child DIR URL CHAIN KILLS SEED``.

Again and again a child goes the whole path (sample, sign, queue, submit, acknowledge) against the real node at URL and is
killed (-9) at one step of it; then the end of the write-ahead log behind the last commit is torn, as a power cut leaves it.
The last child lives and drains the outbox. Prints, as JSON, the kills by step, the batches that children said they had
signed and stored, and the gaps.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge.agent import Agent
from edge.batches import BatchMaker
from edge.config import EdgeConfig, SubmitPolicy
from edge.outbox import Outbox
from edge.outbox_file import create_outbox, read_outbox
from edge.progress import Gap, Progress
from edge.raw_words import ProfileVersion, RawWords, raw_words_path, read_raw_words
from edge.receipts import ReceiptTrust
from edge.sampling import Sampling
from edge.submit import Submitter
from gridcore.clock import monotonic_ms
from gridcore.config import load_config
from gridcore.forms import TIME_S_MAX
from gridcore.light.state import LightState
from gridcore.light.trusted import begin
from gridcore.sm3 import sm3
from gridcore.transactions.reading_batch import ClockState
from ledger.client import Client
from tests.unit.edge_agent.edge_world import GATEWAY, fake_lines, write_config
from tests.waiting import until
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.keys import key

STEPS = (
    "sample",
    "words",
    "words kept",
    "sign",
    "queue",
    "committed",
    "queued",
    "submit",
    "answered",
    "receipt",
    "acknowledge",
    "acknowledged",
)
LOG = "outbox.sqlite-wal"


class Fuse:
    """Kills the process at the n-th time that a step is reached; 0: never."""

    def __init__(self, step: str, left: int) -> None:
        self.step, self.left = step, left

    def reach(self, step: str) -> None:
        """The path is at ``step``."""
        if step == self.step and self.left:
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)


class Slots:
    """A boundary clock that goes through slots as fast as they are sampled."""

    simulated = True

    def __init__(self, first: int, last: int) -> None:
        self._slots = iter(range(first, last + 1))

    async def wait_until_known(self) -> None:
        """At once."""

    async def next_boundary(self, after_s: int) -> int | None:
        """The next slot's, None at the end."""
        await asyncio.sleep(0)
        slot = next(self._slots, None)
        return None if slot is None else FIRST_S + slot * SLOT_S

    def is_open(self, boundary_s: int) -> bool:
        """Always."""
        return True

    def boundary_ms(self, boundary_s: int) -> float:
        """Now."""
        return monotonic_ms()

    def state(self) -> ClockState:
        """Simulated."""
        return ClockState(0, "simulated")


def wrapped(function: Callable[..., Any], fuse: Fuse, before: str, after: str | None = None) -> Callable[..., Any]:
    """``function`` between two steps."""

    def run(*args: Any, **options: Any) -> Any:
        fuse.reach(before)
        result = function(*args, **options)
        if after is not None:
            fuse.reach(after)
        return result

    return run


class MortalClient(Client):
    """A client with steps before and after what it asks."""

    fuse: Fuse

    async def submit(self, transactions: Sequence[bytes]) -> Any:
        """See ``Client``."""
        self.fuse.reach("submit")
        answers = await super().submit(transactions)
        self.fuse.reach("answered")
        return answers

    async def receipt(self, transaction_id: bytes) -> Any:
        """See ``Client``."""
        self.fuse.reach("receipt")
        return await super().receipt(transaction_id)


async def live(folder: Path, url: str, chain: str, slots: tuple[int, int], fuse: Fuse) -> None:
    """One life of the agent: sample ``slots`` (first, last), then drain the outbox."""
    Sampling.first_pass = wrapped(Sampling.first_pass, fuse, "sample")  # type: ignore[method-assign]
    outbox = Outbox.open(folder / "outbox.sqlite", gateway=GATEWAY, chain=chain)
    store, acknowledge = outbox.store, outbox.acknowledge
    with (folder / "said").open("ab", buffering=0) as said:

        def store_and_say(entries: Any) -> Any:
            stored = store(entries)
            fuse.reach("committed")  # its pages may still be torn: nobody has been told
            for made in filter(None, stored):
                said.write(f"{made.counter} {made.id.hex()} {made.boundary_s} {log_size(folder)}\n".encode())
            return stored

        def acknowledge_and_say(*args: Any) -> None:
            acknowledge(*args)
            fuse.reach("freed")
            said.write(f"- - - {log_size(folder)}\n".encode())

        outbox.store = wrapped(store_and_say, fuse, "queue", "queued")  # type: ignore[method-assign]
        outbox.acknowledge = wrapped(acknowledge_and_say, fuse, "acknowledge", "acknowledged")  # type: ignore[method-assign]
        maker = BatchMaker(GATEWAY, chain, key(GATEWAY), "test/1", bytes(32), sm3(b"profiles"))
        object.__setattr__(maker, "signer", _Hand(fuse))
        trust = ReceiptTrust(LightState(begin(chain, bytes(32), [(key("operator").public_key, 1)]), ()), folder / "t")
        policy = SubmitPolicy(batches_per_request=2, retry_ms_min=1, retry_ms_max=20)
        config = load_config(write_config(folder), EdgeConfig)
        async with MortalClient(url, chain=chain, timeout_s=20) as client:
            client.fuse = fuse
            submitter = Submitter(client, outbox, trust=trust, policy=policy)
            versions = {number: ProfileVersion("eastron_sdm630", bytes(32)) for number in (1, 2)}
            raw_words = RawWords(raw_words_path(outbox.path), config.raw_words, versions)
            keep = wrapped(raw_words.keep, fuse, "words", "words kept")
            raw_words.keep = keep  # type: ignore[method-assign]
            agent = Agent(fake_lines(2)[1], Slots(*slots), outbox, maker, submitter, config, raw_words=raw_words)
            submitting = asyncio.create_task(submitter.run())
            await agent.run()
            await until(lambda: not outbox.depth)
            submitting.cancel()
    outbox.close()


class _Hand:
    """The gateway's key, with a step before each signature."""

    def __init__(self, fuse: Fuse) -> None:
        self._fuse = fuse
        self.public_key = key(GATEWAY).public_key

    def sign(self, message: bytes) -> bytes:
        self._fuse.reach("sign")
        return key(GATEWAY).sign(message)


def log_size(folder: Path) -> int:
    """Bytes of the write-ahead log."""
    path = folder / LOG
    return path.stat().st_size if path.exists() else 0


def tear(folder: Path, chance: random.Random) -> bool:
    """Spoil what lies behind the last commit that was said: a power cut leaves any of it, or nothing. Whether there was any."""
    lines = (folder / "said").read_text().splitlines() if (folder / "said").exists() else []
    synced = int(lines[-1].split()[-1]) if lines else 0
    path = folder / LOG
    if not path.exists() or path.stat().st_size <= synced:
        return False
    data = bytearray(path.read_bytes())
    for at in range(chance.randint(synced, len(data)), len(data)):
        data[at] = chance.getrandbits(8)
    path.write_bytes(bytes(data[: chance.randint(synced, len(data))]))
    return True


def main(folder: Path, url: str, chain: str, kills_wanted: int, seed: int) -> None:
    """Kill, tear, live on; then live to the end."""
    chance = random.Random(seed)
    create_outbox(folder / "outbox.sqlite", Progress(GATEWAY, chain, 1))
    kills: Counter[str] = Counter()
    gaps: set[Gap] = set()
    slot, last, torn = 0, -1, 0
    for number in itertools.count():
        is_last = kills.total() == kills_wanted
        fuse = Fuse(STEPS[number % len(STEPS)], 0 if is_last else chance.randint(1, 2))
        slots, last = (slot, slot + 1), slot + 1
        child = os.fork()
        if child == 0:
            status = 1
            try:
                asyncio.run(live(folder, url, chain, slots, fuse))
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            kills[fuse.step] += 1
            torn += tear(folder, chance)
        elif os.WEXITSTATUS(status):
            sys.exit(f"a life that was not to end so: step {fuse.step}")
        progress = read_outbox(folder / "outbox.sqlite").progress
        gaps.update(progress.gaps)
        slot = (progress.last_boundary_s - FIRST_S) // SLOT_S + 1 if progress.counter else 0
        if is_last:
            break
        slot += chance.randint(0, 1)  # and the boundary that passes while nobody lives
    state = read_outbox(folder / "outbox.sqlite")
    said = [line.split() for line in (folder / "said").read_text().splitlines()]
    result = {
        "kills": kills,
        "torn": torn,
        "said": {counter: [id_, int(boundary_s)] for counter, id_, boundary_s, _ in said if counter != "-"},
        "counter": state.progress.counter,
        "depth": state.depth,
        "gaps": sorted(gaps),
        "with_words": sorted({row.boundary_s for row in read_raw_words(folder / "outbox.sqlite.raw", 0, TIME_S_MAX)}),
        "last": last,
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
