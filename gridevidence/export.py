"""Evidence bundles: what one point was billed in one slot, proved under the newest certified header (docs/spec/bundle.md).

Nothing is stored for this. The ledger hands in a ``SettledPoint`` and answers as an ``EvidenceLedger``; here entries are opened, the
signers' keys are followed to genesis, and the parts are put together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from gridcore import cbor, merkle
from gridcore.header import decode_header
from gridevidence.layout import BOOK_TYPE, BUNDLE_BYTES_MAX, BUNDLE_TYPE, HANDOVERS_MAX, TRUST_TYPE, VERSION
from gridevidence.sources import (
    Approval,
    EvidenceError,
    EvidenceLedger,
    EvidenceNotYetError,
    MeterPiece,
    ProvenOrder,
    ProvenReading,
    RecordedTransaction,
    RegistryEntry,
    RowProof,
    SaltedRows,
    SettledPoint,
    StateProof,
)

_Found = TypeVar("_Found")
_ARRAY_HEAD_BYTES: Final = 1
"""By which the head of an array of 64 is longer than that of an empty one."""
Proof = dict[str, Any]
"""A part of a bundle, as docs/spec/bundle.md names its keys."""


@dataclass(frozen=True)
class TrustedSigner:
    """A signer of headers, as a trust root names it."""

    name: str
    public_key: bytes
    power: int


@dataclass(frozen=True)
class Pin:
    """A key that whoever writes a trust root has taken from the device or the household itself."""

    signer: str
    fingerprint: str
    """SM3 of the public key, 64 hex digits."""


def encode_bundle(ledger: EvidenceLedger, point: SettledPoint) -> bytes:
    """The bundle of a point in a slot under the newest certified header, for which the ledger stands still meanwhile.

    Raises:
        EvidenceError: the ledger has no such leaf or entry.
        EvidenceNotYetError: something that it rests on is in no certified history yet; one of the next blocks makes it provable.
    """
    with ledger.frozen():
        if point.as_of_height + 1 > ledger.height:
            raise EvidenceNotYetError(f"no certified header has the run of block {point.as_of_height + 1} yet")
        if _names_other_signers(ledger, ledger.height):
            # Who trusts the new set alone could not tell its certificate, which is the old set's, from a forged one.
            raise EvidenceNotYetError(
                f"other validators take over in block {ledger.height}; the next one makes it provable"
            )
        assembly = _Assembly(ledger, point)
        parts = assembly.parts()
        room_bytes = BUNDLE_BYTES_MAX - len(cbor.encode(parts)) - _ARRAY_HEAD_BYTES
        return cbor.encode({**parts, "handovers": assembly.handovers(room_bytes)})


def first_change(bundle: bytes) -> int | None:
    """The height of the first change of the set of signers that a bundle shows; None where it shows none.

    Its trust root has to name the set that certified this header, or a later one.
    """
    shown = cbor.decode(bundle)["handovers"]
    return decode_header(shown[0]["header"]).height if shown else None


def _names_other_signers(ledger: EvidenceLedger, height: int) -> bool:
    """Whether a header names another set, as the one that certifies next, than the header before it."""
    before, after = (decode_header(ledger.header_bytes(one)).signers for one in (height - 1, height))
    return before != after


def encode_book(rows: SaltedRows) -> bytes:
    """The anonymous order book of an area in a cleared slot, in rank order, as ``verify --with-book`` reads it."""
    salts = merkle.salts(rows.seed, len(rows.rows))
    return cbor.encode({"book": list(rows.rows), "salts": list(salts), "type": BOOK_TYPE, "version": VERSION})


def trust_root(
    chain: str, genesis_digest: bytes, signers: Iterable[TrustedSigner], pins: Iterable[Pin] = ()
) -> dict[str, Any]:
    """The trust root of a chain, to be written as JSON: who certifies it, and which keys are pinned.

    genesis_digest: S_0, the SM3 of the header of height 0.
    """
    return {
        "chain": chain,
        "genesis": genesis_digest.hex(),
        "pins": [{"fingerprint": pin.fingerprint, "signer": pin.signer} for pin in pins],
        "signers": [{"name": one.name, "power": one.power, "public_key": one.public_key.hex()} for one in signers],
        "type": TRUST_TYPE,
        "version": VERSION,
    }


def _state_part(proof: StateProof) -> Proof:
    return {"leaf": proof.leaf, "path": list(proof.path)}


def _row_part(proof: RowProof) -> Proof:
    return {"path": list(proof.path), "row": proof.row, "salt": proof.salt}


@dataclass
class _Assembly:
    """A bundle while it is put together."""

    ledger: EvidenceLedger
    point: SettledPoint
    keys: dict[tuple[str, int, int], Proof] = field(default_factory=dict)
    """Opened entries of signers by (leaf key, from_s, recorded height)."""

    def parts(self) -> Proof:
        """All parts."""
        point, height = self.point, self.ledger.height
        slot, start_s = f"{point.slot_start_s}/{point.zone}", point.slot_start_s
        opening_s = max(start_s - point.open_before_start_s, self._first(f"zone/{point.zone}").from_s)
        of_slot = {
            "area": point.area,
            "party": point.party,
            "point": point.point,
            "rules": point.rules,
            "zone": point.zone,
        }
        parts: Proof = {
            **{kind: self._opened(f"{kind}/{name}", start_s) for kind, name in of_slot.items()},
            "area_result": _row_part(point.area_result),
            "certificate": [list(pair) for pair in self.ledger.certificate(height)],
            "chain": self._state("chain"),
            "gateways": self._gateways(),
            "genesis": {"header": self.ledger.header_bytes(0), "path": self.ledger.history_path(0, height)},
            "handovers": [],
            "header": self.ledger.header_bytes(height),
            "orders": [self._order(one) for one in point.orders],
            "pieces": [self._piece(piece) for piece in point.pieces],
            "position": _row_part(point.position),
            "run": self._state(f"run/{slot}/{point.run}"),
            "runs": self._state(f"runs/{slot}"),
            "type": BUNDLE_TYPE,
            "version": VERSION,
            "zone_contract": self._opened(f"zone/{point.zone}", opening_s),
        }
        if point.cleared_area is not None:
            parts["clearing"] = {"area": _row_part(point.cleared_area), **self._state(f"clearing/{slot}")}
        if point.point_rules is not None:
            parts["point_rules"] = self._opened(f"rules/{point.point_rules}", start_s)
        if point.series:
            parts["series"] = [self._opened(f"price_series/{name}", start_s) for name in point.series]
        if point.agreements:
            parts["agreements"] = [self._opened(f"agreement/{name}", start_s) for name in point.agreements]
        if point.imported is not None:
            parts["imported"] = {
                **self._transaction(point.imported.transaction),
                "installation": self._opened(f"installation/{point.imported.installation}", start_s),
                "interval": _row_part(point.imported.row),
            }
        if point.siblings:
            parts["siblings"] = [
                {"point": self._opened(f"point/{one.point}", start_s), "position": _row_part(one.position)}
                for one in point.siblings
            ]
        return {**parts, "keys": self._keys()}

    def _state(self, key: str) -> Proof:
        found = self.ledger.state_proof(key)
        if found is None:
            raise EvidenceError(f"this ledger has no leaf {key}")
        return _state_part(found)

    def _first(self, key: str) -> RegistryEntry:
        return _found(self.ledger.first_entry(key), key)

    def _entry(self, key: str, at_s: int, as_of_height: int) -> RegistryEntry:
        return _found(self.ledger.entry_in_force(key, at_s, as_of_height), key)

    def _opened(self, key: str, at_s: int, as_of_height: int | None = None) -> Proof:
        """The entry in force at a time, as of the run unless another height is given."""
        height = self.point.as_of_height if as_of_height is None else as_of_height
        return self._open(key, self._entry(key, at_s, height))

    def _open(self, key: str, entry: RegistryEntry) -> Proof:
        return {**self._state(key), "row": entry.row, "salt": entry.salt}

    def _piece(self, piece: MeterPiece) -> Proof:
        """One meter's part of the slot; its entry at the slot's end where that is another one than at its begin."""
        point, key = self.point, f"installation/{piece.installation}"
        begun = self._entry(key, piece.begin_s, point.as_of_height)
        parts: Proof = {"installation": self._open(key, begun), **self._end("start", piece.start)}
        if piece.ended_s is not None:
            return {**parts, "ended_by": self._opened(key, piece.ended_s)}
        at_end = self._entry(key, point.slot_start_s + point.slot_s, point.as_of_height)
        if at_end != begun:
            parts["end_installation"] = self._open(key, at_end)
        return {**parts, **self._end("end", piece.end)}

    def _end(self, when: str, end: ProvenReading | Approval | None) -> Proof:
        """What tells the registers at an end of the slot, under its key; nothing where that is not the piece's to tell."""
        if end is None:
            return {}
        if isinstance(end, Approval):
            return {f"approved_{when}": self._transaction(end.transaction)}
        return {when: {**self._transaction(end.batch), "reading": _row_part(end.row)}}

    def _gateways(self) -> list[Proof]:
        """Those in force when the batches, approvals or the import were recorded, each entry once."""
        opened: dict[tuple[str, int, int], Proof] = {}
        for recorded, name in self._answering():
            key = f"gateway/{name}"
            entry = self._entry(key, recorded.ledger_time_s, recorded.height - 1)
            opened[key, entry.from_s, entry.recorded_height] = self._open(key, entry)
        return [opened[place] for place in sorted(opened)]

    def _answering(self) -> Iterator[tuple[RecordedTransaction, str]]:
        """Each transaction that tells the energy, and the gateway that answers for it."""
        for end in (end for piece in self.point.pieces for end in (piece.start, piece.end) if end is not None):
            yield (end.transaction, end.gateway) if isinstance(end, Approval) else (end.batch, end.batch.signer)
        if self.point.imported is not None:
            yield self.point.imported.transaction, self.point.imported.transaction.signer

    def _order(self, order: ProvenOrder) -> Proof:
        """A filled order, with its trades; where an aggregator placed it, with the party's entry that named it then."""
        part = {**self._transaction(order.order), "fill": _row_part(order.fill)}
        if order.trades:
            part["trades"] = [_row_part(one) for one in order.trades]
        if order.placed is None:
            return part
        mandate = self._opened(f"party/{self.point.party}", self.point.slot_start_s, order.order.height - 1)
        return {**part, "mandate": mandate, "order": _row_part(order.placed)}

    def _transaction(self, transaction: RecordedTransaction) -> Proof:
        """As the bundle holds it; its signer's key is noted."""
        height = self.ledger.height
        if transaction.height >= height:
            raise EvidenceNotYetError(
                f"block {transaction.height} is in no certified history yet: header {height} is the newest with a certificate, and a "
                "later one makes it provable"
            )
        self._note_key(transaction)
        return {
            "attachment_digest": transaction.attachment_digest,
            "data_path": list(transaction.data_path),
            "header": transaction.header,
            "history_path": self.ledger.history_path(transaction.height, height),
            "signature": transaction.signature,
            "signed": transaction.signed,
        }

    def _note_key(self, transaction: RecordedTransaction) -> None:
        """The signer's entry in force, and with it the key that enrolled it, and so on to genesis or to a vote."""
        key = f"signer/{transaction.signer}"
        entry = self._entry(key, transaction.ledger_time_s, transaction.height - 1)
        place = (key, entry.from_s, entry.recorded_height)
        if place in self.keys:
            return
        opened: Proof = {"row": entry.row, "salt": entry.salt}
        self.keys[place] = opened
        if entry.recorded_height == 0:
            opened["genesis"] = _state_part(_found(self.ledger.genesis_proof(key), key))
        elif (voted := self.ledger.decision(key, entry)) is not None:
            opened["voted"] = _state_part(voted)
        else:
            enrolment = self.ledger.enrolment(key, entry)
            opened["enrolment"] = {**self._transaction(enrolment.transaction), "row_path": list(enrolment.row_path)}

    def _keys(self) -> list[Proof]:
        """Every signer that was noted, ascending, with its entries, ascending."""
        names = sorted({key for key, _, _ in self.keys}, key=str.encode)
        return [
            {**self._state(name), "entries": [self.keys[place] for place in sorted(self.keys) if place[0] == name]}
            for name in names
        ]

    def handovers(self, room_bytes: int) -> Sequence[Proof]:
        """The newest that a bundle has room for: a trust root that names none of their sets, nor the one before, cannot decide it."""
        height, shown = self.ledger.height, list[Proof]()
        for one in reversed(self.ledger.handovers(height)[-HANDOVERS_MAX:]):
            part: Proof = {
                "certificate": [list(pair) for pair in self.ledger.certificate(one.height)],
                "header": self.ledger.header_bytes(one.height),
                "path": self.ledger.history_path(one.height, height),
                "signers": [list(pair) for pair in one.signers],
            }
            room_bytes -= len(cbor.encode(part))
            if room_bytes < 0:
                break
            shown.append(part)
        return shown[::-1]


def _found(found: _Found | None, key: str) -> _Found:
    if found is None:
        raise EvidenceError(f"this ledger has no entry of {key} in force then")
    return found
