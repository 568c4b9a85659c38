"""Invoices and credit notes: whatever came between, their sum is the invoice of the last state."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from settlement.invoicing.documents import InvoiceLine, LineOf, documents
from settlement.invoicing.total import HALF_EVEN, HALF_UP_AWAY, invoice_total

QUANTUM_NANO = 10_000_000
LINES = st.dictionaries(st.sampled_from("abcd"), st.integers(-(10**12), 10**12), max_size=4)


@given(st.lists(LINES, min_size=1, max_size=4), st.sampled_from([HALF_UP_AWAY, HALF_EVEN]), st.integers(0, 300_000))
def test_the_documents_of_a_month_sum_to_the_invoice_of_its_last_state(
    states: list[dict[str, int]], rounding: str, tax_ppm: int
) -> None:
    """Kind a has a line of each of two rates, as of a month in which its rate changes."""
    of_line = {"a": LineOf("a", tax_ppm), "b": LineOf("a", 310_000), "c": LineOf("c", 60_000), "d": LineOf("d", None)}
    rates = {name: of.tax_ppm for name, of in of_line.items()}
    as_lines = [
        [InvoiceLine(of_line[name].line_kind, nano, rates[name]) for name, nano in state.items()] for state in states
    ]
    found = documents(as_lines, quantum_nano=QUANTUM_NANO, rounding=rounding)
    last = states[-1]
    whole = invoice_total(list(last.values()), [rates[kind] for kind in last], QUANTUM_NANO, rounding)
    issued = [document for document in found if document is not None]
    assert sum(document.net for document in issued) == whole.net
    assert sum(document.tax for document in issued) == whole.tax
    assert sum(document.gross for document in issued) == whole.gross
    assert sum(document.rounding_nano for document in issued) == whole.rounding_nano
    assert all(sum(one.tax for one in document.taxes) == document.tax for document in issued)
    taxes: dict[int, int] = defaultdict(int)
    for document in issued:
        for one in document.taxes:
            taxes[one.tax_ppm] += one.taxed
    assert {rate: amount for rate, amount in taxes.items() if amount} == {
        one.tax_ppm: one.taxed for one in whole.taxes if one.taxed
    }
    amounts = dict(zip(last, whole.lines, strict=True))
    found_lines = {name: sum(one.lines.get(of, 0) for one in issued) for name, of in of_line.items()}
    assert found_lines == {name: amounts.get(name, 0) for name in of_line}
    assert sum(one.amount_of("a") for one in issued) == amounts.get("a", 0) + amounts.get("b", 0)


def test_a_state_that_changes_nothing_has_no_document() -> None:
    state = [InvoiceLine("levy", 123_456_789_012, 0)]
    assert [
        document is None for document in documents([[], state, state], quantum_nano=QUANTUM_NANO, rounding=HALF_EVEN)
    ] == [
        True,
        False,
        True,
    ]


def test_no_tax_is_paid_on_a_line_that_is_not_taxed() -> None:
    lines = [InvoiceLine("energy", 100 * QUANTUM_NANO, 130_000), InvoiceLine("funds", 50 * QUANTUM_NANO, None)]
    (document,) = documents([lines], quantum_nano=QUANTUM_NANO, rounding=HALF_UP_AWAY)
    assert document is not None
    assert (document.net, document.tax, document.gross) == (150, 13, 163)


def test_the_tax_of_each_rate_is_rounded_once_and_a_correction_that_leaves_one_adds_nothing_at_it() -> None:
    first = [InvoiceLine("energy", 105 * QUANTUM_NANO, 130_000), InvoiceLine("water", 55 * QUANTUM_NANO, 90_000)]
    later = [first[0], InvoiceLine("water", 66 * QUANTUM_NANO, 90_000)]
    invoice, change = documents([first, later], quantum_nano=QUANTUM_NANO, rounding=HALF_UP_AWAY)
    assert invoice is not None
    assert change is not None
    # 13.65 and 4.95, each rounded: 14 + 5; the sum of both would be 18.6
    assert [tuple(one) for one in invoice.taxes] == [(130_000, 105, 14), (90_000, 55, 5)]
    assert [tuple(one) for one in change.taxes] == [(90_000, 11, 1)]
    assert (invoice.tax, change.tax, change.taxed) == (19, 1, 11)
