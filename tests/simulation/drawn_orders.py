"""Random orders, by parties and by aggregators: most of them good, some broken on purpose."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING, Any

from gridcore import cbor, merkle
from tests.simulation.columns import encode_column
from tests.simulation.generated_world import CONDITIONAL
from tests.worlds.consortium import UTILITY

if TYPE_CHECKING:
    from tests.simulation.generator import BlockMaker, Wire


def draw_order(maker: BlockMaker) -> Wire:
    """An order around the slots that are open, some of them before or after their time or out of range."""
    rng, world = maker.rng, maker.world
    traders = [party for party in world.parties if party in world.consortium.signers] or ["guest"]
    name = rng.choice(traders) if rng.random() < 0.97 else rng.choice(["guest", *world.gateways])
    area = world.parties.get(name, world.areas[0])
    reference = world.reference[area]
    first = maker.now_s + world.zone[area].gate_before_start_s
    slot = max(world.start_s, (first // world.slot_s + rng.choice([0, 1, 1, 1, 1, 2, 3])) * world.slot_s)
    if rng.random() < 0.05:
        slot += rng.choice([1, -world.slot_s, 86_400, 90_000, 10**12, -(10**12), -world.slot_s * 100])
    prices = [reference + n for n in (-5, -1, 0, 1, 7)]
    price = rng.choice([*prices, rng.randint(-1_000, 1_000_000)])
    quantity = rng.choice([1, 7, 10, 10, 999, rng.randint(1, 5_000)])
    if rng.random() < 0.04:
        price = rng.choice([10**9, -(10**9), 10**9 + 1, -(10**9) - 1, 2**62])
        quantity = rng.choice([1, 3])
    elif rng.random() < 0.04:
        quantity = rng.choice([0, -1, 10**8, 10**8 + 1, 2**62])
    if rng.random() < 0.03:
        area = rng.choice([*world.areas, "nowhere"])
    counter = rng.choice([1, 1, 1, 2, 3, 10, 16]) if rng.random() < 0.97 else rng.choice([0, -1, 17, 2**40])
    body = {
        "area": area,
        "price_micro_per_kwh": price,
        "quantity_wh": quantity,
        "side": rng.choice(["buy", "sell"]),
    }
    if rng.random() < 0.15:
        body["replaces"] = _counters(maker)
    if rng.random() < 0.2:
        body |= {"last_price_micro_per_kwh": price + rng.choice([0, 1, -7, 5_000]), "steps": rng.choice([2, 3, 5, 16])}
    if rng.random() < (0.01 if "steps" in body else 0.3):
        body["condition"] = "all_or_none" if rng.random() < 0.98 else ""
    is_asked = area in world.zone and world.zone[area].contract == CONDITIONAL
    if body["side"] == "buy" and rng.random() < (0.6 if is_asked else 0.02):
        body = _with_conditions(maker, body, traders)
    bulk = rng.randbytes(rng.choice([0] * 60 + [1, 32]))
    return maker.wire(
        "market/order", name, {"counter": counter, "nonce": rng.randbytes(16), "slot_start_s": slot}, body, bulk
    )


def _with_conditions(maker: BlockMaker, body: dict[str, Any], traders: list[str]) -> dict[str, Any]:
    """A bid of the body's quantity and limit with conditions, now and then one that is none."""
    rng = maker.rng
    quantity, price = body["quantity_wh"], body["price_micro_per_kwh"]
    conditions: list[dict[str, Any]] = []
    for _ in range(rng.choice([1, 2, 3, 4]) if rng.random() < 0.97 else rng.choice([0, 5])):
        less = rng.choice([0, 0, 1, 3])
        conditions.append({"energy_wh": max(quantity - less, 1), "price_micro_per_kwh": price - rng.choice([0, 1, 5])})
        if rng.random() < 0.4:
            conditions[-1]["seller"] = rng.choice([*traders, *traders, "guest"])
        if rng.random() < 0.5:
            conditions[-1]["energy_kind"] = rng.choice(["solar", "solar", "wind", "gas", "renewable"])
    if conditions and rng.random() < 0.97:
        body = body | {
            "quantity_wh": max(one["energy_wh"] for one in conditions),
            "price_micro_per_kwh": max(one["price_micro_per_kwh"] for one in conditions),
        }
    kept = body if rng.random() < 0.05 else {key: value for key, value in body.items() if key not in _OF_OTHERS}
    return kept | {"conditions": conditions}


_OF_OTHERS = ("condition", "last_price_micro_per_kwh", "steps")
"""Fields that a bid with conditions does not have."""


def draw_cancel(maker: BlockMaker) -> Wire:
    """A party withdraws some of the orders that it may have, now and then outside their time."""
    rng, world = maker.rng, maker.world
    name = rng.choice([*world.parties, "guest"])
    area = world.parties.get(name, world.areas[0]) if rng.random() < 0.97 else rng.choice([*world.areas, "nowhere"])
    first = maker.now_s + world.zone[area].gate_before_start_s if area in world.zone else maker.now_s
    slot = max(world.start_s, (first // world.slot_s + rng.choice([0, 1, 1, 1, 1, 2])) * world.slot_s)
    body = {"area": area, "counters": _counters(maker)}
    return maker.wire("market/cancel", name, {"nonce": rng.randbytes(16), "slot_start_s": slot}, body)


def _counters(maker: BlockMaker) -> list[int]:
    rng = maker.rng
    if rng.random() < 0.05:
        return rng.choice([[], [0], [17], [2, 1], [1, 1], [True]])
    return sorted(rng.sample([1, 1, 2, 3, 10], 1) if rng.random() < 0.8 else rng.sample([1, 2, 3, 4, 10, 16], 2))


def draw_order_batch(maker: BlockMaker) -> Wire:
    """An aggregator's orders for some parties, most of them its own, some more than once or out of range."""
    rng, world = maker.rng, maker.world
    zone, names = rng.choice([*world.zone.values()]), [found.name for found in world.consortium.zones]
    first = maker.now_s + zone.gate_before_start_s
    slot = max(world.start_s, (first // world.slot_s + rng.choice([0, 1, 1, 1, 1, 2, 3])) * world.slot_s)
    if rng.random() < 0.03:
        slot += rng.choice([1, -world.slot_s, 86_400, 10**12])
    rows = [_placed_row(maker) for _ in range(rng.choice([1, 2, 5, 12]))]
    seed = rng.randbytes(32)
    wants = random.Random(seed)  # so that the worlds drawn before are drawn still
    if wants.random() < 0.3:
        rows = [wide for row in rows for wide in _wanted_rows(wants, row, len(maker.world.parties))]
    attachment, root = _placed_columns(maker, seed, rows)
    body = {
        "rows": len(rows) if rng.random() < 0.98 else rng.choice([0, len(rows) + 1, 16_384, 16_385]),
        "rows_root": root if rng.random() < 0.98 else rng.randbytes(32),
        "slot_start_s": slot,
        "zone": rng.choice([*names, *names, *names, "nowhere"]),
    }
    who = rng.choice(["pool", "pool", "pool", "pool-2", UTILITY])
    return maker.wire("market/order_batch", who, maker.identity(), body, attachment)


def _placed_row(maker: BlockMaker) -> list[int]:
    """Party number, counter, side, quantity and limit."""
    rng, world = maker.rng, maker.world
    reference = rng.choice([*world.reference.values()])
    row = [
        rng.randrange(len(world.parties) + 1),
        rng.choice([1, 2, 2, 3, 4, 11]),
        rng.randrange(2),
        rng.choice([0, 1, 10, 999, rng.randint(1, 5_000)]),
        reference + rng.choice([-5, -1, 0, 1, 7]),
    ]
    if rng.random() < 0.1:
        place = rng.choice([0, 1, 3, 4])
        row[place] = rng.choice([0, 17, 10**9 + 1, 2**32 - 1, 10**8 + 1])
    return row


def _wanted_rows(rng: random.Random, row: list[int], parties: int) -> list[list[int]]:
    """The same row where rows say what they want, or some conditions of a bid, now and then in another form."""
    if rng.random() < 0.5:
        return [[*row, 0, 0, 0, 0 if rng.random() < 0.99 else 5]]
    party, counter, _, quantity_wh, price = row
    energies = [max(quantity_wh - 40 * rng.randrange(4), 1) for _ in range(rng.choice([1, 2, 3, 4]))]
    bid = []
    for place, energy_wh in enumerate(energies):
        kinds, seller = rng.choice([2**11 - 1, 2, 256, 3, 2**10]), rng.choice([0, 0, 1, rng.randrange(parties + 2)])
        limit = price + rng.choice([-3, 0, 2])
        bid.append([party, min(counter + place, 2**32 - 1), 0, energy_wh, limit, place, kinds, seller, max(energies)])
    if rng.random() < 0.05:
        rng.choice(bid)[rng.choice([0, 1, 2, 3, 5, 6, 8])] = rng.choice([0, 1, 2])
    return bid


def _placed_columns(maker: BlockMaker, seed: bytes, rows: list[list[int]]) -> tuple[bytes, bytes]:
    """(attachment, rows_root), now and then in another form."""
    rng = maker.rng
    form = "<IIBqq" if len(rows[0]) == 5 else "<IIBqqBHIq"
    root = merkle.root_of_hashes(merkle.salted_leaf_hashes(seed, [struct.pack(form, *row) for row in rows]))
    attached: Any = {"columns": [encode_column(list(column)) for column in zip(*rows, strict=True)], "seed": seed}
    if rng.random() < 0.04:
        match rng.randrange(4):
            case 0:
                attached["columns"].pop()
            case 1:
                attached["seed"] = seed[:31]
            case 2:
                attached["columns"][2] = encode_column([2, *(row[2] for row in rows[1:])])
            case _:
                attached["columns"][3] = encode_column([row[3] for row in rows], width=8)
    return (cbor.encode(attached) if rng.random() < 0.99 else rng.randbytes(20)), root
