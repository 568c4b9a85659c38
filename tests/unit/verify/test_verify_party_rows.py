"""A party's row that names a tariff: what it has contracted is taken and refused by every verifier alike."""

from __future__ import annotations

from typing import Any

import pytest

from gridcore import cbor, verify
from gridcore.registry.party import PARTY
from tests.second_verifier.encoding import MalformedError
from tests.second_verifier.registry import as_registry_row

PARTY_VALUE: dict[str, Any] = {"area": "a-1", "organisation": "util", "trades": False}
SALT = bytes(16)
CASES: dict[str, tuple[dict[str, Any], bool]] = {
    "a tariff and a power": ({"contracted_w": {"demand": 12_000}, "tariff": "home"}, True),
    "the largest power": ({"contracted_w": {"demand": 10**12}}, True),
    "sixteen of them": ({"contracted_w": {f"c{number}": number for number in range(16)}}, True),
    "seventeen of them": ({"contracted_w": {f"c{number}": number for number in range(17)}}, False),
    "a power past its width": ({"contracted_w": {"demand": 10**12 + 1}}, False),
    "a negative power": ({"contracted_w": {"demand": -1}}, False),
    "none": ({"contracted_w": {}}, False),
    "no map": ({"contracted_w": 5}, False),
    "no number": ({"contracted_w": {"demand": "12000"}}, False),
    "no name": ({"contracted_w": {"": 1}}, False),
    "a name too long": ({"contracted_w": {"x" * 65: 1}}, False),
    "a tariff without a name": ({"tariff": "a b"}, False),
}


def is_taken_by_the_verifier(row: bytes) -> bool:
    try:
        verify.read_registry_row(row, SALT, "a party")
    except verify.Halt:
        return False
    return True


def is_taken_by_the_second(row: bytes) -> bool:
    try:
        as_registry_row(row, SALT)
    except MalformedError:
        return False
    return True


@pytest.mark.parametrize("name", list(CASES))
def test_what_a_party_has_contracted_is_read_alike(name: str) -> None:
    more, is_right = CASES[name]
    row = cbor.encode(["party/p-1", 0, {**PARTY_VALUE, **more}])
    assert (PARTY.fault_of({**PARTY_VALUE, **more}) == "") is is_right
    assert is_taken_by_the_verifier(row) is is_right
    assert is_taken_by_the_second(row) is is_right
