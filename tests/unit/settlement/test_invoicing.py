"""Invoices and credit notes: whatever came between, their sum is the invoice of the last state."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from settlement.invoicing.documents import InvoiceLine, documents
from settlement.invoicing.total import HALF_EVEN, HALF_UP_AWAY, invoice_total

QUANTUM_NANO = 10_000_000
LINES = st.dictionaries(st.sampled_from("abcd"), st.integers(-(10**12), 10**12), max_size=4)


@given(st.lists(LINES, min_size=1, max_size=4), st.sampled_from([HALF_UP_AWAY, HALF_EVEN]), st.integers(0, 300_000))
def test_the_documents_of_a_month_sum_to_the_invoice_of_its_last_state(
    states: list[dict[str, int]], rounding: str, tax_ppm: int
) -> None:
    as_lines = [[InvoiceLine(kind, nano, kind != "d") for kind, nano in state.items()] for state in states]
    found = documents(as_lines, tax_ppm=tax_ppm, quantum_nano=QUANTUM_NANO, rounding=rounding)
    last = states[-1]
    whole = invoice_total(list(last.values()), tax_ppm, QUANTUM_NANO, rounding, [kind != "d" for kind in last])
    issued = [document for document in found if document is not None]
    assert sum(document.net for document in issued) == whole.net
    assert sum(document.tax for document in issued) == whole.tax
    assert sum(document.gross for document in issued) == whole.gross
    assert sum(document.rounding_nano for document in issued) == whole.rounding_nano
    for kind in "abcd":
        of_kind = sum(document.lines.get(kind, 0) for document in issued)
        assert of_kind == dict(zip(last, whole.lines, strict=True)).get(kind, 0)


def test_a_state_that_changes_nothing_has_no_document() -> None:
    state = [InvoiceLine("levy", 123_456_789_012)]
    assert [
        document is None
        for document in documents([[], state, state], tax_ppm=0, quantum_nano=QUANTUM_NANO, rounding=HALF_EVEN)
    ] == [
        True,
        False,
        True,
    ]


def test_no_tax_is_paid_on_a_line_that_is_not_taxed() -> None:
    lines = [InvoiceLine("energy", 100 * QUANTUM_NANO), InvoiceLine("funds", 50 * QUANTUM_NANO, is_taxed=False)]
    (document,) = documents([lines], tax_ppm=130_000, quantum_nano=QUANTUM_NANO, rounding=HALF_UP_AWAY)
    assert document is not None
    assert (document.net, document.tax, document.gross) == (150, 13, 163)
