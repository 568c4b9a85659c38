"""Serial numbers bind meters to addresses: exchanged addresses, exchanged meters, and gateways that ignore the address."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.identity import Finding, Place, judge_identities, tidy_serial

A = Place("flat-1", "bus/1", "1001")
B = Place("flat-2", "bus/2", "1002")
C = Place("flat-3", "bus/3", "")


def _found(answered: dict[str, str], *places: Place) -> list[tuple[str, bool]]:
    return [(finding.finding, finding.may_bill) for finding in judge_identities(places or (A, B, C), answered)]


def test_meters_at_their_places_may_bill() -> None:
    assert _found({"flat-1": "1001", "flat-2": "0001002\0\0", "flat-3": "1003"}) == [
        ("as_bound", True),
        ("as_bound", True),
        ("first_seen", True),
    ]


def test_two_meters_that_exchanged_their_addresses_are_named_and_bill_nothing() -> None:
    findings = judge_identities((A, B, C), {"flat-1": "1002", "flat-2": "1001", "flat-3": "1003"})
    assert [(finding.finding, finding.may_bill) for finding in findings] == [
        ("addresses_exchanged", False),
        ("addresses_exchanged", False),
        ("first_seen", True),
    ]
    assert findings[0].detail == (
        "bus/1 answers with serial number 1002, that of meter flat-2 (bus/2): the two have exchanged their addresses"
    )


def test_exchanged_meter_asks_for_a_new_installation() -> None:
    assert judge_identities((A,), {"flat-1": "7777"}) == (
        Finding(
            "flat-1",
            "another_meter",
            "7777",
            "bus/1 answers with serial number 7777, not 1001: register a new installation for it",
        ),
    )


def test_meter_on_a_neighbour_s_address_while_the_neighbour_is_silent_bills_nothing() -> None:
    assert _found({"flat-1": "1002"}, A, B) == [("meter_of_another_place", False), ("not_told", True)]


def test_unbound_place_that_shows_a_bound_meter_is_not_bound_to_it() -> None:
    assert _found({"flat-3": "1001"}, A, C) == [("not_told", True), ("meter_of_another_place", False)]


def test_gateway_that_answers_for_every_address_with_one_meter_bills_nothing() -> None:
    assert _found({"flat-1": "1001", "flat-2": "1001", "flat-3": "1001"}) == [("same_meter_twice", False)] * 3


def test_meter_without_serial_number_stays_bound_by_its_seal() -> None:
    assert _found({}, C) == [("not_told", True)]
    assert _found({"flat-3": "\0\0\0"}, C) == [("not_told", True)]


def test_padding_of_a_serial_number_does_not_count() -> None:
    assert tidy_serial("  000123\0\0") == "123"
    assert tidy_serial("A0120") == "A0120"


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
def test_only_a_meter_at_its_own_place_is_as_bound(order: list[int], silent: set[int]) -> None:
    places = [Place(f"M{n}", f"bus/{n}", f"{n + 1}") for n in range(6)]
    answered = {f"M{at}": f"{order[at] + 1}" for at in range(6) if at not in silent}
    told = [finding.finding if finding.may_bill else "other" for finding in judge_identities(places, answered)]
    assert told == ["not_told" if at in silent else "as_bound" if order[at] == at else "other" for at in range(6)]
