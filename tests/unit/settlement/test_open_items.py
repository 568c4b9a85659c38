"""What of issued documents is open: oldest due dates are settled first, and all of it comes to the balance, exactly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from settlement.invoicing.open_items import Item, open_items

INVOICE = Item("a", "", "2026-02-01", 100)
LATER = Item("b", "", "2026-03-01", 50)


@st.composite
def documents(draw: st.DrawFn) -> list[Item]:
    """Invoices, and corrections of some of them."""
    found: list[Item] = []
    for number in range(draw(st.integers(0, 8))):
        corrects = draw(st.sampled_from(["", *(one.number for one in found if not one.corrects)]))
        due = draw(st.sampled_from(["2026-01-01", "2026-02-01", "2026-03-01"]))
        found.append(Item(str(number), corrects, due, draw(st.integers(-100, 100))))
    return found


@given(documents(), st.integers(-300, 300))
def test_open_amounts_and_the_rest_come_to_the_balance_and_none_is_more_than_its_document(
    items: list[Item], paid_nano: int
) -> None:
    found = open_items(items, paid_nano)
    balance = sum(one.gross_nano for one in items) - paid_nano
    assert sum(found.open_nano.values()) + found.rest_nano == balance
    assert all(
        0 <= left * sign <= max(0, one.gross_nano * sign)
        for sign in [-1 if balance < 0 else 1]
        for one in items
        for left in [found.open_nano[one.number]]
    )
    assert found.rest_nano * balance >= 0


def test_a_payment_is_set_against_the_oldest_due_date_first() -> None:
    assert open_items([LATER, INVOICE], 120).open_nano == {"a": 0, "b": 30}
    assert open_items([LATER, INVOICE], 0).open_nano == {"a": 100, "b": 50}


def test_a_credit_note_lowers_its_own_invoice_and_not_an_older_one() -> None:
    credit = Item("c", "b", "2026-04-01", -20)
    assert open_items([INVOICE, LATER, credit], 0).open_nano == {"a": 100, "b": 30, "c": 0}


def test_a_further_debit_is_open_after_its_invoice_was_paid() -> None:
    debit = Item("c", "a", "2026-05-01", 7)
    assert open_items([INVOICE, debit, LATER], 100).open_nano == {"a": 0, "c": 7, "b": 50}


def test_what_was_paid_beyond_all_documents_is_the_rest_and_a_credit_is_to_be_paid_out() -> None:
    found = open_items([INVOICE], 130)
    assert (found.open_nano, found.rest_nano) == ({"a": 0}, -30)
    credit = Item("c", "", "2026-04-01", -40)
    assert open_items([credit], -10).open_nano == {"c": -30}
    assert open_items([credit, INVOICE], 0).open_nano == {"c": 0, "a": 60}
