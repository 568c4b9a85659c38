"""Orders before the gate: which of them stand, and what is held of their parties (docs/spec/state.md, "Orders")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from gridcore.sm3 import sm3
from tests.twin.forms import ZEROS, Column, Leaf, PlacedRow, Transaction, decode_placed, first, pack
from tests.twin.market import BOOK, chunks
from tests.twin.markets import MARKETS
from tests.twin.settlement import NANO, settling_rows
from tests.twin.wanted import kinds_of, packed

if TYPE_CHECKING:
    from tests.twin.twin import Twin

CHUNK = 1_024
ORDER_COUNTER_MAX, QUANTITY_WH_MAX, PRICE_MAX = 16, 10**8, 10**9
HELD_MAX = 2**62


class Asked(NamedTuple):
    """One order of an offer, and its own seed."""

    counter: int
    quantity_wh: int
    price: int
    seed: bytes
    whole: int = 0
    wants: int = 0


class Offer(NamedTuple):
    """Orders of one side that stand together or not at all, against which nothing but other orders can stand.

    withdraws: counters of other orders; source: the seed of the transaction, or of the gate at which profiles order; step: names it; row:
    the place of its first order in an aggregator's batch, -1 for an offer by itself.
    """

    slot: int
    zone: str
    area: str
    party: str
    side: int
    orders: Sequence[Asked]
    withdraws: Sequence[int]
    transaction_id: bytes
    source: bytes
    step: bytes
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


def trader_code(twin: Twin, name: str, area: str, slot: int) -> int:
    """Whether a party trades in an area in a slot, by both: before this block, and with it."""
    values = [twin.registry.value("party/" + name, slot, height) for height in (twin.height - 1, twin.height)]
    if any(value is None or not value["trades"] for value in values):
        return 67
    return 63 if any(value is not None and value["area"] != area for value in values) else 0


def take_order(twin: Twin, tx: Transaction) -> int:
    """What is wrong with an order by itself; where nothing is, it is an offer."""
    identity, body, name = tx.content["identity"], tx.content["body"], tx.signer
    counter, slot = identity["counter"], identity["slot_start_s"]
    code = trader_code(twin, name, body["area"], slot)
    if code:
        return code
    zone = twin.registry.zone_of(body["area"])
    quantity_wh, price = body["quantity_wh"], body["price_micro_per_kwh"]
    steps, last = body.get("steps", 1), body.get("last_price_micro_per_kwh", price)
    wanted = body.get("conditions", [])
    asked = conditions(twin, counter, wanted) if wanted else ramp(counter, quantity_wh, price, last, steps)
    whole = int("condition" in body)
    code = slot_code(twin, zone, slot)
    clears_whole = code or getattr(MARKETS[twin.contract(zone, slot)["contract"]], "clears_whole", False)
    code = code or first(
        (bool(whole and not clears_whole), 93),
        (bool(wanted and not takes_conditions(twin, zone, slot)), 94),
        (any(one.get("seller", name) not in twin.registry.parties for one in wanted), 95),
        (not (counter >= 1 and counter + len(asked) - 1 <= ORDER_COUNTER_MAX), 68),
        (not (steps <= quantity_wh <= QUANTITY_WH_MAX and all(one.quantity_wh > 0 for one in asked)), 64),
        (not all(abs(limit) <= PRICE_MAX for limit in (price, last, *(one.price for one in asked))), 65),
    )
    if code:
        is_read = not twin.is_final(zone, slot)
        return 1 if is_read and any(order["id"] == tx.id for order in own_orders(twin, slot, zone, name)) else code
    side, seed = ["buy", "sell"].index(body["side"]), sm3(tx.signature)
    seeds = [seed] if len(asked) == 1 else [order_seed(seed, slot, one.counter) for one in asked]
    own = [one._replace(seed=own_seed, whole=whole) for one, own_seed in zip(asked, seeds, strict=True)]
    twin.offers.append(
        Offer(slot, zone, body["area"], name, side, own, body.get("replaces", []), tx.id, seed, tx.id, -1)
    )
    return 0


def takes_conditions(twin: Twin, zone: str, slot: int) -> bool:
    """Whether orders of a slot may be conditions of bids."""
    return "choice" in getattr(MARKETS[twin.contract(zone, slot)["contract"]], "order_terms", ())


def ramp(counter: int, quantity_wh: int, price: int, last: int, steps: int) -> list[Asked]:
    """The orders of a price ramp, their seeds left out; of one step: the order itself."""
    if steps == 1:
        return [Asked(counter, quantity_wh, price, b"")]
    upto = [quantity_wh * step // steps for step in range(steps + 1)]
    limits = [price + (last - price) * step // (steps - 1) for step in range(steps)]
    return [Asked(counter + step, upto[step + 1] - upto[step], limits[step], b"") for step in range(steps)]


def conditions(twin: Twin, counter: int, wanted: Sequence[Leaf]) -> list[Asked]:
    """The orders of a bid with conditions, their seeds left out."""
    numbers = {name: number for number, name in enumerate(twin.registry.parties)}
    asked = []
    for place, one in enumerate(wanted):
        seller = numbers.get(one["seller"], 0) + 1 if "seller" in one else 0
        wants = packed(place, kinds_of(one.get("energy_kind")), seller)
        asked.append(Asked(counter + place, one["energy_wh"], one["price_micro_per_kwh"], b"", wants=wants))
    return asked


def order_seed(seed: bytes, slot: int, counter: int) -> bytes:
    """The secret of one of several orders of a transaction with this seed."""
    return sm3(seed + pack("qB", slot, counter))


def take_cancel(twin: Twin, tx: Transaction) -> int:
    """What is wrong with the withdrawal of orders by itself; where nothing is, it is an offer of no order."""
    slot, area = tx.content["identity"]["slot_start_s"], tx.content["body"]["area"]
    if tx.signer not in twin.registry.parties:
        return 67
    zone = next((name for name, areas in twin.registry.areas.items() if area in areas), None)
    if zone is None:
        return 63
    code = slot_code(twin, zone, slot)
    if code == 0:
        offer = Offer(
            slot, zone, area, tx.signer, 0, [], tx.content["body"]["counters"], tx.id, sm3(tx.signature), tx.id, -1
        )
        twin.offers.append(offer)
    return code


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
    twin.refused_rows[tx.id] = []
    seeds, place, rows = iter(attached.seeds), 0, [row for bid in attached.bids for row in bid]
    for bid in attached.bids:
        first, own_seeds = bid[0], [next(seeds) for _ in bid]
        code = max(placed_code(twin, tx, rows, at) for at in range(place, place + len(bid)))
        if code:
            twin.refused_rows[tx.id] += [(place + at, first.party, code) for at in range(len(bid))]
        else:
            name = twin.registry.parties[first.party]
            area = twin.registry.must("party/" + name, slot, twin.height - 1)["area"]
            withdraws = [first.counter] if first.quantity_wh == 0 else []
            asked = [
                Asked(row.counter, row.quantity_wh, row.price, seed, wants=packed(row.choice, row.kinds, row.seller))
                for row, seed in zip(bid, own_seeds, strict=True)
            ]
            orders = [] if withdraws else asked
            offer = Offer(slot, zone, area, name, first.side, orders, withdraws, tx.id, attached.seed, tx.id, place)
            twin.offers.append(offer)
        place += len(bid)
    return 0


def placed_code(twin: Twin, tx: Transaction, rows: Sequence[PlacedRow], place: int) -> int:
    """What is wrong with a row of a batch by itself."""
    zone, slot, row = tx.content["body"]["zone"], tx.content["body"]["slot_start_s"], rows[place]
    code = mandate_code(twin, zone, slot, row.party, tx.signer)
    code = code or order_code(row.counter, row.quantity_wh or 1, row.price)
    if not code and any((other.party, other.counter) == (row.party, row.counter) for other in rows[:place]):
        code = 66
    if code or not row.kinds:
        return code
    return first((not takes_conditions(twin, zone, slot), 94), (row.seller > len(twin.registry.parties), 95))


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


def own_orders(twin: Twin, slot: int, zone: str, party: str) -> list[Leaf]:
    """All orders of a party in a slot, withdrawn ones among them."""
    number = twin.leaves["party/" + party]["number"]
    chunk = twin.leaves.get(f"book/{slot}/{zone}/{number // CHUNK}", {"party": []})
    return [
        {column: chunk[column][row] for column in BOOK} | {"id": chunk["ids"][32 * row : 32 * row + 32]}
        for row, other in enumerate(chunk["party"])
        if other == number
    ]


def judge(twin: Twin, offer: Offer) -> int:
    """An offer meets the orders that stand; its own stand from now on where the code is 0."""
    known = own_orders(twin, offer.slot, offer.zone, offer.party)
    used = {order["counter"]: order["id"] for order in known}
    counters = [asked.counter for asked in offer.orders]
    if set(counters) & set(used):
        return 1 if used.get(counters[0]) == offer.transaction_id else 66
    standing = {order["counter"]: order for order in known if order["withdrawn_height"] == 0}
    if not set(offer.withdraws) <= set(standing):
        is_done = not offer.orders and set(offer.withdraws) <= set(used) - set(standing)
        return 1 if is_done else 79
    withdrawn = [standing[counter] for counter in offer.withdraws]
    others = [order for order in standing.values() if order not in withdrawn]
    is_firm = MARKETS[twin.contract(offer.zone, offer.slot)["contract"]].ranks_by_arrival
    # what is withdrawn may have traded before: it counts, and is held, until the gate
    counted, given_back = (known, []) if is_firm else (others, withdrawn)
    code = order_meets(twin, offer, others, counted, given_back)
    if code == 0:
        number = twin.leaves["party/" + offer.party]["number"]
        for asked in offer.orders:
            put_in_book(twin, offer, asked, exposure(twin, offer, asked.price))
        withdraw(twin, offer, number)
        is_first = (offer.step, number // CHUNK) not in twin.reseeded  # once for each transaction or gate, and chunk
        hold(twin, [(number, more_held(twin, offer, given_back))], offer.source if is_first else None)
        twin.reseeded.add((offer.step, number // CHUNK))
    return code


def order_meets(twin: Twin, offer: Offer, others: list[Leaf], counted: list[Leaf], withdrawn: list[Leaf]) -> int:
    """Whether an offer's orders may stand beside the others of its party, and in the place of those that it withdraws."""
    if not offer.orders:
        return 0
    ordered = sum(order["quantity_wh"] for order in counted if order["side"] == offer.side)
    ordered += sum(asked.quantity_wh for asked in offer.orders)
    prices = [order["price_micro_per_kwh"] for order in others if order["side"] != offer.side]
    pairs = [(asked.price, price) for asked in offer.orders for price in prices]
    return first(
        (ordered > deliverable_wh(twin, offer), 70),
        (any(own >= price if offer.side == 0 else own <= price for own, price in pairs), 71),
        (not has_credit(twin, offer, withdrawn), 72),
    )


def more_held(twin: Twin, offer: Offer, withdrawn: list[Leaf]) -> int:
    """By how much what is held of the party changes with an offer."""
    given_back: int = sum(order["held_micro_per_kwh"] * order["quantity_wh"] for order in withdrawn)
    return sum(exposure(twin, offer, asked.price) * asked.quantity_wh for asked in offer.orders) - given_back


def withdraw(twin: Twin, offer: Offer, number: int) -> None:
    """The rows of orders that are withdrawn stay."""
    if offer.withdraws:
        key = f"book/{offer.slot}/{offer.zone}/{number // CHUNK}"
        chunk = twin.leaves[key]
        heights = list(chunk["withdrawn_height"])
        for row, (party, counter) in enumerate(zip(chunk["party"], chunk["counter"], strict=True)):
            if party == number and counter in offer.withdraws:
                heights[row] = twin.height
        twin.leaves[key] = chunk | {"withdrawn_height": Column(heights)}


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


def exposure(twin: Twin, offer: Offer, price: int) -> int:
    """What a kWh of an order with this limit can cost the party at most."""
    _, rules = twin.rules(offer.area, offer.slot)
    return MARKETS[twin.contract(offer.zone, offer.slot)["contract"]].exposure(offer.side, price, rules["prices"])


def has_credit(twin: Twin, offer: Offer, withdrawn: list[Leaf]) -> bool:
    """Whether what an offer can cost may be held of the party, in the place of what it withdraws."""
    number = twin.leaves["party/" + offer.party]["number"]
    nothing = {"nano": [0] * CHUNK}
    held = twin.leaves.get(f"held/{number // CHUNK}", nothing)["nano"][number % CHUNK]
    held += more_held(twin, offer, withdrawn)
    credit = twin.registry.must("party/" + offer.party, offer.slot, twin.height - 1).get("credit_nano")
    owed = 0
    for row in rows_of(twin, offer.zone, offer.slot, offer.party):
        balance = twin.leaves.get(f"balance/{offer.zone}/{row // CHUNK}")
        if balance is not None and row % CHUNK < len(balance["units"]):
            owed += balance["units"][row % CHUNK] * NANO + balance["nano"][row % CHUNK]
    return held <= HELD_MAX and (credit is None or owed + held <= credit)


def put_in_book(twin: Twin, offer: Offer, asked: Asked, per_kwh: int) -> None:
    """The order is the last of its chunk of parties."""
    number, area = twin.leaves["party/" + offer.party]["number"], twin.leaves["area/" + offer.area]["number"]
    values = (
        *(area, asked.counter, per_kwh, number, asked.price, asked.quantity_wh),
        *(twin.height, offer.side, 0, asked.whole, asked.wants),
    )
    chunk = number // CHUNK
    key = f"book/{offer.slot}/{offer.zone}/{chunk}"
    empty = {column: Column() for column in BOOK} | {"ids": b"", "seeds": b""}
    old = twin.leaves.get(key, empty)
    new: Leaf = {column: Column([*old[column], value]) for column, value in zip(BOOK, values, strict=True)}
    twin.leaves[key] = new | {"ids": old["ids"] + offer.transaction_id, "seeds": old["seeds"] + asked.seed}
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
