"""What a genesis may hold, and the one line for everything that it may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gridcore.errors import UsageError
from gridcore.genesis import complete_genesis, decode_genesis
from ledger.genesis import check_genesis, signer_set
from ledger.leaves.signer import ROLES
from settlement.catalogue import CONTRACTS, pins
from tests.worlds.consortium import FIRST_S
from tests.worlds.keys import key
from tests.worlds.two_areas import TWO_AREAS

KNOWN = CONTRACTS, pins()
Leaves = dict[str, Any]


def altered(**frame: Any) -> dict[str, Any]:
    """The world's genesis with other keys of its frame; the chain id follows."""
    return complete_genesis({**TWO_AREAS.genesis, **frame})


def checked(change: Callable[[Leaves], None]) -> None:
    """Check the world's genesis after a change to its leaves."""
    leaves = TWO_AREAS.leaves()
    change(leaves)
    check_genesis(altered(leaves=[list(leaf) for leaf in leaves.items()]), *KNOWN)


def test_a_sound_genesis_passes_as_values_and_as_bytes() -> None:
    check_genesis(TWO_AREAS.genesis, *KNOWN)
    check_genesis(decode_genesis(TWO_AREAS.genesis_file), *KNOWN)
    check_genesis(TWO_AREAS.genesis)
    assert signer_set(TWO_AREAS.genesis) == [(key("operator").public_key, 1)]


def test_names_are_those_of_contract_and_specification() -> None:
    assert list(ROLES) == sorted(ROLES)


@pytest.mark.parametrize(
    ("key", "field", "value", "words"),
    [
        ("chain", "slot_s", 300, "slot_s is 900 as in the frame"),
        ("chain", "name", "other", "name is 'test-' as in the frame"),
        ("time", "ledger_time_s", 5, "ledger_time_s"),
        ("signer/util", "public_key", bytes(65), "public_key is 65 bytes 04||x||y"),
        ("signer/util", "roles", ["utility", "administrator"], "roles is an ascending array"),
        ("signer/util", "roles", ["king"], "roles"),
        ("signer/util", "roles", [], "roles"),
        ("signer/reg", "roles", ["gateway"], "the leaf gateway/reg is missing"),
        ("signer/util", "roles", ["regulator"], "organisation: the leaf signer/util with the role utility is missing"),
        ("signer/gw-1", "roles", ["clock"], "signer/gw-1 with the role gateway is missing"),
        ("signer/p-1", "roles", ["clock"], "signer/p-1 with the role prosumer is missing"),
        ("gateway/gw-1", "counter", 1, "counter is 0 at genesis"),
        ("gateway/gw-1", "epoch", 0, "epoch is a whole number, 1 to"),
        ("gateway/gw-1", "last", b"x" * 32, "last is 32 zero bytes"),
        ("gateway/gw-1", "last_boundary_s", 0, "last_boundary_s is -1"),
        ("gateway/gw-1", "organisation", "", "organisation"),
        ("party/p-1", "area", "a-9", "area: the leaf area/a-9 is missing"),
        ("party/p-1", "meter", 9, "party p-1 settles by meter 9"),
        ("party/p-1", "meter", 2, "party p-1 settles by meter 2"),
        ("party/p-1", "area", "a-2", "names another party or area"),
        ("party/p-1", "trades", 1, "trades is true or false"),
        ("area/a-1", "calendar", "x", "the leaf calendar/x is missing"),
        ("area/a-1", "rules", "x", "the leaf rules/x is missing"),
        ("area/a-1", "first_slot_start_s", FIRST_S + 1, "multiple of the slot length 900"),
        ("area/a-1", "first_slot_start_s", FIRST_S + 900, "gate_slot_start_s is the area's first_slot_start_s"),
        ("area/a-1", "contract", "p2p/9", "contract 'p2p/9' is not in this node"),
        ("area/a-1", "contract_pin", bytes(32), "contract_pin of p2p_call_auction/1 is"),
        ("calendar/c", "days", [1800, 900], "days is 1 to"),
        ("calendar/c", "days", [], "days is 1 to"),
        ("calendar/c", "months", [7], "a local day begins with a slot"),
        ("rules/r", "rationing", "time", "rationing is one of pro_rata"),
        ("rules/r", "gate_before_start_s", -1, "gate_before_start_s"),
        ("rules/r", "gate_before_start_s", 86_400, "open_before_start_s is more than gate_before_start_s"),
        ("rules/r", "prices", {}, "prices lacks the field residual_price_micro_per_kwh"),
        ("rules/r", "reference_price_micro_per_kwh", 10**9 + 1, "reference_price_micro_per_kwh"),
        ("progress/a-1", "untried", [1], "untried is an empty array"),
        ("progress/a-1", "waiting", [1], "waiting is an empty array"),
        ("progress/a-1", "run_slot_start_s", 0, "run_slot_start_s is the area's first_slot_start_s"),
        ("installation/1", "number", 7, "its key ends with its number 7"),
        ("installation/1", "number", 2**32, "number is a whole number, 0 to 4294967295"),
        ("installation/1", "area", "a-9", "the leaf area/a-9 is missing"),
        ("installation/1", "gateway", "gw-9", "the leaf gateway/gw-9 is missing"),
        ("installation/1", "limit_wh", 0, "limit_wh is a whole number, 1 to"),
        ("installation/1", "ratio", 0, "ratio is a whole number, 1 to 10000"),
        ("installation/1", "ratio", 10_001, "ratio is a whole number"),
        ("installation/1", "ratio", True, "ratio is a whole number"),
        ("installation/3", "limit_wh", 25_000_001, "limit_wh x ratio is at most 1000000000 Wh"),
        ("installation/1", "modulus_wh", 2**53 + 1, "modulus_wh is a whole number"),
        ("installation/1", "modulus_wh", 10_000, "modulus_wh is 0 or more than twice limit_wh 10000"),
        ("installation/1", "modulus_wh", 20_000, "modulus_wh is 0 or more than twice limit_wh 10000"),
        ("installation/1", "from_s", FIRST_S + 1, f"from_s is at most {FIRST_S}, where its area's slots begin"),
        ("installation/1", "meter", "CN/0001", "meter is 1 to 64 of A-Z a-z 0-9 . _ -"),
        ("installation/1", "meter", "M\n1", "meter is 1 to 64 of"),
        ("installation/1", "point", "P 1", "point is 1 to 64 of"),
        ("installation/1", "profile", "p" * 65, "profile is 1 to 64 of"),
        ("gateway/gw-1", "protection", "sdf/gm0018", "protection is 1 to 64 of"),
        ("installation/1", "party", "p-9", "party: the leaf party/p-9 is missing"),
        ("installation/2", "party", "p-1", "a party has one settlement meter"),
        ("installation/1", "role", "feeder", "a feeder has no party"),
        ("installation/4", "role", "load", "every other installation has one"),
        ("installation/4", "role", "cellar", "role is one of household, load, feeder"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(key: str, field: str, value: Any, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        checked(lambda leaves: leaves[key].__setitem__(field, value))
    line = str(raised.value)
    assert line.startswith("genesis: leaf ")
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize("price", [10**8 + 1, -(10**8) - 1, "460000"])
def test_a_price_out_of_range_is_named(price: Any) -> None:
    with pytest.raises(UsageError, match=r"leaf rules/r: prices\.levy_micro_per_kwh is a whole number"):
        checked(lambda leaves: leaves["rules/r"]["prices"].update(levy_micro_per_kwh=price))


def test_limits_themselves_are_allowed() -> None:
    def to_the_limit(leaves: Leaves) -> None:
        leaves["installation/1"].update(limit_wh=10**9, ratio=1, modulus_wh=2**53, from_s=FIRST_S)
        leaves["installation/2"].update(limit_wh=10_000, modulus_wh=20_001, meter="M" * 64)
        leaves["installation/3"].update(limit_wh=10**5, ratio=10**4)
        leaves["rules/r"]["prices"].update(levy_micro_per_kwh=10**8, surplus_price_micro_per_kwh=-(10**8))
        leaves["rules/r"].update(gate_before_start_s=0, metering_deadline_s=0, open_before_start_s=1)

    checked(to_the_limit)


@pytest.mark.parametrize(
    "key",
    [
        "chain",
        "time",
        "signer/p-1",
        "signer/gw-1",
        "area/a-1",
        "calendar/c",
        "rules/r",
        "progress/a-1",
        "installation/1",
    ],
)
def test_a_missing_leaf_is_named(key: str) -> None:
    with pytest.raises(UsageError, match=f"the leaf {key}"):
        checked(lambda leaves: leaves.__delitem__(key))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("weather/x", "no leaf of genesis"),
        ("book/a-1/0/0", "no leaf of genesis"),
        ("chain/x", "no leaf of genesis"),
        ("area", "no leaf of genesis"),
        ("area/a/b", "the name after the slash"),
        ("area/a b", "the name after the slash"),
        ("area/a\nb", "the name after the slash"),
        ("x" * 10_000, "no leaf of genesis"),
    ],
)
def test_an_unknown_leaf_is_named(key: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        checked(lambda leaves: leaves.__setitem__(key, {}))
    shown = key if len(key) < 80 and key.isprintable() else repr(key)[:60]
    assert str(raised.value).startswith(f"genesis: leaf {shown}")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


def test_a_leaf_twice_is_refused() -> None:
    leaves = TWO_AREAS.genesis["leaves"]
    with pytest.raises(UsageError, match="leaf signer/util: stands twice"):
        check_genesis(altered(leaves=[*leaves, *(leaf for leaf in leaves if leaf[0] == "signer/util")]))


def test_unknown_and_missing_fields_are_named() -> None:
    with pytest.raises(UsageError, match="leaf party/p-1: unknown field 'colour'"):
        checked(lambda leaves: leaves["party/p-1"].__setitem__("colour", 1))
    with pytest.raises(UsageError, match="leaf party/p-1: lacks the field trades"):
        checked(lambda leaves: leaves["party/p-1"].__delitem__("trades"))
    with pytest.raises(UsageError, match="leaf party/p-1: its value is a map"):
        checked(lambda leaves: leaves.__setitem__("party/p-1", 1))


def test_a_party_with_the_name_of_an_account_is_refused() -> None:
    def rename(leaves: Leaves) -> None:
        leaves["party/levy"] = leaves.pop("party/l-1")
        leaves["installation/3"]["party"] = "levy"

    with pytest.raises(UsageError, match="leaf party/levy: has the name of a counter-account"):
        checked(rename)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"signers": []}, "signers holds 1 to"),
        ({"signers": [[bytes(65), 1]]}, r"signers\[0\]: the public key"),
        ({"signers": [[key("util").public_key, 0]]}, r"signers\[0\]: the power"),
        ({"signers": [[key("util").public_key, 1]] * 2}, "signers ascend by public key"),
        ({"currency": "yuan"}, "currency is an ISO 4217 code"),
        ({"name": ""}, "name is a printable text of 1 to 40 characters without a slash, not ''"),
        ({"name": "a/b"}, "name is a printable text"),
        ({"name": "a\nb"}, "name is a printable text"),
        ({"name": "\x1b[2J"}, "name is a printable text"),
        ({"name": "n" * 41}, "name is a printable text"),
        ({"signers": [[key("util").public_key, 1]] * 257}, "signers holds 1 to 256 entries, not 257"),
        ({"ledger_time_s": -1}, "ledger_time_s"),
        ({"leaves": [1]}, r"leaves\[0\] is an array of a text key and a map"),
        ({"clock": "block"}, "the leaf time stands in a chain with clock 'simulated'|clock is 'block' as in the frame"),
    ],
)
def test_a_wrong_frame_is_named(frame: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_genesis(altered(**frame))
