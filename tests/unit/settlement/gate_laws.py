"""Laws of gates, of contracts that take orders: see ``contract_laws``."""

from __future__ import annotations

from random import Random
from typing import Final

import numpy as np

from ledger.contract import BUY, SELL, Contract
from tests.slow.catalogue import REFERENCES, Gate, Placed, Slot
from tests.unit.settlement.drawn_slots import cleared, column, settled, shown_gate


def gate_of(contract: Contract, slot: Slot) -> Gate:
    """The gate of a slot."""
    return shown_gate(cleared(contract, slot))


def gate_is_the_references(contract: Contract, slot: Slot, _chance: Random) -> None:
    """What each order got, the price, and the trades, whoever of equal ones is paired with whom."""
    found, expected = gate_of(contract, slot), REFERENCES[contract.contract_id](slot).gate
    assert expected is not None
    assert list(found.filled_wh) == list(expected.filled_wh)
    assert found.price == expected.price
    assert (found.trades is None) == (expected.trades is None)
    assert sorted(found.trades or ()) == sorted(expected.trades or ())


def bought_is_sold(contract: Contract, slot: Slot, _chance: Random) -> None:
    """By orders, by trades and by the volume that is published."""
    made = cleared(contract, slot)
    gate = gate_of(contract, slot)
    sides = [
        sum(wh for one, wh in zip(slot.orders, gate.filled_wh, strict=True) if one.buys is buys)
        for buys in (True, False)
    ]
    assert sides == [made.volume_wh] * 2
    if gate.trades is not None:
        assert sum(trade.energy_wh for trade in gate.trades) == made.volume_wh
        assert all(slot.orders[trade.buy].buys and not slot.orders[trade.sell].buys for trade in gate.trades)


def no_order_is_overfilled(contract: Contract, slot: Slot, _chance: Random) -> None:
    """Nor a bid of several conditions beyond the largest of them; what trades come to is what orders got."""
    gate = gate_of(contract, slot)
    of_trades, of_bids, most = [0] * len(slot.orders), [0] * len(slot.orders), [0] * len(slot.orders)
    for trade in gate.trades or ():
        assert trade.energy_wh > 0
        of_trades[trade.buy] += trade.energy_wh
        of_trades[trade.sell] += trade.energy_wh
    for one, wh in zip(slot.orders, gate.filled_wh, strict=True):
        assert 0 <= wh <= one.energy_wh
        of_bids[one.bid] += wh
        most[one.bid] = max(most[one.bid], one.energy_wh)
    assert all(wh <= least for wh, least in zip(of_bids, most, strict=True))
    if gate.trades is not None:
        assert of_trades == list(gate.filled_wh)


def no_limit_is_broken_with_all_fees(contract: Contract, slot: Slot, _chance: Random) -> None:
    """No buyer pays more than his limit, no seller gets less, whatever there is beside the price."""
    gate = gate_of(contract, slot)
    for trade in gate.trades or ():
        buyer_pays = trade.price + trade.fee if gate.price is None else gate.price
        assert trade.price >= slot.orders[trade.sell].limit
        assert trade.price <= buyer_pays <= slot.orders[trade.buy].limit
        assert trade.fee >= 0
    if gate.trades is None:
        for one, wh in zip(slot.orders, gate.filled_wh, strict=True):
            assert gate.price is not None or not wh
            assert not wh or (gate.price or 0) * (1 if one.buys else -1) <= one.limit * (1 if one.buys else -1)


def no_pair_that_would_trade_is_left(contract: Contract, slot: Slot, _chance: Random) -> None:
    """A second gate of what the first left, as far as it still stands, trades nothing."""
    gate, room = gate_of(contract, slot), dict[int, int]()
    for one in slot.orders:
        room[one.bid] = max(room.get(one.bid, 0), one.energy_wh)
    for one, wh in zip(slot.orders, gate.filled_wh, strict=True):
        room[one.bid] -= wh
    stands = [not contract.ranks_by_arrival or one.until == len(slot.orders) for one in slot.orders]
    left = [
        min(one.energy_wh - wh, room[one.bid]) * stands[rank]
        for rank, (one, wh) in enumerate(zip(slot.orders, gate.filled_wh, strict=True))
    ]
    ranks = [rank for rank, wh in enumerate(left) if wh]
    first = {slot.orders[rank].bid: new for new, rank in reversed(list(enumerate(ranks)))}
    rest = [
        slot.orders[rank]._replace(energy_wh=left[rank], bid=first[slot.orders[rank].bid], until=len(ranks))
        for rank in ranks
    ]
    assert cleared(contract, slot._replace(orders=rest)).volume_wh == 0


def one_side_alone_trades_nothing(contract: Contract, slot: Slot, chance: Random) -> None:
    """Nor does an empty gate."""
    side = chance.choice([True, False])
    own = [rank for rank, one in enumerate(slot.orders) if one.buys is side]
    of_bid = {rank: place for place, rank in enumerate(own)}
    orders = [slot.orders[rank]._replace(bid=of_bid[slot.orders[rank].bid], until=len(own)) for rank in own]
    gate = gate_of(contract, slot._replace(orders=orders))
    assert not any(gate.filled_wh)
    assert gate.price is None


def rank_decides_only_between_equal_limits(contract: Contract, slot: Slot, chance: Random) -> None:
    """With limits that all differ, fees without fractions, orders in another order get the same at the same prices."""
    orders = [one._replace(limit=1_000 * one.limit + 2 * rank + one.buys) for rank, one in enumerate(slot.orders)]
    terms = dict(slot.terms)
    if "grid_places" in terms:
        terms["grid_places"] = [
            {name: {"fee_micro_per_kwh": 1_000 * value, "fee_ppm": 0}.get(name, value) for name, value in place.items()}
            for place in terms["grid_places"]
        ]
    order = chance.sample(range(len(orders)), len(orders))
    place_of = {old: new for new, old in enumerate(order)}
    moved = [orders[old]._replace(bid=place_of[orders[old].bid]) for old in order]
    first = gate_of(contract, slot._replace(orders=orders, terms=terms))
    second = gate_of(contract, slot._replace(orders=moved, terms=terms))
    assert [second.filled_wh[place_of[rank]] for rank in range(len(orders))] == list(first.filled_wh)
    assert second.price == first.price
    if (
        contract.contract_id != "trade_reduction/1"
    ):  # there all trades have one price, and who is paired with whom is by rank
        again = [trade._replace(buy=order[trade.buy], sell=order[trade.sell]) for trade in second.trades or ()]
        assert sorted(again) == sorted(first.trades or ())


def split(slot: Slot, rank: int, part_wh: int) -> Slot:
    """The same gate, where an order stands as two, one behind the other."""
    orders = list[Placed]()
    for place, one in enumerate(slot.orders):
        kept = one._replace(
            arrival=2 * one.arrival, until=one.until + (one.until > rank), bid=one.bid + (one.bid > rank)
        )
        if place == rank:
            orders += [
                kept._replace(energy_wh=part_wh),
                kept._replace(energy_wh=one.energy_wh - part_wh, arrival=kept.arrival + 1, bid=rank + 1),
            ]
        else:
            orders.append(kept)
    return slot._replace(orders=orders)


def an_order_in_two_parts_gets_what_it_got_up_to_units(contract: Contract, slot: Slot, chance: Random) -> None:
    """One that stands alone, not a bid of several conditions; two units of what is shared out pro rata are left over at most."""
    alone = [
        rank
        for rank, one in enumerate(slot.orders)
        if one.energy_wh > 1 and sum(other.bid == one.bid for other in slot.orders) == 1
    ]
    if not alone:
        return
    rank = chance.choice(alone)
    whole, parts = (
        gate_of(contract, slot),
        gate_of(contract, split(slot, rank, chance.randrange(1, slot.orders[rank].energy_wh))),
    )
    units = 2 if slot.terms.get("rationing") == "pro_rata" else 0
    assert abs(whole.filled_wh[rank] - sum(parts.filled_wh[rank : rank + 2])) <= units
    assert parts.price == whole.price
    assert sum(parts.filled_wh) == sum(whole.filled_wh)


def a_better_limit_gets_no_less(contract: Contract, slot: Slot, chance: Random) -> None:
    """Who offers to pay more, or asks for less; up to one unit of what is shared out pro rata."""
    if not slot.orders:
        return
    rank, orders = chance.randrange(len(slot.orders)), list(slot.orders)
    better = chance.randrange(1, 200)
    orders[rank] = orders[rank]._replace(limit=orders[rank].limit + (better if orders[rank].buys else -better))
    before, after = gate_of(contract, slot), gate_of(contract, slot._replace(orders=orders))
    units = 1 if slot.terms.get("rationing") == "pro_rata" else 0
    assert after.filled_wh[rank] >= before.filled_wh[rank] - units


OF_TRADES: Final = ("trade_buy", "trade_sell", "grid_fee", "auction_surplus", "surplus", "shortfall")


def what_is_held_covers_what_trades_can_cost(contract: Contract, slot: Slot, _chance: Random) -> None:
    """Whatever was metered: the lines that follow from trades are no more than each filled kWh's exposure."""
    made = settled(contract, slot)
    side = np.array([BUY if one.buys else SELL for one in slot.orders], dtype=np.int8)
    held = contract.exposure_micro_per_kwh(
        side, column([one.limit for one in slot.orders]), prices=slot.prices
    ).tolist()
    gate = made.gate
    for party, lines in enumerate(made.lines):
        own = [wh * each for one, wh, each in zip(slot.orders, gate.filled_wh, held, strict=True) if one.party == party]
        assert sum(nano for kind, (_, nano) in lines.items() if kind in OF_TRADES) <= sum(own)
