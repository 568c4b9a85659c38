"""What tests of the agent share: a node in memory that signs receipts, batches, lines of fake meters, configuration files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.batches import BatchMaker
from edge.blocks import plan_reads
from edge.meters import Meter, MeterConfig, MeterLine, limits_of, modbus_meter
from edge.outbox import Entry, Outbox
from edge.outbox_file import QueuedBatch, create_outbox
from edge.progress import Progress
from edge.readers import NoAnswerError
from edge.receipts import ReceiptTrust
from firmware_profiles import ModbusProfile, load_profile
from gridcore import merkle
from gridcore.codes import RETRY, Code
from gridcore.envelope import Transaction, decode_transaction
from gridcore.header import Header, Receipt, certificate_message, data_leaf, signers_digest
from gridcore.light.codec import encode_steps
from gridcore.light.state import LightState
from gridcore.light.trusted import begin
from gridcore.sm import SigningKey
from gridcore.sm.keystore import encode_private_key
from gridcore.sm3 import sm3
from gridcore.transactions.reading_batch import FIRST_PREVIOUS, ClockState
from gridcore.transactions.readings import Reading
from ledger.client import Answer, NodeRefused, NodeStatus, NodeUnreachable
from tests.worlds.keys import key

CHAIN = "test-0123456789abcdef"
GATEWAY = "gw-1"
SLOT_S = 900
FIRST_S = 1_800_000_000
METERS = 3
CLOCK = ClockState(0, "simulated")


def trusted(path: Path = Path("never-written")) -> ReceiptTrust:
    """What the trust file says; ``path``: where changes of the set are kept."""
    return ReceiptTrust(LightState(begin(CHAIN, bytes(32), [(key("operator").public_key, 1)]), ()), path)


def maker(gateway: str = GATEWAY) -> BatchMaker:
    """Makes batches of the gateway."""
    return BatchMaker(gateway, CHAIN, key(gateway), "test/1", bytes(32), sm3(b"profiles"))


def readings(count: int = METERS, base: int = 0) -> list[Reading]:
    """Rows of ``count`` meters, not in order."""
    return [Reading(number, 5, 0, base + number, 0) for number in range(count, 0, -1)]


def next_batch(progress: Progress, boundary_s: int | None = None, count: int = METERS) -> QueuedBatch:
    """The batch after ``progress``."""
    boundary_s = FIRST_S + SLOT_S * progress.counter if boundary_s is None else boundary_s
    return maker().make(boundary_s, readings(count, progress.counter), progress, CLOCK)


def new_outbox(path: Path, batches: int = 0, epoch: int = 1, **options: Any) -> Outbox:
    """A fresh outbox with so many batches in it."""
    create_outbox(path, Progress(GATEWAY, CHAIN, epoch))
    outbox = Outbox.open(path, gateway=GATEWAY, chain=CHAIN, **options)
    for _ in range(batches):
        append(outbox)
    return outbox


def append(outbox: Outbox, make: Callable[[Progress], QueuedBatch] = next_batch) -> QueuedBatch:
    """Store one more batch."""
    boundary_s = make(outbox.progress).boundary_s
    (made,) = outbox.store([Entry(boundary_s, make)])
    assert made is not None
    return made


def check_chain(batches: Sequence[QueuedBatch], progress: Progress) -> None:
    """Counters without gap up to the progress, each batch naming the one before."""
    previous = FIRST_PREVIOUS if not batches or batches[0].counter == 1 else None
    for item in batches:
        transaction = decode_transaction(item.wire)
        assert transaction.id == item.id
        assert transaction.identity == {"counter": item.counter, "epoch": progress.epoch}
        assert previous in (None, transaction.body["previous"])
        previous = item.id
    assert not batches or (batches[-1].counter, batches[-1].id) == (progress.counter, progress.previous)


@dataclass
class FakeNode:
    """A ledger of gateways' counters, with blocks of one transaction each. Fills the place of ``ledger.client.Client``."""

    operator: SigningKey = field(default_factory=lambda: key("operator"))
    epoch: int = 1
    counter: int = 0
    last: bytes = FIRST_PREVIOUS
    last_boundary_s: int = -1
    ledger_time_s: int = FIRST_S - SLOT_S
    simulated: bool = True
    dead: bool = False
    lose_answers: int = 0
    refused_rows: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    refuse: dict[int, Code] = field(default_factory=dict)
    receipt_code: Code = Code.ACCEPTED
    is_of_another_history: bool = False
    hide_receipts: bool = False
    height: int = 0
    accepted: list[Transaction] = field(default_factory=list)
    submissions: int = 0
    asked: int = 0
    _receipts: dict[bytes, Receipt] = field(default_factory=dict)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def status(self) -> NodeStatus:
        self._answer()
        clock = "simulated" if self.simulated else "block"
        return NodeStatus(
            CHAIN,
            bytes(16),
            self.height,
            bytes(32),
            bytes(32),
            self.ledger_time_s,
            clock,
            self.simulated,
            SLOT_S,
            "CNY",
            "0",
        )

    async def query(self, path: str, **params: str | int) -> Any:
        self._answer()
        if path != f"gateways/{GATEWAY}":
            raise NodeRefused(f"no {path}", 404, f"no {path}")
        return {
            "gateway": GATEWAY,
            "epoch": self.epoch,
            "counter": self.counter,
            "last": self.last.hex(),
            "last_boundary_s": self.last_boundary_s,
            "organisation": "utility",
            "protection": "software",
        }

    async def wait_clock(self, after_s: int, wait_s: float = 60) -> int:
        self._answer()
        async with self._moved:
            await self._moved.wait_for(lambda: self.dead or self.ledger_time_s > after_s)
        self._answer()
        return self.ledger_time_s

    async def move_clock(self, to_s: int) -> None:
        async with self._moved:
            self.ledger_time_s = to_s
            self._moved.notify_all()

    async def die(self) -> None:
        async with self._moved:
            self.dead = True
            self._moved.notify_all()

    async def submit(self, transactions: Sequence[bytes]) -> list[Answer]:
        self._answer()
        self.submissions += 1
        answers = [self._decide(decode_transaction(wire)) for wire in transactions]
        if self.lose_answers:
            self.lose_answers -= 1
            raise NodeUnreachable("the answer was lost")
        return answers

    async def receipt(self, transaction_id: bytes) -> Receipt | None:
        self._answer()
        return None if self.hide_receipts else self._receipts.get(transaction_id)

    async def fetch_bytes(self, path: str, **params: str | int) -> bytes:
        """The node shows no change of the set of signers."""
        self._answer()
        if path != "headers":
            raise NodeRefused(f"no {path}", 404, f"no {path}")
        return encode_steps([])

    def _answer(self) -> None:
        self.asked += 1
        if self.dead:
            raise NodeUnreachable("no node answers there")

    def _decide(self, transaction: Transaction) -> Answer:
        if transaction.kind == "metering/open_epoch":
            self.epoch, self.counter, self.last = transaction.body["epoch"], 0, FIRST_PREVIOUS
            self._record(transaction)
            return self._answer_of(transaction, Code.ACCEPTED)
        counter = transaction.identity["counter"]
        if counter in self.refuse:
            return self._answer_of(transaction, self.refuse[counter])
        if transaction.identity["epoch"] != self.epoch:
            return self._answer_of(transaction, Code.WRONG_EPOCH)
        if counter == self.counter:
            code = Code.EXISTS if transaction.id == self.last else Code.COUNTER_REUSED
            return self._answer_of(transaction, code)
        if counter < self.counter:
            return self._answer_of(transaction, Code.COUNTER_PASSED)
        if counter > self.counter + 1:
            return self._answer_of(transaction, Code.WAITING, self.counter + 1)
        if transaction.body["previous"] != self.last:
            return self._answer_of(transaction, Code.WRONG_PREVIOUS)
        self.counter, self.last = counter, transaction.id
        self.last_boundary_s = max(self.last_boundary_s, transaction.body["boundary_s"])
        self.accepted.append(transaction)
        self._record(transaction)
        return self._answer_of(transaction, Code.ACCEPTED)

    def _answer_of(self, transaction: Transaction, code: Code, waiting_for: int | None = None) -> Answer:
        height = self.height if code in (Code.ACCEPTED, Code.EXISTS) else None
        is_disputed = self.is_of_another_history and "receipt" in transaction.body
        rows = tuple(self.refused_rows.get(transaction.identity.get("counter", 0), ()))
        return Answer(transaction.id, int(code), code.name, code in RETRY, height, waiting_for, rows, is_disputed)

    def _record(self, transaction: Transaction) -> None:
        self.height += 1
        root = merkle.leaf_hash(data_leaf(transaction.digest, self.receipt_code))
        public_key = self.operator.public_key
        signers = signers_digest([(public_key, 1)])
        header = Header(CHAIN, self.height, 0, 0, bytes(32), bytes(32), root, bytes(32), signers, b"", 2)
        signature = self.operator.sign(certificate_message(CHAIN, self.height, header.digest()))
        self._receipts[transaction.id] = Receipt(
            header, [(public_key, signature)], transaction.digest, self.receipt_code, ()
        )


class FakeLine:
    """Answers as SDM630 meters do: import = 1000 + 10 x unit id Wh, export 0. ``silent``: units that do not answer."""

    def __init__(self) -> None:
        self.silent: set[int] = set()
        self.reads = 0
        self.on_read: Any = None

    async def read_words(
        self,
        unit_id: int,
        function_code: int,
        address: int,
        count: int,
        *,
        timeout_ms: int = 1000,
        min_gap_ms: int = 0,
        until_ms: float = float("inf"),
    ) -> Sequence[int]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.on_read is not None:
            await self.on_read(unit_id)
        if unit_id in self.silent:
            raise NoAnswerError(f"unit {unit_id}: no answer")
        words = _float_words((1000 + 10 * unit_id) / 1000) + [0] * 64
        return words[:count]

    async def begin(self, boundary_s: int, boundary_ms: float) -> None:
        """Nothing to tell."""

    async def close(self) -> None:
        """Nothing to close."""


def _float_words(value: float) -> list[int]:
    import struct

    raw = struct.pack(">f", value)
    return [int.from_bytes(raw[:2], "big"), int.from_bytes(raw[2:], "big")]


def fake_lines(count: int = METERS) -> tuple[FakeLine, tuple[MeterLine, ...]]:
    """One line of ``count`` meters, numbers and unit ids from 1."""
    line = FakeLine()
    return line, (meter_line(line, count),)


def meter_line(line: FakeLine, count: int = METERS, observe: tuple[str, ...] = ()) -> MeterLine:
    """SDM630 meters behind ``line``."""
    profile = load_profile("eastron_sdm630", kind=ModbusProfile)
    plan = plan_reads(profile)
    table = [MeterConfig(n, f"M-{n}", "l", profile.id, 10_000, n, observe=observe) for n in range(1, count + 1)]
    meters = (Meter(row, modbus_meter(line, row, profile, plan), limits_of(row, profile)) for row in table)
    return MeterLine(line, tuple(meters))


def write_config(folder: Path, node: str = "http://127.0.0.1:9", **changes: str) -> Path:
    """A complete configuration in ``folder``; ``changes``: TOML text by key, "" leaves a key out."""
    (folder / "gateway.pem").write_bytes(encode_private_key(key(GATEWAY), b"hush", iterations=1024))
    for name, text in (("password", "hush\n"), ("wrong-password", "oops\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    (folder / "trust.json").write_text(json.dumps(trust_root()))
    values = {
        "gateway": f'"{GATEWAY}"',
        "chain": f'"{CHAIN}"',
        "node": f'"{node}"',
        "trust": '"trust.json"',
        "key": '"file:gateway.pem"',
        "key_password": '"file:password"',
        "outbox": '"outbox.sqlite"',
        "clock": '"ledger"',
    } | changes
    text = "".join(f"{name} = {value}\n" for name, value in values.items() if value and not name.startswith("_"))
    text += changes.get("_tables", "")
    text += '[[lines]]\nline = "l"\nhost = "127.0.0.1"\nport = 9\n'
    text += '[[meters]]\nnumber = 1\nmeter = "M-1"\nline = "l"\nunit_id = 1\n'
    text += f"limit_wh = {changes.get('_limit_wh', '10000')}\n"
    text += "profile = " + changes.get("_profile", '"eastron_sdm630"') + "\n"
    text += f"observe = {changes['_observe']}\n" if "_observe" in changes else ""
    path = folder / "edge.toml"
    path.write_text(text)
    return path


def trust_root() -> dict[str, Any]:
    """The content of trust.json."""
    return {
        "type": "gridledger-trust",
        "version": 2,
        "chain": CHAIN,
        "genesis": "00" * 32,
        "pins": [],
        "signers": [{"public_key": key("operator").public_key.hex(), "power": 1, "name": "operator"}],
    }
