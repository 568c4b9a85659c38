"""The account of a party: what some months of it begin with, hold and end with, whatever months they are."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from settlement.invoicing.account import CREDIT, DEBIT, DOCUMENTS, INVOICE, Entry, Taxed, account_of, by_month, sort_of

MONTHS = ["2025-11", "2025-12", "2026-01", "2026-02", "2026-03"]
NANO = st.integers(-(10**30), 10**30)
RATES = st.sampled_from([0, 60_000, 130_000])


@st.composite
def taxed(draw: st.DrawFn, tax_nano: int) -> list[Taxed]:
    """Up to three rates whose taxes come to a sum."""
    rates = draw(st.lists(RATES, min_size=1, max_size=3, unique=True))
    parts = [draw(NANO) for _ in rates[1:]]
    return [Taxed(rate, draw(NANO), tax) for rate, tax in zip(rates, [tax_nano - sum(parts), *parts], strict=True)]


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    """Documents and payments of several months, in any order."""
    found = []
    for place in range(draw(st.integers(0, 12))):
        month, sort = draw(st.sampled_from(MONTHS)), draw(st.sampled_from([*DOCUMENTS, "received", "paid_out"]))
        if sort in DOCUMENTS:
            net_nano, tax_nano = draw(NANO), draw(NANO)
            found.append(
                Entry(
                    month, sort, f"run-{place}", "", net_nano + tax_nano, net_nano, draw(RATES), draw(taxed(tax_nano))
                )
            )
        else:
            found.append(Entry(month, sort, "", f"{month}-01", draw(NANO)))
    return found


@given(entries(), st.integers(0, 4), st.integers(0, 4))
def test_opening_balance_and_entries_come_to_all_that_there_was_up_to_the_last_month(
    found: list[Entry], first: int, more: int
) -> None:
    last = min(first + more, len(MONTHS) - 1)
    account = account_of(found, MONTHS[first], MONTHS[last])
    assert account.closing_nano == sum(one.owed_nano for one in found if one.month <= MONTHS[last])
    assert account.opening_nano == sum(one.owed_nano for one in found if one.month < MONTHS[first])
    assert account.closing_nano == account.opening_nano + sum(one.owed_nano for one in account.entries)
    assert [one.month for one in account.entries] == sorted(one.month for one in account.entries)
    assert not any(
        one.month == after.month and after.is_document and not one.is_document
        for one, after in pairwise(account.entries)
    )


@given(entries())
def test_each_month_begins_with_what_the_one_before_ends_with_and_all_of_them_are_the_year(found: list[Entry]) -> None:
    whole = account_of(found, "2026-01", "2026-03")
    months = list(by_month(whole, MONTHS[2:]).values())
    assert months[0].opening_nano == whole.opening_nano
    assert months[-1].closing_nano == whole.closing_nano
    assert [one.opening_nano for one in months[1:]] == [one.closing_nano for one in months[:-1]]
    assert sum(one.invoiced_nano for one in months) == whole.invoiced_nano
    assert sum(one.paid_nano for one in months) == whole.paid_nano
    assert months == [account_of(found, month, month) for month in MONTHS[2:]]


@given(entries())
def test_taxes_by_rate_are_those_of_all_documents(found: list[Entry]) -> None:
    account = account_of(found, MONTHS[0], MONTHS[-1])
    own = [one for one in found if one.is_document]
    assert sum(one.documents for one in account.taxes) >= len(own)
    assert sum(one.net_nano for one in account.taxes) == sum(one.net_nano for one in own)
    assert sum(one.taxed_nano for one in account.taxes) == sum(one.taxed_nano for one in own)
    assert sum(one.tax_nano for one in account.taxes) == sum(one.tax_nano for one in own)
    assert sum(one.gross_nano for one in account.taxes) == account.invoiced_nano
    assert all(one.net_nano + one.tax_nano == one.gross_nano for one in account.taxes)
    rates = [one.tax_ppm for one in account.taxes]
    named = {rate for one in own for rate in (one.tax_ppm, *(tax.tax_ppm for tax in one.taxes))}
    assert rates == sorted(named, reverse=True)


def test_a_document_of_two_rates_stands_with_each_and_what_no_tax_is_paid_on_with_that_of_its_tariff() -> None:
    entry = Entry(
        "2026-01", INVOICE, "initial", "", 1_690, 1_600, 130_000, [Taxed(130_000, 500, 65), Taxed(60_000, 400, 25)]
    )
    assert (entry.taxed_nano, entry.tax_nano, entry.rate_ppm) == (900, 90, None)
    assert [tuple(one) for one in account_of([entry], "2026-01", "2026-01").taxes] == [
        (130_000, 1, 1_200, 500, 65, 1_265), (60_000, 1, 400, 400, 25, 425),
    ]  # fmt: skip
    assert entry._replace(taxes=[Taxed(60_000, 400, 24)]).rate_ppm == 60_000
    assert entry._replace(taxes=()).rate_ppm == 130_000


def test_the_first_document_is_the_invoice_and_a_later_one_is_called_by_what_it_does() -> None:
    assert sort_of(-5, is_first=True) == INVOICE
    assert sort_of(-1, is_first=False) == CREDIT
    assert sort_of(0, is_first=False) == DEBIT
