"""A forger without keys recomputes every digest; an operator certifies a lie; a gateway or party signs for something else: none verifies."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from gridcore import verify
from tests.unit.verify.bundle_world import (
    CLEARING,
    GATEWAY_SIGNER,
    INSTALLATION,
    KEYS,
    METER,
    PARTY,
    PARTY_SIGNER,
    RULES,
    RUN,
    START_S,
    Lie,
    World,
    claim_refuted,
    dearer,
    every_place,
    put,
    replaced,
    trust_of,
)

WORLD = World()
BUNDLE = WORLD.bundle()
TRUST = trust_of(WORLD)


# --------------------------------------------------------------------- changed values, with all unkeyed digests made anew


def values_of(world: World) -> Iterator[tuple[Any, ...]]:
    """The place of every value that the bundle's signatures or certificate cover."""
    for name in ("leaves", "rows", "batches", "orders", "times", "codes", "block_of", "genesis", "chain"):
        for place in every_place(getattr(world, name)):
            value = functools.reduce(lambda part, key: part[key], place, getattr(world, name))
            if not isinstance(value, dict | list) and (name, *place) != ("times", 0):
                yield (name, *place)


def changed_value(value: Any) -> Any:
    if isinstance(value, int):
        return value - 1 if value > 0 else value + 1
    return (
        value[:-1] + (b"\x00" if value[-1:] != b"\x00" else b"\x01") if isinstance(value, bytes) else value[:-1] + "~"
    )


def test_every_changed_value_with_all_digests_recomputed_is_not_verified() -> None:
    refuted: dict[str, set[str]] = {}
    for name, *place in values_of(WORLD):
        world = WORLD.copy()
        setattr(world, name, replaced(getattr(world, name), tuple(place), changed_value))
        try:
            claim = claim_refuted(world, TRUST)
        except (KeyError, IndexError, ValueError):  # what is shown no longer has a place in its tree
            continue
        linked_again = place and (str(place[-1]).endswith("_root") or place == [RUN, "rules"])
        if linked_again or place == [CLEARING, "rules"]:
            continue
        assert claim in verify.CLAIMS, (name, place, claim)
        refuted.setdefault(name, set()).add(claim)
    assert {"header", "line", "energy", "orders", "signatures", "certificate"} <= set.union(*refuted.values())
    assert refuted["rows"] >= {"line", "energy", "orders", "certificate"}
    assert refuted["batches"] >= {"readings", "signatures"}


# ------------------------------------------------------------------------ lies that the operator's own key has certified


def _other_registers(world: World) -> None:
    world.rows["input"][0][2:5] = [302, 42, 47]
    world.rows["input"][0][1] = 999_702


def _half_hours(world: World) -> None:
    world.leaves["chain"]["slot_s"] = 1_800


def _leave_out(world: World, index: int) -> None:
    del world.orders[index]
    world.signatures["order0"] = world.signatures[f"order{1 - index}"]
    world.fill_rows = [1 - index]
    world.block_of = {name: block for name, block in world.block_of.items() if name != "order1"}
    world.codes.pop("order1")


def _raise_limit(world: World) -> None:
    world.orders[0]["signed"]["body"]["price_micro_per_kwh"] = 450_000
    world.rows["fills"][0][4] = 450_000


def _exchange(world: World, one: str, other: str) -> None:
    signatures = world.signatures
    signatures[one], signatures[other] = signatures[other], signatures[one]


def _in_descending_order(world: World) -> None:
    world.orders.reverse()
    world.fill_rows.reverse()


LIES: dict[str, tuple[str, Lie]] = {
    "amount is not energy x price": ("line", put("rows", "line", 0, 4, 190_000_001)),
    "amount of the wrong sign": ("line", put("rows", "line", 0, 4, -190_000_000)),
    "price of the line is not the clearing's": ("line", put("rows", "line", 0, [METER, 0, 500, 400_000, 200_000_000])),
    "line of a kind that does not exist": ("line", put("rows", "line", 0, 1, 9)),
    "line without energy": ("line", put("rows", "line", 0, [METER, 0, 0, 380_000, 0])),
    "energy of the line is not what follows": (
        "energy",
        put("rows", "line", 0, [METER, 0, 501, 380_000, 501 * 380_000]),
    ),
    "input row of another meter": ("energy", put("rows", "input", 0, 0, 18)),
    "position row of another meter": ("energy", put("rows", "position", 0, 0, 18)),
    "pays is not the sum of the lines": ("energy", put("rows", "position", 0, 3, 1)),
    "supplier comparison made up": ("energy", put("rows", "position", 0, 4, 1)),
    "negative energy bought": ("energy", put("rows", "position", 0, 1, -500)),
    "register went back": ("energy", put("rows", "input", 0, 4, 39)),
    "negative register": ("energy", put("rows", "input", 0, 3, -1)),
    "other ratio": ("energy", put("leaves", INSTALLATION, "ratio", 3)),
    "other modulus": ("energy", put("leaves", INSTALLATION, "modulus_wh", 1_000_001)),
    "other levy": ("energy", put("leaves", RULES, "prices", "levy_micro_per_kwh", 40_001)),
    "other registers than were signed": ("readings", _other_registers),
    "quality not as signed": ("readings", put("rows", "input", 0, 5, 0)),
    "installation of another gateway": ("header", put("leaves", INSTALLATION, "gateway", "GW-2")),
    "installation of another area": ("header", put("leaves", INSTALLATION, "area", "A2")),
    "installation with another number": ("header", put("leaves", INSTALLATION, "number", 18)),
    "installation from later on": ("header", put("leaves", INSTALLATION, "from_s", START_S + 1)),
    "installation of a feeder": ("header", lambda world: world.leaves[INSTALLATION].pop("party")),
    "gateway's key without its role": ("header", put("leaves", GATEWAY_SIGNER, "roles", ["clock"])),
    "party's key without its role": ("header", put("leaves", PARTY_SIGNER, "roles", ["gateway"])),
    "run of another slot under this key": ("header", put("leaves", RUN, "slot_start_s", START_S + 900)),
    "run of another area under this key": ("header", put("leaves", RUN, "area", "A2")),
    "run of another name under this key": ("header", put("leaves", RUN, "run", "final")),
    "run of the future": ("header", put("leaves", RUN, "as_of_height", 4)),
    "run before the last reading": ("recorded", put("leaves", RUN, "as_of_height", 1)),
    "clearing with another price": ("header", put("leaves", CLEARING, "price_micro_per_kwh", 379_999)),
    "clearing with another volume": ("header", put("leaves", CLEARING, "volume_wh", 501)),
    "clearing by another contract": ("header", put("leaves", CLEARING, "contract", "p2p_call_auction/2")),
    "clearing of another slot": ("header", put("leaves", CLEARING, "slot_start_s", START_S + 900)),
    "clock that is neither real nor simulated": ("header", put("leaves", "chain", "clock", "Simulated")),
    "slots of ten minutes": ("header", put("leaves", "chain", "slot_s", 600)),
    "slots of half an hour": ("readings", _half_hours),
    "batch refused in its block": ("recorded", put("codes", "start", 43)),
    "order refused in its block": ("recorded", put("codes", "order1", 60)),
    "fill of another order": ("orders", lambda world: setattr(world, "fill_rows", [1, 0])),
    "one fill shown twice": ("orders", lambda world: setattr(world, "fill_rows", [0, 0])),
    "neighbour's fill": ("orders", put("rows", "fills", 0, 0, 18)),
    "fill of another counter": ("orders", put("rows", "fills", 0, 1, 2)),
    "fill of the other side": ("orders", put("rows", "fills", 0, 2, 1)),
    "fill of another quantity": ("orders", put("rows", "fills", 0, 3, 301)),
    "fill of another limit": ("orders", put("rows", "fills", 0, 4, 400_001)),
    "fill of nothing": ("orders", put("rows", "fills", 1, 5, 0)),
    "fill of more than the quantity": ("orders", put("rows", "fills", 1, 5, 301)),
    "fills that do not add up": ("orders", put("rows", "fills", 1, 5, 199)),
    "order left out": ("orders", lambda world: _leave_out(world, 0)),
    "last order left out": ("orders", lambda world: _leave_out(world, 1)),
    "price beyond the order's limit": ("orders", dearer),
    "gateway's registered key exchanged": (
        "signatures",
        put("leaves", GATEWAY_SIGNER, "public_key", KEYS["stranger"].public_key),
    ),
    "party's registered key exchanged": (
        "signatures",
        put("leaves", PARTY_SIGNER, "public_key", KEYS["stranger"].public_key),
    ),
    "party's registered key off the curve": (
        "signatures",
        put("leaves", PARTY_SIGNER, "public_key", b"\x04" + bytes(64)),
    ),
    "batch changed after signing": ("signatures", put("batches", "end", "signed", "body", "clock", "offset_ms", 5)),
    "order changed after signing": ("signatures", _raise_limit),
    "signatures of the two readings exchanged": ("signatures", lambda world: _exchange(world, "start", "end")),
    "signatures of two orders exchanged": ("signatures", lambda world: _exchange(world, "order0", "order1")),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_that_the_operator_certified_is_refuted_by_the_claim_it_breaks(name: str) -> None:
    claim, lie = LIES[name]
    world = WORLD.copy()
    lie(world)
    world.certify()
    assert claim_refuted(world, TRUST) == claim


SIGNED_LIES: dict[str, tuple[str, Lie]] = {
    "start batch of another boundary": (
        "readings",
        put("batches", "start", "signed", "body", "boundary_s", START_S - 900),
    ),
    "end batch of another boundary": ("readings", put("batches", "end", "signed", "body", "boundary_s", START_S)),
    "batch for another chain": ("readings", put("batches", "end", "signed", "chain", "toyfedcba9876543210")),
    "batch of another gateway": ("readings", put("batches", "end", "signed", "signer", PARTY)),
    "batch with import and export exchanged": (
        "readings",
        put("batches", "end", "signed", "body", "registers", ["1-0:2.8.0", "1-0:1.8.0"]),
    ),
    "batch of another kind": ("readings", put("batches", "end", "signed", "kind", "metering/estimates")),
    "batch of another version": ("readings", put("batches", "end", "signed", "version", 2)),
    "reading of another meter": ("readings", put("batches", "end", "rows", 0, 0, 18)),
    "estimated reading": ("readings", put("batches", "start", "rows", 0, 2, 1)),
    "interpolated reading": ("readings", put("batches", "start", "rows", 0, 2, 0x20)),
    "reading taken more than half a slot late": ("readings", put("batches", "start", "rows", 0, 1, 450_001)),
    "reading taken more than half a slot early": ("readings", put("batches", "start", "rows", 0, 1, -450_001)),
    "reading with another import register": ("readings", put("batches", "start", "rows", 0, 3, 999_701)),
    "reading with another export register": ("readings", put("batches", "end", "rows", 0, 4, 44)),
    "order for another area": ("orders", put("orders", 0, "signed", "body", "area", "A2")),
    "order for another slot": ("orders", put("orders", 0, "signed", "identity", "slot_start_s", START_S + 900)),
    "order for another chain": ("orders", put("orders", 0, "signed", "chain", "toyfedcba9876543210")),
    "order of another party": ("orders", put("orders", 0, "signed", "signer", "H002")),
    "order on the other side": ("orders", put("orders", 0, "signed", "body", "side", "sell")),
    "order with another counter": ("orders", put("orders", 0, "signed", "identity", "counter", 2)),
    "orders with one counter": ("orders", put("orders", 1, "signed", "identity", "counter", 1)),
    "orders in descending order": ("orders", _in_descending_order),
}


@pytest.mark.parametrize("name", SIGNED_LIES)
def test_a_transaction_that_was_signed_for_something_else_is_refuted(name: str) -> None:
    claim, lie = SIGNED_LIES[name]
    world = WORLD.copy()
    lie(world)
    world.sign()
    assert claim_refuted(world, TRUST) == claim
