"""``disputed.csv``: what of each party's documents of a month is disputed, and what is due (ADR 0145)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from gridcore.transactions.dispute_document import LINE
from gridledger.settling.documents import Books
from gridledger.settling.results.billing import Billing
from gridledger.settling.results.months import span_of_month
from ledger.leaves.dispute import DISPUTE, ContestedDocument, DisputeLeaf
from ledger.leaves.disputes import DISPUTES
from ledger.store.reader import LedgerReader
from settlement.invoicing.disputed import Contested, disputed_nano
from settlement.invoicing.documents import Document

DISPUTED: Final = "disputed.csv"


class DisputedRow(NamedTuple):
    """A party's month: disputed_nano + due_nano = gross_nano, what its documents come to, tax included. disputes: how many are open."""

    party: str
    month: str
    disputes: int
    gross_nano: int
    disputed_nano: int
    due_nano: int


def disputed_of_month(books: Books, billing: Billing) -> list[DisputedRow]:
    """Of the one month of a billing whose runs have all been read, all parties; as of the newest block, no row where the books are of an earlier one."""
    if books.scope.height != books.reader.height:
        return []
    (month,) = billing.months.names
    return [_row(books.reader, billing, party, month) for party in billing.points_of_party]


def _row(reader: LedgerReader, billing: Billing, party: str, month: str) -> DisputedRow:
    document = billing.invoices.whole(party, billing.sheets.names, 0).document
    if document is None:
        return DisputedRow(party, month, 0, 0, 0, 0)
    terms = billing.terms_in(party, month)
    gross_nano = document.gross * terms.quantum_nano
    open_now = [one for one in _open(reader, party) if _is_of(one, billing, party, month)]
    rates_ppm = {kind.line_kind: rate for kind, rate in zip(billing.kinds, billing.rates_ppm(party, 0), strict=True)}
    contested = [_contested(one, document, rates_ppm, terms.quantum_nano, terms.tax_ppm) for one in open_now]
    disputed = disputed_nano(contested, gross_nano, quantum_nano=terms.quantum_nano, rounding=terms.rounding)
    return DisputedRow(party, month, len(open_now), gross_nano, disputed, gross_nano - disputed)


def _open(reader: LedgerReader, party: str) -> Iterator[DisputeLeaf]:
    """What a party contests by now."""
    leaf = DISPUTES.load(reader, party)
    for dispute in () if leaf is None else leaf.open:
        yield DISPUTE.must(reader, dispute.hex())


def _is_of(dispute: DisputeLeaf, billing: Billing, party: str, month: str) -> bool:
    """Whether a dispute is of the documents of a party's month."""
    contested = dispute.contested
    if isinstance(contested, ContestedDocument):
        return contested.month == month
    begins_s, end_s = span_of_month(month, billing.dataset.timezone)
    own = {billing.dataset.points[place].point for place in billing.points_of_party[party]}
    return contested.point in own and begins_s <= contested.slot_start_s < end_s


def _contested(
    dispute: DisputeLeaf, document: Document, rates_ppm: Mapping[str, int | None], quantum_nano: int, tax_ppm: int
) -> Contested:
    """The amount of a slot's row is the ledger's; what a party signs of a month counts up to what its documents say."""
    of = dispute.contested
    if not isinstance(of, ContestedDocument):
        return Contested(dispute.amount_nano, tax_ppm)
    if of.part == LINE:
        stated, rate_ppm = document.lines.get(of.line_kind, 0), rates_ppm.get(of.line_kind)
    else:
        stated, rate_ppm = (document.tax if of.part == "tax" else document.gross), None
    return Contested(min(dispute.amount_nano, stated * quantum_nano), rate_ppm)
