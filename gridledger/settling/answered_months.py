"""What a node's answers about the documents of an area's month share: which month is asked, what an answer follows from, and how many are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from gridcore.errors import UsageError
from gridcore.transactions.registry_approve import RegistryApprove
from gridcore.transactions.registry_register import RegistryRegister
from gridledger.settling.chain import Scope
from gridledger.settling.dataset import InvoiceTerms
from gridledger.settling.documents import slots_of_months
from ledger.http.documents import DocumentLine, DocumentTax, MonthDocument
from ledger.leaves.columns import Int64
from ledger.leaves.runs import RUNS
from ledger.registry.zones import Zone
from ledger.store.reader import LedgerReader
from settlement.invoicing.documents import Document

PARTIES_AT_ONCE: Final = 64
"""Parties of one answer: their month is held in memory, about 100 KiB for each point and run."""
CHANGING: Final = (RegistryRegister.kind, RegistryApprove.kind)
"""Kinds of transactions by which the registry says something else."""


class RunsMade(NamedTuple):
    """The runs of some slots: how many were made, and the height of the newest one. A ledger never takes one back, so both tell whether there are others."""

    made: int
    newest_height: int


class Sized(Protocol):
    """An answer that takes room."""

    @property
    def lines(self) -> int:
        """Lines of documents, and what else takes as much room."""
        ...


Asked = TypeVar("Asked", bound=Hashable)
Answer = TypeVar("Answer", bound=Sized)


class KeptAnswers(Generic[Asked, Answer]):
    """Answers by what was asked, of so many lines together; those used least recently go first. Callable from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Asked, Answer] = OrderedDict()
        self._lines = 0
        self._lock = threading.Lock()

    def find(self, asked: Asked) -> Answer | None:
        """The answer that was kept, which need not hold any more."""
        with self._lock:
            return self._kept.get(asked)

    def keep(self, asked: Asked, answer: Answer, *, lines_max: int) -> None:
        """Keep an answer in place of the one before; the newest one is kept however large it is."""
        with self._lock:
            before = self._kept.pop(asked, None)
            self._lines += answer.lines - (0 if before is None else before.lines)
            self._kept[asked] = answer
            while self._lines > lines_max and len(self._kept) > 1:
                self._lines -= self._kept.popitem(last=False)[1].lines


class AreaMonths(NamedTuple):
    """An area as of a block: its zone, its number in it, and its settled slots by local month."""

    scope: Scope
    zone: Zone
    area_number: int
    slot_start_s: Mapping[str, Int64]


def months_of_area(reader: LedgerReader, area: str, month: str, height: int | None) -> AreaMonths:
    """The months of an area as of a block, None: the newest. UsageError for an area or a month that is not there."""
    found = reader.registry.zone_of_area(area)
    if found is None:
        raise UsageError(f"no area {area!r} on this chain")
    scope = Scope(found[0].name, reader.height if height is None else height, area)
    months = slots_of_months(reader, scope)
    if month not in months:
        has = f"it has {', '.join(months)}" if months else "none is settled yet"
        raise UsageError(f"month {month}: area {area} has no settled slot of it; {has}")
    return AreaMonths(scope, *found, months)


def runs_made(reader: LedgerReader, zone: str, height: int, slot_start_s: Int64) -> RunsMade:
    """The runs of some slots of a zone, up to a block."""
    found = (RUNS.load(reader, start_s, zone) for start_s in slot_start_s.tolist())
    heights = [made for leaf in found if leaf is not None for _, made in leaf.runs if made <= height]
    return RunsMade(len(heights), max(heights, default=0))


def is_changed_between(reader: LedgerReader, after_height: int, height: int) -> bool:
    """Whether blocks after a height, up to another, have registered anything: tariffs, parties, points, prices."""
    return any(reader.accepted_acts(kind, height, after_height) for kind in CHANGING)


def told(party: str, run: str, document: Document, terms: InvoiceTerms, lines: Sequence[DocumentLine]) -> MonthDocument:
    """A document as a node tells it."""
    return MonthDocument(
        party=party,
        run=run,
        net=document.net,
        taxed=document.taxed,
        tax=document.tax,
        gross=document.gross,
        rounding_nano=document.rounding_nano,
        quantum_nano=terms.quantum_nano,
        tax_ppm=terms.tax_ppm,
        taxes=[DocumentTax(*one) for one in document.taxes],
        lines=lines,
    )
