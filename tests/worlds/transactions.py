"""Signed transactions in everybody's name, as devices, people and the clock of a test chain would send them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gridcore import cbor
from gridcore.column import decode_column
from gridcore.envelope import encode_signed, encode_transaction
from gridcore.governance.table import Action
from gridcore.quality import MEASURED
from gridcore.registry.row import Row
from gridcore.sm3 import sm3
from gridcore.transactions.approve_reading import ApproveReading
from gridcore.transactions.clock_accept import ClockAccept
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.content import Content
from gridcore.transactions.dispute_document import DisputeDocument
from gridcore.transactions.dispute_open import DisputeOpen
from gridcore.transactions.dispute_step import DisputeStep
from gridcore.transactions.governance_propose import GovernancePropose
from gridcore.transactions.governance_vote import GovernanceVote
from gridcore.transactions.interval_import import ImportedFile, IntervalImport
from gridcore.transactions.market_cancel import MarketCancel
from gridcore.transactions.market_order import MarketOrder
from gridcore.transactions.market_profile import MarketProfile, ProfileBid, ProfileEnd, ProfilePart
from gridcore.transactions.order_batch import OrderBatch, PlacedOrder, attach_orders
from gridcore.transactions.payment import Payment
from gridcore.transactions.reading_batch import FIRST_PREVIOUS, ClockState, ReadingBatch, VerifiedHeader
from gridcore.transactions.readings import Reading, attach, split_attachment
from gridcore.transactions.registry_register import AttachedRows, RegistryRegister
from ledger.state.interval_columns import IntervalColumns
from tests.worlds.keys import sign

DAY_S = 86_400
"""As far as one step of the clock may lead."""
SIMULATED = ClockState(0, "simulated")


@dataclass
class Sender:
    """Signs for whoever a test names. Keeps the gateways' counters; ids and seeds are counted, not drawn.

    now_s: ledger time as this sender has moved it. sign: (name, signed bytes) -> signature.
    """

    chain: str
    now_s: int
    sign: Callable[[str, bytes], bytes] = sign
    _last: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    _clock_steps: int = 0

    def wire(self, kind: str, signer: str, identity: Any, body: Any, attachment: bytes = b"", key: str = "") -> bytes:
        """A transaction of any form in wire form; ``key``: whose key signs, if not the signer's."""
        signed = encode_signed(chain=self.chain, kind=kind, signer=signer, identity=identity, body=body)
        return encode_transaction(signed, self.sign(key or signer, signed), attachment)

    def signed(self, signer: str, content: Content, attachment: bytes = b"", key: str = "") -> bytes:
        """A transaction of the form of its kind; ``key`` as in ``wire``."""
        return self.wire(content.kind, signer, content.identity(), content.body(), attachment, key)

    def clock(
        self, to_s: int, *, signer: str = "clock", client_id: bytes | None = None, valid_until_s: int | None = None
    ) -> bytes:
        """clock/advance; by itself under a client id that this sender gives to nothing else, valid for an hour."""
        self._clock_steps += 1
        content = ClockAdvance(
            client_id=client_id or sm3(b"%d/%d" % (self._clock_steps, to_s))[:16],
            valid_until_s=self.now_s + 3_600 if valid_until_s is None else valid_until_s,
            to_s=to_s,
        )
        self.now_s = to_s
        return self.signed(signer, content)

    def accept(self, to_s: int, *, valid_until_s: int) -> bytes:
        """clock/accept, under an id that follows from it."""
        named = sm3(b"accept %d" % to_s)[:16]
        return self.signed("clock", ClockAccept(client_id=named, valid_until_s=valid_until_s, to_s=to_s))

    def clocks(self, to_s: int) -> list[bytes]:
        """The steps of the clock to ``to_s``, each as long as one may be; each belongs into a block of its own."""
        return [self.clock(min(step_s, to_s)) for step_s in range(self.now_s + DAY_S, to_s + DAY_S, DAY_S)]

    def register(
        self, rows: Sequence[Row], *, signer: str = "admin", valid_until_s: int | None = None, key: str = ""
    ) -> bytes:
        """registry/register of these rows, under an id that follows from them, valid for an hour; ``key`` as in ``wire``."""
        digest = sm3(b"".join(row.encode() for row in rows))
        attached = AttachedRows(digest, [row.encode() for row in rows])
        content = RegistryRegister(
            client_id=digest[:16],
            valid_until_s=self.now_s + 3_600 if valid_until_s is None else valid_until_s,
            rows=len(rows),
            rows_root=attached.root,
        )
        return self.signed(signer, content, attached.encode(), key)

    def approve(self, installation: int, boundary_s: int, registers: tuple[int, int], *, signer: str = "util") -> bytes:
        """metering/approve, under an id that follows from it, valid for an hour."""
        content = ApproveReading(
            client_id=sm3(f"{installation}/{boundary_s}/{registers}/{signer}".encode())[:16],
            valid_until_s=self.now_s + 3_600,
            boundary_s=boundary_s,
            installation=installation,
            reason="read at the meter",
            registers=registers,
        )
        return self.signed(signer, content)

    def dispute(
        self, party: str, point: str, slot_start_s: int, *, run: str = "initial", again: int = 0, **said: str
    ) -> bytes:
        """settlement/dispute, under an id that follows from it and ``again``, valid for an hour. said: ``ground``, ``line_kind``."""
        content = DisputeOpen(
            client_id=sm3(f"{party}/{point}/{slot_start_s}/{run}/{again}".encode())[:16],
            valid_until_s=self.now_s + 3_600,
            ground=said.get("ground", "reading"),
            line_kind=said.get("line_kind", ""),
            point=point,
            run=run,
            slot_start_s=slot_start_s,
            statement=sm3(b"the meter was exchanged"),
        )
        return self.signed(party, content)

    def dispute_document(
        self, party: str, month: str, line_kind: str = "", *, amount_nano: int = 5, **said: Any
    ) -> bytes:
        """settlement/dispute_document, of the total where no line is named, valid for an hour. said: ``part``, ``again``."""
        content = DisputeDocument(
            client_id=sm3(f"{party}/{month}/{line_kind}/{amount_nano}/{said}".encode())[:16],
            valid_until_s=self.now_s + 3_600,
            amount_nano=amount_nano,
            ground="tariff",
            line_kind=line_kind,
            month=month,
            part=said.get("part", "line" if line_kind else "total"),
            statement=sm3(b"the price was agreed otherwise"),
        )
        return self.signed(party, content)

    def payment(self, point: str, party: str, amount_nano: int, *, ground: str = "received", **said: Any) -> bytes:
        """settlement/payment, by itself of util, valid for an hour. said: ``reference`` in words, ``signer``."""
        reference = sm3(str(said.get("reference", amount_nano)).encode())
        content = Payment(
            client_id=sm3(b"%b/%b/%d/%b" % (point.encode(), ground.encode(), self.now_s, reference))[:16],
            valid_until_s=self.now_s + 3_600,
            amount_nano=amount_nano,
            ground=ground,
            party=party,
            point=point,
            reference=reference,
        )
        return self.signed(said.get("signer", "util"), content)

    def step(self, kind: type[DisputeStep], dispute: bytes, signer: str, outcome: str) -> bytes:
        """A step of a dispute, under an id that follows from it, valid for an hour."""
        content = kind(
            client_id=sm3(b"%b/%b/%d" % (dispute, outcome.encode(), self.now_s))[:16],
            valid_until_s=self.now_s + 3_600,
            dispute=dispute,
            outcome=outcome,
            statement=sm3(b"reasons"),
        )
        return self.signed(signer, content)

    def propose(self, action: Action, *, signer: str = "admin", open_s: int = 3_600) -> bytes:
        """governance/propose, under an id that follows from it, open for ``open_s`` of ledger time."""
        encoded = action.encode()
        content = GovernancePropose(
            client_id=sm3(b"%d/%b/%b" % (self.now_s, signer.encode(), encoded))[:16],
            valid_until_s=self.now_s + 3_600,
            action=encoded,
            open_until_s=self.now_s + open_s,
        )
        return self.signed(signer, content)

    def vote(self, proposal: bytes, signer: str, *, in_favour: bool = True, again: int = 0) -> bytes:
        """governance/vote, under an id that follows from it and ``again``, valid for an hour."""
        content = GovernanceVote(
            client_id=sm3(b"%d/%b/%b" % (again, proposal, signer.encode()))[:16],
            valid_until_s=self.now_s + 3_600,
            in_favour=in_favour,
            proposal=proposal,
        )
        return self.signed(signer, content)

    def order(
        self,
        party: str,
        area: str,
        side: str,
        quantity_wh: int,
        price_micro_per_kwh: int,
        slot_start_s: int,
        *,
        counter: int = 1,
        key: str = "",
        **changes: Any,
    ) -> bytes:
        """market/order; ``key`` as in ``wire``; ``changes``: other fields."""
        content = MarketOrder(
            area=area,
            counter=counter,
            nonce=sm3(f"{party}/{slot_start_s}/{counter}".encode())[:16],
            price_micro_per_kwh=price_micro_per_kwh,
            quantity_wh=quantity_wh,
            side=side,
            slot_start_s=slot_start_s,
            **changes,
        )
        return self.signed(party, content, key=key)

    def cancel(self, party: str, area: str, slot_start_s: int, *counters: int) -> bytes:
        """market/cancel of the party's orders with these counters."""
        nonce = sm3(f"{party}/{slot_start_s}/{counters}".encode())[:16]
        content = MarketCancel(area=area, counters=counters, nonce=nonce, slot_start_s=slot_start_s)
        return self.signed(party, content)

    def profile(
        self,
        party: str,
        area: str,
        first_s: int,
        end_s: int,
        parts: Sequence[ProfilePart | ProfileBid],
        *,
        counter: int = 1,
    ) -> bytes:
        """market/profile for the slots from ``first_s`` to before ``end_s``."""
        nonce = sm3(repr((party, first_s, end_s, parts, counter)).encode())[:16]
        content = MarketProfile(area=area, counter=counter, end_s=end_s, nonce=nonce, parts=parts, slot_start_s=first_s)
        return self.signed(party, content)

    def profile_end(self, party: str, area: str, first_s: int, *, counter: int = 1) -> bytes:
        """market/profile_end of a profile."""
        return self.signed(party, ProfileEnd(area=area, counter=counter, nonce=bytes(16), slot_start_s=first_s))

    def order_batch(self, aggregator: str, zone: str, slot_start_s: int, orders: Sequence[PlacedOrder]) -> bytes:
        """market/order_batch, under an id and a seed that follow from the orders, valid for an hour."""
        digest = sm3(repr((aggregator, zone, slot_start_s, orders)).encode())
        attached = attach_orders(digest, orders)
        content = OrderBatch(
            client_id=digest[:16],
            valid_until_s=self.now_s + 3_600,
            rows=attached.rows,
            rows_root=attached.rows_root,
            slot_start_s=slot_start_s,
            zone=zone,
        )
        return self.signed(aggregator, content, attached.attachment)

    def intervals(
        self,
        gateway: str,
        first_slot_s: int,
        numbers: Sequence[int],
        energies: Sequence[Sequence[tuple[int, int, int]]],
        *,
        slot_s: int = 900,
        **changes: Any,
    ) -> bytes:
        """metering/interval_import of (quality, import Wh, export Wh) of each of the meters ``numbers`` in each slot, under an id and a seed that
        follow from them, valid for an hour. ``changes``: other fields.
        """
        digest = sm3(repr((gateway, first_slot_s, numbers, energies, changes)).encode())
        table = np.array(energies, dtype=np.int64)
        columns = IntervalColumns(
            digest, np.array(numbers), table[:, :, 0].astype(np.uint8), table[:, :, 1], table[:, :, 2]
        )
        content = IntervalImport(
            client_id=digest[:16],
            valid_until_s=self.now_s + 3_600,
            agent="test",
            estimates="zero_marked",
            files=[ImportedFile("readings.csv", sm3(b"a file"))],
            first_slot_s=first_slot_s,
            meters=len(numbers),
            rows_root=columns.rows_root(first_slot_s, slot_s),
            slot_s=slot_s,
            slots=len(energies),
        )
        return self.signed(gateway, replace(content, **changes), columns.encode())

    def batch(
        self,
        gateway: str,
        boundary_s: int,
        rows: Sequence[tuple[int, int, int]],
        *,
        counter: int | None = None,
        previous: bytes | None = None,
        observations: bytes = b"",
        clock: ClockState = SIMULATED,
        offset_ms: int = 0,
        quality: int = MEASURED,
        receipt: VerifiedHeader | None = None,
    ) -> bytes:
        """metering/reading_batch of (meter, import Wh, export Wh); by itself the gateway's next one, chained to its last."""
        last = self._last.get(gateway, (0, FIRST_PREVIOUS))
        counter = last[0] + 1 if counter is None else counter
        previous = last[1] if previous is None else previous
        readings = [Reading(meter, offset_ms, quality, import_wh, export_wh) for meter, import_wh, export_wh in rows]
        attached = attach(sm3(f"{gateway}/{counter}".encode()), readings, observations)
        content = ReadingBatch(
            agent="test",
            boundary_s=boundary_s,
            clock=clock,
            configuration=bytes(32),
            counter=counter,
            epoch=1,
            previous=previous,
            profiles=bytes(32),
            rows=attached.rows,
            rows_root=attached.rows_root,
            observations=attached.observations,
            receipt=receipt,
        )
        wire = self.signed(gateway, content, attached.attachment)
        self._last[gateway] = (counter, transaction_id(wire))
        return wire


def transaction_id(wire: bytes) -> bytes:
    """SM3 of the signed bytes."""
    return sm3(cbor.decode(wire)[0])


def readings_of(attachment: bytes, rows: int) -> list[Reading]:
    """The readings of a batch of ``rows`` rows. EncodingError for anything but the canonical form."""
    _, columns, _ = split_attachment(attachment)
    return [Reading(*values) for values in zip(*(decode_column(column, rows) for column in columns), strict=True)]
