"""Profiles: orders for many slots, signed once and taken when the gate of each slot closes (docs/spec/state.md, "Profiles")."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from gridcore.sm3 import sm3
from tests.twin import orders
from tests.twin.forms import Column, Leaf, Transaction, first
from tests.twin.markets import MARKETS
from tests.twin.orders import Asked, Offer
from tests.twin.wanted import kinds_of, packed

if TYPE_CHECKING:
    from tests.twin.twin import Twin

CHUNK = 1_024
SPAN_S_MAX, PARTS_MAX, ENTRIES_MAX = 31 * 86_400, 32, 2_048
COLUMNS = ("area", "counter", "end_s", "entries", "first_slot_s", "party", "price_micro_per_kwh", "side", "wants")


def quantities(data: bytes) -> list[int]:
    """u32 x n."""
    return [quantity for (quantity,) in struct.iter_unpack("<I", data)]


def parts_of(twin: Twin, zone: str, chunk: int) -> list[dict[str, Any]]:
    """The parts in a chunk."""
    leaf = twin.leaves.get(f"profiles/{zone}/{chunk}")
    parts, at = [], 0
    for row in range(0 if leaf is None else len(leaf["party"])):
        assert leaf is not None
        part = {name: leaf[name][row] if name in leaf else 0 for name in COLUMNS}
        part["quantities_wh"] = quantities(leaf["quantities_wh"])[at : at + part["entries"]]
        part |= {name: leaf[name][32 * row : 32 * row + 32] for name in ("ids", "seeds")}
        at += part["entries"]
        parts.append(part)
    return parts


def save(twin: Twin, zone: str, chunk: int, parts: list[dict[str, Any]]) -> None:
    """Write a chunk."""
    leaf: Leaf = {name: Column([part[name] for part in parts]) for name in COLUMNS}
    if not any(leaf["wants"]):
        del leaf["wants"]
    leaf |= {name: b"".join(part[name] for part in parts) for name in ("ids", "seeds")}
    leaf["quantities_wh"] = b"".join(struct.pack("<I", one) for part in parts for one in part["quantities_wh"])
    twin.leaves[f"profiles/{zone}/{chunk}"] = leaf


def is_open(twin: Twin, zone: str, slot: int) -> bool:
    """Whether a slot's gate has not closed."""
    gate_s: int = twin.timeline(zone)["gate_before_start_s"]
    return twin.ledger_time_s < slot - gate_s


def kept(twin: Twin, zone: str, chunk: int) -> list[dict[str, Any]]:
    """The parts of a chunk of which a slot, or the first one, is before its gate, or whose gate was not looked at."""
    return [part for part in parts_of(twin, zone, chunk) if is_kept(twin, zone, part)]


def is_kept(twin: Twin, zone: str, part: dict[str, Any]) -> bool:
    """Whether the last or the first slot of a part is before its gate, or its gate was not looked at."""
    waiting = gives(twin, zone)

    def is_ahead(slot: int) -> bool:
        return is_open(twin, zone, slot) or bool(waiting and slot >= waiting[0])

    return is_ahead(part["first_slot_s"]) or is_ahead(part["end_s"] - twin.slot_s)


def is_known(twin: Twin, tx: Transaction) -> bool:
    """Whether what a transaction says is of a form that the chain knows: of a profile with conditions, whether its zone has such."""
    body = tx.content["body"]
    if tx.content["kind"] != "market/profile" or not any("conditions" in part for part in body["parts"]):
        return True
    zone = next((name for name, areas in twin.registry.areas.items() if body["area"] in areas), None)
    return zone is not None and "profiles_have_conditions" in twin.timeline(zone)


def orders_of(body: Leaf) -> list[Leaf]:
    """What a profile orders in each slot: side, limit and quantities; of a condition also its place, and what it asks for."""
    said = []
    for part in body["parts"]:
        if "conditions" in part:
            said += [one | {"side": part["side"], "choice": choice} for choice, one in enumerate(part["conditions"])]
        else:
            said.append(part)
    return said


def take_profile(twin: Twin, tx: Transaction) -> int:
    """A party places a profile."""
    identity, body = tx.content["identity"], tx.content["body"]
    counter, slot, end_s, parts = identity["counter"], identity["slot_start_s"], body["end_s"], orders_of(body)
    code = orders.trader_code(twin, tx.signer, body["area"], slot)
    if code:
        return code
    zone = twin.registry.zone_of(body["area"])
    number = twin.leaves["party/" + tx.signer]["number"]
    known = kept(twin, zone, number // CHUNK)
    if any(part["ids"] == tx.id for part in known):
        return 1
    mine = [part for part in known if part["party"] == number]
    prices = {side: [part["price_micro_per_kwh"] for part in parts if part["side"] == side] for side in ("buy", "sell")}
    counters = range(counter, counter + len(parts))
    every = [quantities(part["quantities_wh"]) for part in parts]
    code = first(
        (slot < twin.timeline(zone)["first_slot_start_s"] or slot % twin.slot_s != 0, 62),
        (end_s % twin.slot_s != 0 or end_s <= slot, 62),
        (end_s > twin.ledger_time_s + SPAN_S_MAX, 80),
        (not is_open(twin, zone, slot), 60),
    )
    code = code or (0 if MARKETS[twin.contract(zone, slot)["contract"]].takes_orders else 69)
    asked = [part for part in parts if "choice" in part]
    code = code or first(
        (bool(asked and not orders.takes_conditions(twin, zone, slot)), 94),
        (any(part.get("seller", tx.signer) not in twin.registry.parties for part in asked), 95),
        (counter < 1 or counter + len(parts) - 1 > 16, 68),
        (any(quantity > 10**8 for own in every for quantity in own), 64),
        (any(abs(price) > 10**9 for price in prices["buy"] + prices["sell"]), 65),
        (any(buy >= sell for buy in prices["buy"] for sell in prices["sell"]), 71),
        (
            any(
                part["counter"] in counters
                and (part["first_slot_s"] == slot or (part["first_slot_s"] < end_s and part["end_s"] > slot))
                for part in mine
            ),
            66,
        ),
        (len(mine) + len(parts) > PARTS_MAX, 92),
        (sum(part["entries"] for part in mine) + sum(map(len, every)) > ENTRIES_MAX, 92),
    )
    if code:
        return code
    known += new_parts(twin, tx)
    save(twin, zone, number // CHUNK, known)
    span = twin.leaves.get(f"profile_span/{zone}", {"chunks": [], "end_s": 0, "first_slot_s": 0})
    chunks = sorted({*span["chunks"], number // CHUNK})
    if span["first_slot_s"] < span["end_s"]:
        slot, end_s = min(slot, span["first_slot_s"]), max(end_s, span["end_s"])
    twin.leaves[f"profile_span/{zone}"] = {"chunks": chunks, "end_s": end_s, "first_slot_s": slot}
    return 0


def new_parts(twin: Twin, tx: Transaction) -> list[dict[str, Any]]:
    """The parts of a profile as they are kept."""
    identity, body = tx.content["identity"], tx.content["body"]
    return [
        {
            "area": twin.leaves["area/" + body["area"]]["number"],
            "counter": identity["counter"] + place,
            "end_s": body["end_s"],
            "entries": len(quantities(part["quantities_wh"])),
            "first_slot_s": identity["slot_start_s"],
            "party": twin.leaves["party/" + tx.signer]["number"],
            "price_micro_per_kwh": part["price_micro_per_kwh"],
            "side": ["buy", "sell"].index(part["side"]),
            "wants": wants_of(twin, part),
            "quantities_wh": quantities(part["quantities_wh"]),
            "ids": tx.id,
            "seeds": sm3(tx.signature),
        }
        for place, part in enumerate(orders_of(body))
    ]


def wants_of(twin: Twin, part: Leaf) -> int:
    """What an order of a profile asks for, as it is kept; 0 for one that is no condition."""
    if "choice" not in part:
        return 0
    seller = list(twin.registry.parties).index(part["seller"]) + 1 if "seller" in part else 0
    return packed(part["choice"], kinds_of(part.get("energy_kind")), seller)


def end_profile(twin: Twin, tx: Transaction) -> int:
    """A party ends a profile."""
    identity, area = tx.content["identity"], tx.content["body"]["area"]
    if tx.signer not in twin.registry.parties:
        return 67
    zone = next((name for name, areas in twin.registry.areas.items() if area in areas), None)
    if zone is None:
        return 63
    number = twin.leaves["party/" + tx.signer]["number"]
    known = kept(twin, zone, number // CHUNK)
    named = [
        part
        for part in known
        if (part["party"], part["first_slot_s"], part["counter"])
        == (number, identity["slot_start_s"], identity["counter"])
    ]
    end_s = identity["slot_start_s"]
    while not is_open(twin, zone, end_s):
        end_s += twin.slot_s
    if not named or named[0]["end_s"] <= end_s:
        return 79
    for part in known:
        if part["party"] == number and part["ids"] == named[0]["ids"]:
            part["end_s"] = end_s
    save(twin, zone, number // CHUNK, [part for part in known if is_kept(twin, zone, part)])
    return 0


def gives(twin: Twin, zone: str) -> list[int]:
    """The slots of a zone in which profiles may stand and whose gates have not been looked at."""
    span = twin.leaves.get(f"profile_span/{zone}", {"end_s": 0, "first_slot_s": 0})
    return list(range(span["first_slot_s"], span["end_s"], twin.slot_s))


def order_by_profiles(twin: Twin, zone: str, slot: int) -> int:
    """Put what profiles give in a slot into its book; returns how many parts there are. The conditions of a bid are one offer."""
    span = twin.leaves[f"profile_span/{zone}"]
    parts = [part for chunk in span["chunks"] for part in parts_of(twin, zone, chunk)]
    twin.leaves[f"profile_span/{zone}"] = span | {"first_slot_s": slot + twin.slot_s}
    if not MARKETS[twin.contract(zone, slot)["contract"]].takes_orders:
        return len(parts)
    offers: dict[tuple[str, int], Offer] = {}
    for part in sorted(parts, key=lambda part: (part["party"], part["counter"])):
        if not part["first_slot_s"] <= slot < part["end_s"]:
            continue
        name, area = twin.registry.parties[part["party"]], twin.registry.areas[zone][part["area"]]
        place = (slot - part["first_slot_s"]) // twin.slot_s % part["entries"]
        quantity_wh = part["quantities_wh"][place]
        if part["wants"] and not orders.takes_conditions(twin, zone, slot):
            continue
        if quantity_wh and not orders.trader_code(twin, name, area, slot):
            seed = orders.order_seed(part["seeds"], slot, part["counter"])
            asked = Asked(part["counter"], quantity_wh, part["price_micro_per_kwh"], seed, wants=part["wants"])
            bid = name, part["counter"] - part["wants"] % 16
            known = offers.get(bid, Offer(slot, zone, area, name, part["side"], [], [], part["ids"], b"", b"", -1))
            offers[bid] = known._replace(orders=[*known.orders, asked])
    source = sm3(b"".join(asked.seed for offer in offers.values() for asked in offer.orders))
    for offer in offers.values():
        orders.judge(twin, offer._replace(source=source, step=f"{zone}/{slot}".encode()))
    return len(parts)
