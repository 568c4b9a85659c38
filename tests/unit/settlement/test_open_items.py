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


def test_a_later_debit_of_a_paid_invoice_waits_until_another_invoice_that_is_due_before_it_is_paid() -> None:
    other = Item("b", "", "2026-03-15", 100)
    debit = Item("c", "a", "2026-04-15", 50)
    assert open_items([INVOICE, other, debit], 200).open_nano == {"a": 0, "b": 0, "c": 50}


@given(documents(), st.integers(-300, 300))
def test_no_open_document_is_older_than_one_that_payments_set_off(items: list[Item], paid_nano: int) -> None:
    found = open_items(items, paid_nano)
    sign = -1 if sum(one.gross_nano for one in items) < paid_nano else 1
    own: dict[str, int] = {}
    for invoice in {one.invoice for one in items}:
        own |= open_items([one for one in items if one.invoice == invoice], 0).open_nano
    oldest_first = [one.number for one in sorted(items, key=lambda one: one.age)]
    of_sign = [number for number in oldest_first if sign * own[number] > 0]
    first_open = next((at for at, number in enumerate(of_sign) if found.open_nano[number]), len(of_sign))
    assert [found.open_nano[number] for number in of_sign[first_open + 1 :]] == [
        own[number] for number in of_sign[first_open + 1 :]
    ]
    assert {found.open_nano[number] for number in of_sign[:first_open]} <= {0}


def test_payments_count_for_what_is_not_disputed_first() -> None:
    items = [INVOICE._replace(month="2026-01"), LATER._replace(month="2026-02")]
    found = open_items(items, 50, {"2026-01": 100})
    assert (found.open_nano, found.disputed_nano) == ({"a": 100, "b": 0}, {"a": 100, "b": 0})
    in_part = open_items(items, 120, {"2026-01": 40})
    assert (in_part.open_nano, in_part.disputed_nano) == ({"a": 30, "b": 0}, {"a": 30, "b": 0})


def test_what_is_disputed_of_a_month_is_of_its_oldest_documents_and_at_most_what_they_come_to() -> None:
    first, debit = INVOICE._replace(month="2026-01"), Item("c", "a", "2026-04-01", 50, "2026-01")
    assert open_items([first, debit], 0, {"2026-01": 120}).disputed_nano == {"a": 100, "c": 20}
    assert open_items([first, debit], 0, {"2026-01": 900, "2026-02": 7}).disputed_nano == {"a": 100, "c": 50}


@given(documents(), st.integers(-300, 300), st.integers(0, 200))
def test_what_is_disputed_is_the_smaller_of_what_is_contested_and_of_the_balance_and_changes_no_sum(
    items: list[Item], paid_nano: int, contested_nano: int
) -> None:
    items = [one._replace(month="2026-01") for one in items]
    found, plain = open_items(items, paid_nano, {"2026-01": contested_nano}), open_items(items, paid_nano)
    balance = sum(one.gross_nano for one in items) - paid_nano
    owed = sum(
        max(0, sum(one.gross_nano for one in items if one.invoice == invoice))
        for invoice in {one.invoice for one in items}
    )
    assert sum(found.disputed_nano.values()) == min(contested_nano, owed, max(balance, 0))
    assert (sum(found.open_nano.values()), found.rest_nano) == (sum(plain.open_nano.values()), plain.rest_nano)
    assert {
        number for number, nano in found.disputed_nano.items() if not 0 <= nano <= max(found.open_nano[number], 0)
    } == set()
