"""Agreements as ``agreements.csv`` has them, and the prices that they name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gridcore.errors import UsageError
from gridcore.registry.agreement import AGREEMENT, Agreement, EndedAgreement
from gridledger.settling.dataset import AgreementRow, SeriesRows
from gridledger.settling.extract.series import series_in_slots
from gridledger.settling.files.stamps import to_iso
from ledger.leaves.columns import Int64
from ledger.registry.bodies import row_of
from ledger.registry.zones import ZoneInForce
from ledger.store.reader import LedgerReader


class Agreed(NamedTuple):
    """Agreements by the bytes of their names, and what the series that they name say of every slot."""

    agreements: Sequence[AgreementRow]
    references: Sequence[SeriesRows]


class _Span(NamedTuple):
    """The slots in which an agreement holds: the first one's and the last one's start."""

    agreement: Agreement
    first_s: int
    last_s: int


class AgreementFacts:
    """What slots say of the agreements between some rows of a zone."""

    def __init__(self, reader: LedgerReader, rows: Int64) -> None:
        self._reader, self._rows = reader, set(rows.tolist())
        self._records: dict[bytes, Agreement | EndedAgreement] = {}
        self._spans: dict[str, _Span] = {}
        self._before_s = 0

    def note(self, slot_start_s: int, in_force: ZoneInForce) -> None:
        """A zone as it is in a slot; slots come in order. UsageError for an agreement that changes, or holds again after a gap."""
        for name, agreement in self._holding(in_force):
            known = self._spans.setdefault(name, _Span(agreement, slot_start_s, slot_start_s))
            if known.agreement != agreement or known.last_s not in (self._before_s, slot_start_s):
                what = f"agreement {name} is another one from {to_iso(slot_start_s)} on"
                raise UsageError(f"{what}; name days of one of them")
            self._spans[name] = known._replace(last_s=slot_start_s)
        self._before_s = slot_start_s

    def _holding(self, in_force: ZoneInForce) -> Iterator[tuple[str, Agreement]]:
        """The agreements of the rows that have not ended, and whose points are billed to those who agreed: a folder names points alone."""
        for name, seller, buyer, digest in in_force.agreements:
            if digest not in self._records:
                self._records[digest] = AGREEMENT.record_of(row_of(self._reader, digest).value)
            record = self._records[digest]
            if seller in self._rows and isinstance(record, Agreement):
                billed = [self._party(in_force, row) for row in (seller, buyer)]
                if billed == [record.seller, record.buyer]:
                    yield name, record

    def _party(self, in_force: ZoneInForce, row: int) -> str | None:
        number = int(in_force.party[row])
        return None if number < 0 else self._reader.registry.parties[number]

    def found(self, slots: Int64) -> Agreed:
        """All of it, beside the slots of the dataset."""
        rows = [self._row(name, self._spans[name], slots) for name in sorted(self._spans, key=str.encode)]
        series = sorted({row.agreement.series for row in rows if row.agreement.series is not None}, key=str.encode)
        return Agreed(rows, [series_in_slots(self._reader, name, name, slots) for name in series])

    def _row(self, name: str, span: _Span, slots: Int64) -> AgreementRow:
        behind = slots[slots > span.last_s]
        begins_s = None if span.first_s == slots[0] else span.first_s
        return AgreementRow(name, span.agreement, begins_s, int(behind[0]) if len(behind) else None)
