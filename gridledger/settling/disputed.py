"""``disputed.csv``: what of each party's documents of a month is disputed, and what is due (ADR 0145)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from gridcore.transactions.dispute_document import LINE
from gridledger.settling.dataset import InvoiceTerms
from gridledger.settling.documents import Books
from gridledger.settling.results.billing import Billing
from gridledger.settling.results.months import midnight_s, span_of_month
from ledger.leaves.dispute import DISPUTE, ContestedDocument, DisputeLeaf
from ledger.leaves.disputes import DISPUTES
from ledger.store.reader import LedgerReader
from settlement.invoicing.disputed import Contested, ContestedNet, disputed_nano
from settlement.invoicing.documents import LineOf, highest_first

DISPUTED: Final = "disputed.csv"


class DisputedRow(NamedTuple):
    """A party's month: disputed_nano + due_nano = gross_nano, what its documents come to, tax included. disputes: how many are open."""

    party: str
    month: str
    disputes: int
    gross_nano: int
    disputed_nano: int
    due_nano: int


class Contestable(NamedTuple):
    """What of a party's month its disputes are of: its points and the span of slots, and what its documents come to, all together.

    begins_s, end_s: UTC seconds; tax, gross, lines (by kind and rate of tax): quanta; rates: of the tariff's tax, from each of some times on (UTC
    seconds, ascending).
    """

    party: str
    month: str
    points: frozenset[str]
    begins_s: int
    end_s: int
    terms: InvoiceTerms
    tax: int
    gross: int
    lines: Mapping[LineOf, int]
    rates: Sequence[tuple[int, int]]

    @property
    def gross_nano(self) -> int:
        """What the documents come to, tax included."""
        return self.gross * self.terms.quantum_nano

    def rate_at(self, time_s: int) -> int:
        """The rate of the tariff's tax in the slot that starts at a time."""
        return next((rate for from_s, rate in reversed(self.rates) if from_s <= time_s), self.terms.tax_ppm)


def contestable_of_month(billing: Billing) -> list[Contestable]:
    """Of the one month of a billing whose runs have all been read, all parties."""
    (month,) = billing.months.names
    span = span_of_month(month, billing.dataset.timezone)
    return [_contestable(billing, party, month, span) for party in billing.points_of_party]


def _contestable(billing: Billing, party: str, month: str, span: tuple[int, int]) -> Contestable:
    document = billing.invoices.whole(party, billing.sheets.names, 0).document
    terms, zone = billing.terms_in(party, month), ZoneInfo(billing.dataset.timezone)
    return Contestable(
        party,
        month,
        frozenset(billing.dataset.points[place].point for place in billing.points_of_party[party]),
        *span,
        terms,
        tax=0 if document is None else document.tax,
        gross=0 if document is None else document.gross,
        lines={} if document is None else document.lines,
        rates=[(midnight_s(one.day, zone), one.tax_ppm) for one in terms.later_rates],
    )


def disputed_of_month(books: Books, billing: Billing) -> list[DisputedRow]:
    """Of the one month of a billing whose runs have all been read, all parties; as of the newest block, no row where the books are of an earlier one."""
    if books.scope.height != books.reader.height:
        return []
    return [disputed_row(books.reader, of) for of in contestable_of_month(billing)]


def disputed_row(reader: LedgerReader, of: Contestable) -> DisputedRow:
    """What is disputed of a party's month by now."""
    open_now = [one for one in _open(reader, of.party) if _is_of(one, of)]
    terms, contested = of.terms, _contested(open_now, of)
    disputed = disputed_nano(contested, of.gross_nano, quantum_nano=terms.quantum_nano, rounding=terms.rounding)
    return DisputedRow(of.party, of.month, len(open_now), of.gross_nano, disputed, of.gross_nano - disputed)


def _open(reader: LedgerReader, party: str) -> Iterator[DisputeLeaf]:
    """What a party contests by now."""
    leaf = DISPUTES.load(reader, party)
    for dispute in () if leaf is None else leaf.open:
        yield DISPUTE.must(reader, dispute.hex())


def _is_of(dispute: DisputeLeaf, of: Contestable) -> bool:
    """Whether a dispute is of the documents of a party's month."""
    contested = dispute.contested
    if isinstance(contested, ContestedDocument):
        return contested.month == of.month
    return contested.point in of.points and of.begins_s <= contested.slot_start_s < of.end_s


def _contested(disputes: Sequence[DisputeLeaf], of: Contestable) -> Contested:
    """The amount of a slot's row is the ledger's; what a party signs of a month counts up to what its documents say."""
    nets: list[ContestedNet] = []
    of_parts = {"tax": 0, "total": 0}
    for dispute in disputes:
        what = dispute.contested
        if not isinstance(what, ContestedDocument):
            nets.append(ContestedNet(dispute.amount_nano, of.rate_at(what.slot_start_s)))
        elif what.part == LINE:
            nets += nets_of_line(what.line_kind, dispute.amount_nano, of)
        else:
            stated = of.tax if what.part == "tax" else of.gross
            of_parts[what.part] = min(dispute.amount_nano, stated * of.terms.quantum_nano)
    return Contested(nets, of_parts["tax"], of_parts["total"])


def nets_of_line(line_kind: str, amount_nano: int, of: Contestable) -> Iterator[ContestedNet]:
    """A contested line of a kind, by the rates of its tax: up to what the documents say at each, the highest rate first."""
    stated = [
        (line, quanta * of.terms.quantum_nano) for line, quanta in of.lines.items() if line.line_kind == line_kind
    ]
    left_nano = min(amount_nano, sum(nano for _, nano in stated))
    for line, nano in sorted(stated, key=lambda one: highest_first(one[0].tax_ppm)):
        part_nano = min(left_nano, max(nano, 0))
        left_nano -= part_nano
        yield ContestedNet(part_nano, line.tax_ppm)
