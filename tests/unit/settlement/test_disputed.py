"""What is disputed is not due, and both are all that is owed: of a month's documents and of an account, whatever is contested and paid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.invoicing.account import INVOICE, Entry, account_of, by_month
from settlement.invoicing.disputed import Contested, ContestedNet, disputed_nano
from settlement.invoicing.total import HALF_EVEN, HALF_UP_AWAY, invoice_total

CENT = 10_000_000
MONTHS = ["2026-01", "2026-02", "2026-03"]
NANO = st.integers(-(10**15), 10**15)
RATES = st.sampled_from([None, 0, 60_000, 130_000])
NETS = st.lists(st.builds(ContestedNet, NANO, RATES), max_size=6)
CONTESTED = st.builds(Contested, NETS, NANO, NANO)
QUANTA_NANO = st.sampled_from([1, 1_000, CENT])
ROUNDINGS = st.sampled_from([HALF_UP_AWAY, HALF_EVEN])
LINES = st.lists(st.tuples(st.integers(1, 10**6), RATES, st.booleans()), min_size=1, max_size=6)
"""Lines of an invoice: cents, rate, and whether it is contested."""


@given(CONTESTED, NANO, QUANTA_NANO, ROUNDINGS)
def test_what_is_disputed_lies_between_nothing_and_what_the_documents_come_to(
    contested: Contested, gross_nano: int, quantum_nano: int, rounding: str
) -> None:
    found = disputed_nano(contested, gross_nano, quantum_nano=quantum_nano, rounding=rounding)
    assert 0 <= found <= max(gross_nano, 0)
    paid_out = [one._replace(amount_nano=-abs(one.amount_nano)) for one in contested.nets]
    with_credits = contested._replace(nets=[*contested.nets, *paid_out])
    assert disputed_nano(with_credits, gross_nano, quantum_nano=quantum_nano, rounding=rounding) == found


@given(CONTESTED, st.builds(ContestedNet, NANO, RATES), st.integers(0, 10**15), QUANTA_NANO, ROUNDINGS)
def test_a_further_dispute_never_lowers_what_is_disputed(
    contested: Contested, net: ContestedNet, more_nano: int, quantum_nano: int, rounding: str
) -> None:
    further = [
        contested._replace(nets=[*contested.nets, net]),
        contested._replace(tax_nano=contested.tax_nano + more_nano),
        contested._replace(total_nano=contested.total_nano + more_nano),
    ]
    before, *after = (
        disputed_nano(one, 10**16, quantum_nano=quantum_nano, rounding=rounding) for one in (contested, *further)
    )
    assert min(after) >= before


@given(CONTESTED, QUANTA_NANO, ROUNDINGS)
def test_what_is_disputed_is_not_above_the_sum_of_what_is_contested_and_not_below_any_of_it(
    contested: Contested, quantum_nano: int, rounding: str
) -> None:
    parts = [Contested(nets=contested.nets), Contested(tax_nano=contested.tax_nano)]
    parts.append(Contested(total_nano=contested.total_nano))
    whole, *alone = (
        disputed_nano(one, 10**16, quantum_nano=quantum_nano, rounding=rounding) for one in (contested, *parts)
    )
    assert max(alone) <= whole <= sum(alone)


@given(LINES, st.booleans(), st.booleans(), ROUNDINGS)
def test_of_lines_tax_and_total_of_an_invoice_each_cent_is_disputed_once(
    lines: list[tuple[int, int | None, bool]], is_tax: bool, is_total: bool, rounding: str
) -> None:
    every = [ContestedNet(cents * CENT, rate) for cents, rate, _ in lines]
    own = [net for net, (_, _, is_contested) in zip(every, lines, strict=True) if is_contested]
    invoice, of_own = (
        invoice_total([net.amount_nano for net in nets], [net.tax_ppm for net in nets], CENT, rounding)
        for nets in (every, own)
    )
    contested = Contested(own, invoice.tax * CENT if is_tax else 0, invoice.gross * CENT if is_total else 0)
    union = of_own.net + (invoice.tax if is_tax else of_own.tax)
    expected = invoice.gross if is_total or len(own) == len(every) else union
    assert disputed_nano(contested, invoice.gross * CENT, quantum_nano=CENT, rounding=rounding) == expected * CENT


def test_where_the_tax_and_a_slot_are_contested_the_tax_on_the_slot_is_held_back_once() -> None:
    slot, tax_nano = ContestedNet(50 * CENT, 130_000), 13 * CENT
    found = disputed_nano(Contested([slot], tax_nano), 113 * CENT, quantum_nano=CENT, rounding=HALF_EVEN)
    assert found == (50 + 13) * CENT


def test_where_the_total_and_a_slot_are_contested_the_larger_one_is_held_back() -> None:
    slot = ContestedNet(68 * CENT, 130_000)
    found = [
        disputed_nano(Contested([slot], total_nano=cents * CENT), 10**12, quantum_nano=CENT, rounding=HALF_EVEN)
        for cents in (77, 78)
    ]
    assert found == [77 * CENT, 78 * CENT]


def test_slots_of_less_than_half_a_cent_each_are_rounded_together() -> None:
    slots = [ContestedNet(4_900_000, 130_000)] * 16
    found = disputed_nano(Contested(slots), 10**12, quantum_nano=CENT, rounding=HALF_EVEN)
    assert found == (8 + 1) * CENT


@pytest.mark.parametrize(("rounding", "cents"), [(HALF_UP_AWAY, 57 + 7), (HALF_EVEN, 56 + 7)])
def test_the_tax_on_a_contested_amount_is_rounded_as_an_invoice_rounds(rounding: str, cents: int) -> None:
    contested = Contested([ContestedNet(565_000_000, 130_000)])
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
