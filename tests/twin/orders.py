"""Orders before the gate: which of them stand, and what is held of their parties (docs/spec/state.md, "Orders")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from gridcore.sm3 import sm3
from tests.twin.contracts import MARKETS
from tests.twin.forms import ZEROS, Column, Leaf, Transaction, decode_placed, first
from tests.twin.market import BOOK, chunks
from tests.twin.settlement import NANO, settling_rows

if TYPE_CHECKING:
    from tests.twin.twin import Twin

CHUNK = 1_024
ORDER_COUNTER_MAX, QUANTITY_WH_MAX, PRICE_MAX = 16, 10**8, 10**9
HELD_MAX = 2**62


class Offer(NamedTuple):
    """One order that nothing but other orders can stand against.

    source: the seed of its transaction; seed: its own; row: its place in an aggregator's batch, -1 for an order by itself.
    """

    slot: int
    zone: str
    area: str
    party: str
    counter: int
    side: int
    quantity_wh: int
    price: int
    transaction_id: bytes
    source: bytes
    seed: bytes
    row: int


def slot_code(twin: Twin, zone: str, slot: int) -> int:
    """Whether orders are taken for a slot now."""
    timeline = twin.timeline(zone)
    code = first(
        (slot < timeline["first_slot_start_s"] or slot % twin.slot_s != 0, 62),
        (twin.ledger_time_s < slot - timeline["open_before_start_s"], 61),
        (twin.ledger_time_s >= slot - timeline["gate_before_start_s"], 60),
    )
    return code or (0 if MARKETS[twin.contract(zone, slot)["contract"]].takes_orders else 69)


def order_code(counter: int, quantity_wh: int, price: int) -> int:
    """Whether an order is within what any order may be."""
    return first(
        (not 1 <= counter <= ORDER_COUNTER_MAX, 68),
        (not 1 <= quantity_wh <= QUANTITY_WH_MAX, 64),
        (not -PRICE_MAX <= price <= PRICE_MAX, 65),
    )


def take_order(twin: Twin, tx: Transaction) -> int:
    """What is wrong with an order by itself; where nothing is, it is an offer."""
    identity, body, name = tx.content["identity"], tx.content["body"], tx.signer
    counter, slot = identity["counter"], identity["slot_start_s"]
    values = [twin.registry.value("party/" + name, slot, height) for height in (twin.height - 1, twin.height)]
    if any(value is None or not value["trades"] for value in values):
        return 67
    if any(value is not None and value["area"] != body["area"] for value in values):
        return 63
    zone = twin.registry.zone_of(body["area"])
    quantity_wh, price = body["quantity_wh"], body["price_micro_per_kwh"]
    code = slot_code(twin, zone, slot) or order_code(counter, quantity_wh, price)
    if code:
        is_read = not twin.is_final(zone, slot)
        return 1 if is_read and any(order["id"] == tx.id for order in standing(twin, slot, zone, name)) else code
    side, seed = ["buy", "sell"].index(body["side"]), sm3(tx.signature)
    twin.offers.append(Offer(slot, zone, body["area"], name, counter, side, quantity_wh, price, tx.id, seed, seed, -1))
    return 0


def take_batch(twin: Twin, tx: Transaction) -> int:
    """An aggregator's batch: its rows that nothing stands against by themselves are offers."""
    body = tx.content["body"]
    zone, slot = body["zone"], body["slot_start_s"]
    if zone not in twin.zones:
        return 63
    code = slot_code(twin, zone, slot)
    if code:
        return code
    attached = decode_placed(tx.attachment, body)
    if attached is None:
        return 47
    source, rows, seeds = attached
    twin.refused_rows[tx.id] = []
    for place, (row, seed) in enumerate(zip(rows, seeds, strict=True)):
        is_again = any((other.party, other.counter) == (row.party, row.counter) for other in rows[:place])
        code = mandate_code(twin, zone, slot, row.party, tx.signer)
        code = code or order_code(row.counter, row.quantity_wh, row.price) or (66 if is_again else 0)
        if code:
            twin.refused_rows[tx.id].append((place, row.party, code))
            continue
        name = twin.registry.parties[row.party]
        area = twin.registry.must("party/" + name, slot, twin.height - 1)["area"]
        twin.offers.append(Offer(slot, zone, area, name, *row[1:], tx.id, source, seed, place))
    return 0


def mandate_code(twin: Twin, zone: str, slot: int, number: int, aggregator: str) -> int:
    """Whether a party trades in the zone and has its orders placed by this aggregator, by both: before this block, and with it."""
    if number >= len(twin.registry.parties):
        return 67
    key = "party/" + twin.registry.parties[number]
    codes = []
    for height in (twin.height - 1, twin.height):
        value = twin.registry.value(key, slot, height)
        if value is None or not value["trades"]:
            codes.append(67)
        elif twin.registry.zone_of(value["area"]) != zone:
            codes.append(63)
        else:
            codes.append(0 if value.get("aggregator") == aggregator else 73)
    return codes[0] or codes[1]


def standing(twin: Twin, slot: int, zone: str, party: str) -> list[Leaf]:
    """The orders of a party that stand in a slot."""
    number = twin.leaves["party/" + party]["number"]
    chunk = twin.leaves.get(f"book/{slot}/{zone}/{number // CHUNK}", {"party": []})
    return [
        {column: chunk[column][row] for column in BOOK} | {"id": chunk["ids"][32 * row : 32 * row + 32]}
        for row, other in enumerate(chunk["party"])
        if other == number
    ]


def judge(twin: Twin, offer: Offer) -> int:
    """An order meets those that stand; it stands from now on where the code is 0."""
    own = standing(twin, offer.slot, offer.zone, offer.party)
    same = [order["id"] for order in own if order["counter"] == offer.counter]
    if same:
        return 1 if same == [offer.transaction_id] else 66
    ordered = offer.quantity_wh + sum(order["quantity_wh"] for order in own if order["side"] == offer.side)
    others = [order["price_micro_per_kwh"] for order in own if order["side"] != offer.side]
    per_kwh = exposure(twin, offer)
    code = first(
        (ordered > deliverable_wh(twin, offer), 70),
        (any(offer.price >= price if offer.side == 0 else offer.price <= price for price in others), 71),
        (not has_credit(twin, offer, per_kwh * offer.quantity_wh), 72),
    )
    if code == 0:
        put_in_book(twin, offer, per_kwh)
        number = twin.leaves["party/" + offer.party]["number"]
        is_first = (offer.transaction_id, number // CHUNK) not in twin.reseeded  # once for each transaction and chunk
        hold(twin, [(number, per_kwh * offer.quantity_wh)], offer.source if is_first else None)
        twin.reseeded.add((offer.transaction_id, number // CHUNK))
    return code


def rows_of(twin: Twin, zone: str, slot: int, party: str) -> list[int]:
    """The rows that are billed to a party in a slot."""
    points = twin.registry.points[zone]
    settling = settling_rows(twin, zone, slot)
    return [
        row for row in settling if twin.registry.must("point/" + points[row], slot, twin.height - 1)["party"] == party
    ]


def deliverable_wh(twin: Twin, offer: Offer) -> int:
    """The most that the party's meters can show in the slot."""
    most = 0
    for row in rows_of(twin, offer.zone, offer.slot, offer.party):
        installed = twin.registry.installation_at(twin.registry.points[offer.zone][row], offer.slot, twin.height - 1)
        most += 0 if installed is None else installed[1]["limit_wh"] * installed[1]["ratio"]
    return most


def exposure(twin: Twin, offer: Offer) -> int:
    """What a kWh of the order can cost the party at most."""
    _, rules = twin.rules(offer.area, offer.slot)
    return MARKETS[twin.contract(offer.zone, offer.slot)["contract"]].exposure(offer.side, offer.price, rules["prices"])


def has_credit(twin: Twin, offer: Offer, amount_nano: int) -> bool:
    """Whether so much more may be held of the party."""
    number = twin.leaves["party/" + offer.party]["number"]
    nothing = {"nano": [0] * CHUNK}
    held = twin.leaves.get(f"held/{number // CHUNK}", nothing)["nano"][number % CHUNK] + amount_nano
    credit = twin.registry.must("party/" + offer.party, offer.slot, twin.height - 1).get("credit_nano")
    owed = 0
    for row in rows_of(twin, offer.zone, offer.slot, offer.party):
        balance = twin.leaves.get(f"balance/{offer.zone}/{row // CHUNK}")
        if balance is not None and row % CHUNK < len(balance["units"]):
            owed += balance["units"][row % CHUNK] * NANO + balance["nano"][row % CHUNK]
    return held <= HELD_MAX and (credit is None or owed + held <= credit)


def put_in_book(twin: Twin, offer: Offer, per_kwh: int) -> None:
    """The order is the last of its chunk of parties."""
    number, area = twin.leaves["party/" + offer.party]["number"], twin.leaves["area/" + offer.area]["number"]
    values = (area, offer.counter, per_kwh, number, offer.price, offer.quantity_wh, offer.side)
    chunk = number // CHUNK
    key = f"book/{offer.slot}/{offer.zone}/{chunk}"
    empty = {column: Column() for column in BOOK} | {"ids": b"", "seeds": b""}
    old = twin.leaves.get(key, empty)
    new: Leaf = {column: Column([*old[column], value]) for column, value in zip(BOOK, values, strict=True)}
    twin.leaves[key] = new | {"ids": old["ids"] + offer.transaction_id, "seeds": old["seeds"] + offer.seed}
    known = twin.leaves.get(f"orders/{offer.slot}/{offer.zone}", {"chunks": []})["chunks"]
    twin.leaves[f"orders/{offer.slot}/{offer.zone}"] = {"chunks": sorted({*known, chunk})}
    progress = twin.leaves[f"progress/{offer.zone}"]
    twin.leaves[f"progress/{offer.zone}"] = progress | {"books": sorted({*progress["books"], offer.slot})}


def hold(twin: Twin, amounts: Sequence[tuple[int, int]], seed: bytes | None) -> None:
    """Hold so many nano more, or less, of each of some parties (by number); without ``seed`` those of the chunks stay."""
    for chunk in sorted({number // CHUNK for number, _ in amounts}):
        leaf = twin.leaves.get(f"held/{chunk}", {"nano": Column([0] * CHUNK), "seed": ZEROS})
        nano = list(leaf["nano"])
        for number, amount in amounts:
            if number // CHUNK == chunk:
                nano[number % CHUNK] += amount
        assert min(nano) >= 0, f"held of chunk {chunk}: {nano}"
        own = leaf["seed"] if seed is None else sm3(leaf["seed"] + seed)
        twin.leaves[f"held/{chunk}"] = {"nano": Column(nano), "seed": own}


def release(twin: Twin, zone: str, slot: int, seed: bytes, *, settled: bool) -> None:
    """Give back what is held for the energy that a slot's orders did not get, or for what they got."""
    amounts = []
    for fills in chunks(twin, f"fills/{slot}/{zone}"):
        columns = (fills[name] for name in ("party", "quantity_wh", "filled_wh", "held_micro_per_kwh"))
        for number, quantity_wh, filled_wh, per_kwh in zip(*columns, strict=True):
            amounts.append((number, -per_kwh * (filled_wh if settled else quantity_wh - filled_wh)))
    hold(twin, amounts, seed)
