"""What is disputed is not due, and both are all that is owed: of a month's documents and of an account, whatever is contested and paid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.invoicing.account import INVOICE, Entry, account_of, by_month
from settlement.invoicing.disputed import Contested, disputed_nano
from settlement.invoicing.total import HALF_EVEN, HALF_UP_AWAY, invoice_total

CENT = 10_000_000
MONTHS = ["2026-01", "2026-02", "2026-03"]
NANO = st.integers(-(10**15), 10**15)
RATES = st.sampled_from([None, 0, 60_000, 130_000])
CONTESTED = st.lists(st.builds(Contested, NANO, RATES), max_size=6)
ROUNDINGS = st.sampled_from([HALF_UP_AWAY, HALF_EVEN])


@given(CONTESTED, NANO, st.sampled_from([1, 1_000, CENT]), ROUNDINGS)
def test_what_is_disputed_lies_between_nothing_and_what_the_documents_come_to(
    contested: list[Contested], gross_nano: int, quantum_nano: int, rounding: str
) -> None:
    found = disputed_nano(contested, gross_nano, quantum_nano=quantum_nano, rounding=rounding)
    assert 0 <= found <= max(gross_nano, 0)
    paid_out = [one._replace(amount_nano=-abs(one.amount_nano)) for one in contested]
    with_credits = [*contested, *paid_out]
    assert disputed_nano(with_credits, gross_nano, quantum_nano=quantum_nano, rounding=rounding) == found


@given(st.lists(st.tuples(st.integers(1, 10**13), RATES), min_size=1, max_size=6), ROUNDINGS)
def test_an_invoice_of_which_every_line_is_contested_is_disputed_whole(
    lines: list[tuple[int, int | None]], rounding: str
) -> None:
    amounts, rates = [nano for nano, _ in lines], [rate for _, rate in lines]
    gross_nano = invoice_total(amounts, rates, CENT, rounding).gross * CENT
    contested = [Contested(nano, rate) for nano, rate in lines]
    assert disputed_nano(contested, gross_nano, quantum_nano=CENT, rounding=rounding) == gross_nano


@pytest.mark.parametrize(("rounding", "cents"), [(HALF_UP_AWAY, 57 + 7), (HALF_EVEN, 56 + 7)])
def test_the_tax_on_a_contested_amount_is_rounded_as_an_invoice_rounds(rounding: str, cents: int) -> None:
    contested = [Contested(565_000_000, 130_000)]
    assert disputed_nano(contested, 10**12, quantum_nano=CENT, rounding=rounding) == cents * CENT


@given(
    st.lists(st.tuples(st.sampled_from(MONTHS), NANO), max_size=6),
    st.lists(st.tuples(st.sampled_from(MONTHS), NANO), max_size=6),
    st.dictionaries(st.sampled_from(MONTHS), st.integers(0, 10**15)),
)
def test_what_is_disputed_and_what_is_due_are_the_closing_balance_of_every_month(
    invoiced: list[tuple[str, int]], paid: list[tuple[str, int]], contested_nano: dict[str, int]
) -> None:
    entries = [Entry(month, INVOICE, "initial", "", nano, nano) for month, nano in invoiced]
    entries += [Entry(month, "received", "", f"{month}-01", -nano) for month, nano in paid]
    year = account_of(entries, MONTHS[0], MONTHS[-1], contested_nano)
    months = by_month(year, MONTHS)
    assert all(one.disputed_nano + one.due_nano == one.closing_nano for one in months.values())
    assert all(0 <= one.disputed_nano <= max(one.closing_nano, 0) for one in months.values())
    assert all(month == account_of(entries, name, name, contested_nano) for name, month in months.items())
    assert months[MONTHS[-1]].due_nano == year.due_nano
