"""What gateways, households, administrators and the clock of a simulation send, and how: each until it has a receipt, to whichever node answers."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final

from gridcore.codes import Code
from gridcore.header import decode_receipt
from gridcore.sm3 import sm3
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.content import Content, SignedContent, sign_content
from gridcore.transactions.market_order import SIDES, MarketOrder
from gridcore.transactions.reading_batch import FIRST_PREVIOUS, ClockState, ReadingBatch
from gridcore.transactions.readings import Reading, attach
from simulators.consensus.founding import (
    AREA_NAME,
    CLOCK_NAME,
    FIRST_S,
    HOUSEHOLDS,
    SLOT_S,
    Founding,
    gateway,
    key_of,
    meter,
    party,
)
from simulators.consensus.node import Node
from simulators.consensus.schedule import Schedule
from simulators.consensus.voting import Voting

TICK_MS: Final = 400
RESEND_MS: Final = 2_000
REFUSALS_MAX: Final = 4
"""After so many refusals, none of them with a receipt, a transaction is given up: what is refused need not be in a block."""
PASSING: Final = frozenset({Code.ACCEPTED, Code.EXISTS, Code.COUNTER_GAP, Code.NODE_BUSY})
"""Answers of CheckTx after which a client goes on asking."""
WAITING_MAX: Final = 40
"""Transactions that wait for their receipts; beyond it nothing new is sent."""


@dataclass
class Sent:
    """A transaction on its way. sent_ms: when it was last handed to a node; codes: with which nodes did not take it."""

    id: bytes
    wire: bytes
    signer: str
    sent_ms: int = -RESEND_MS
    codes: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Acknowledged:
    """A transaction with a receipt that holds: its code, and the height of its block."""

    id: bytes
    wire: bytes
    code: int
    height: int


@dataclass
class Gateway:
    """A gateway and its meters. boundary_s: the next that it reads; registers: of each meter, import and export Wh."""

    number: int
    boundary_s: int = FIRST_S
    counter: int = 0
    previous: bytes = FIRST_PREVIOUS
    registers: dict[int, tuple[int, int]] = field(default_factory=dict)


class Workload:
    """See the module. ``is_open``: whether it makes new transactions."""

    def __init__(self, founding: Founding, nodes: list[Node], schedule: Schedule, rng: random.Random) -> None:
        self.is_open = True
        self.waiting: list[Sent] = []
        self.acknowledged: list[Acknowledged] = []
        self._founding = founding
        self._nodes = nodes
        self._schedule = schedule
        self._rng = rng
        self._gateways = [Gateway(number) for number in range(len(founding.powers))]
        self._order_slot_s = FIRST_S
        self._counters: dict[tuple[str, int], int] = {}
        self._clock_steps = 0
        self._voting = Voting(founding, self._send, rng)
        schedule.after(TICK_MS, self._tick)

    def _tick(self) -> None:
        up = [node for node in self._nodes if node.is_up]
        if up:
            self._collect(self._rng.choice(up))
            if self.is_open and len(self.waiting) < WAITING_MAX:
                ledger_time_s = self._rng.choice(up).ledger_time_s
                self._produce(ledger_time_s)
                self._voting.act(ledger_time_s)
                if self._rng.random() < 0.5:
                    self._annoy(self._rng.choice(up))
            self._hand_out(up)
        self._schedule.after(TICK_MS, self._tick)

    def _collect(self, node: Node) -> None:
        """Look for receipts at one node."""
        left: list[Sent] = []
        for sent in self.waiting:
            receipt = node.home.receipt(sent.id)
            if receipt is None:
                left.append(sent)
            else:
                found = decode_receipt(receipt)
                self.acknowledged.append(Acknowledged(sent.id, sent.wire, found.code, found.header.height))
        self.waiting = left

    def _hand_out(self, up: list[Node]) -> None:
        for sent in self.waiting:
            if self._schedule.now_ms >= sent.sent_ms + RESEND_MS:
                sent.sent_ms = self._schedule.now_ms
                code = self._rng.choice(up).submit(sent.wire)
                if code is not None and code not in PASSING:
                    sent.codes.append(code)
        self.waiting = [sent for sent in self.waiting if len(sent.codes) < REFUSALS_MAX]

    # --------------------------------------------------------------------------------------------- what is made

    def _produce(self, ledger_time_s: int) -> None:
        for found in self._gateways:
            if found.boundary_s <= ledger_time_s:
                self._read(found)
        while self._order_slot_s <= ledger_time_s + SLOT_S:
            self._order_slot_s += SLOT_S
            for number in range(len(self._gateways)):
                for household in range(HOUSEHOLDS):
                    self._order(party(number, household), self._order_slot_s)
        if self._founding.clock == "simulated" and all(sent.signer != CLOCK_NAME for sent in self.waiting):
            self._advance(ledger_time_s)

    def _send(self, signer: str, content: Content, attachment: bytes = b"") -> SignedContent:
        signed = self._sign(signer, signer, content, attachment)
        self.waiting.append(Sent(signed.id, signed.wire, signer))
        return signed

    def _sign(self, signer: str, key: str, content: Content, attachment: bytes = b"") -> SignedContent:
        chain, sign = self._founding.chain, key_of(key).sign
        return sign_content(content, chain=chain, signer=signer, sign=sign, attachment=attachment)

    def _read(self, found: Gateway) -> None:
        """The batches of a boundary: one, or one for each meter."""
        rng, meters = self._rng, [meter(found.number, household) for household in range(HOUSEHOLDS)]
        readings: list[Reading] = []
        for number in meters:
            imported, exported = found.registers.get(number, (0, 0))
            found.registers[number] = (
                imported + rng.randrange(3_000),
                exported + rng.choice([0, 0, rng.randrange(3_000)]),
            )
            if rng.random() < 0.95:
                readings.append(Reading(number, 0, 0, *found.registers[number]))
        parts = [[reading] for reading in readings] if rng.random() < 0.3 else [readings]
        for part in parts:
            if part:
                self._send_batch(found, part)
        found.boundary_s += SLOT_S

    def _send_batch(self, found: Gateway, readings: list[Reading]) -> None:
        found.counter += 1
        attached = attach(self._rng.randbytes(32), readings)
        content = ReadingBatch(
            agent="simulation",
            boundary_s=found.boundary_s,
            clock=ClockState(0, "simulated"),
            configuration=bytes(32),
            counter=found.counter,
            epoch=1,
            previous=found.previous,
            profiles=bytes(32),
            rows=attached.rows,
            rows_root=attached.rows_root,
        )
        found.previous = self._send(gateway(found.number), content, attached.attachment).id

    def _order(self, name: str, slot_start_s: int) -> None:
        if self._rng.random() < 0.4:
            self._send(name, self._draw_order(name, slot_start_s))

    def _draw_order(self, name: str, slot_start_s: int) -> MarketOrder:
        rng, counter = self._rng, self._counters.get((name, slot_start_s), 0) + 1
        self._counters[name, slot_start_s] = counter
        return MarketOrder(
            area=AREA_NAME,
            counter=counter,
            nonce=rng.randbytes(16),
            price_micro_per_kwh=rng.randrange(300_000, 440_000, 10_000),
            quantity_wh=rng.randrange(1, 2_000),
            side=rng.choice(SIDES),
            slot_start_s=slot_start_s,
        )

    def _advance(self, ledger_time_s: int) -> None:
        self._clock_steps += 1
        to_s = ledger_time_s + self._rng.choice([30, 100, SLOT_S])
        content = ClockAdvance(
            client_id=sm3(b"step %d" % self._clock_steps)[:16], valid_until_s=ledger_time_s + 3_600, to_s=to_s
        )
        self._send(CLOCK_NAME, content)

    # ------------------------------------------------------------------------------------------- what is wrong

    def wrong(self) -> bytes:
        """A transaction that may enter no block: cut, flipped, of another key, of another chain, no transaction at all."""
        rng = self._rng
        name = party(rng.randrange(len(self._gateways)), 0)
        content = MarketOrder(
            area=AREA_NAME,
            counter=1,
            nonce=rng.randbytes(16),
            price_micro_per_kwh=1,
            quantity_wh=1,
            side="buy",
            slot_start_s=FIRST_S,
        )
        forged = self._sign(name, CLOCK_NAME, content).wire
        foreign = sign_content(content, chain="elsewhere", signer=name, sign=key_of(name).sign).wire
        flipped = bytearray(forged)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        return rng.choice(
            [forged, foreign, bytes(flipped), forged[: rng.randrange(len(forged))], rng.randbytes(90), b""]
        )

    def old(self) -> bytes | None:
        """A transaction that was acknowledged."""
        return self._rng.choice(self.acknowledged).wire if self.acknowledged else None

    def _annoy(self, node: Node) -> None:
        """Submit what no mempool may take."""
        node.submit(self.wrong())
        if (again := self.old()) is not None:
            node.submit(again)
