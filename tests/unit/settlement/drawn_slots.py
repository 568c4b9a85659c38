"""Slots of every contract of the catalogue as laws draw them, and what the contract makes of one: what the ledger does, with one point a party."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from ledger.contract import (
    BUY,
    SELL,
    Agreements,
    ClearingLike,
    Contract,
    LineLike,
    Period,
    SettlementLike,
    SlotRows,
    TradeAmounts,
)
from ledger.one_group import one_group
from settlement.contract_kit_1.slot_settlement import TRADER_PRICE_KEYS
from settlement.contract_kit_1.trades import Trades
from settlement.contracts.conditional_bid_1.matching import ANY_KIND
from tests.slow.bilateral_agreements import Deal
from tests.slow.catalogue import Gate, Lines, Meter, Placed, Slot, Trade

PARTIES: Final = 4
PPM: Final = 1_000_000
MONTH_S: Final = 1_782_835_200
KIND_BITS: Final[Mapping[frozenset[str], int]] = {
    frozenset(): 1, frozenset({"gas"}): 2, frozenset({"solar"}): 4, frozenset({"gas", "solar"}): 6,
}  # fmt: skip
"""The bits of a set of kinds of energy; of a bid without kinds all bits."""


class Made(NamedTuple):
    """What a contract made of a slot. lines: of each meter by kind."""

    cleared: ClearingLike | None
    rows: SlotRows
    settled: SettlementLike
    told: Sequence[LineLike]

    @property
    def gate(self) -> Gate:
        """Of a contract that takes orders."""
        assert self.cleared is not None
        return shown_gate(self.cleared)

    @property
    def lines(self) -> Sequence[Lines]:
        """What each meter is billed, by kind."""
        found: list[Lines] = [{} for _ in self.rows.import_wh]
        for line in self.told:
            for of_meter, wh, nano in zip(found, line.energy_wh.tolist(), line.amount_nano.tolist(), strict=True):
                if wh:
                    of_meter[line.kind] = wh, nano
        return found

    @property
    def pays_nano(self) -> Sequence[int]:
        """The bill of each meter."""
        bills: list[int] = self.settled.columns["pays_nano"].tolist()
        return bills


def shown_gate(cleared: ClearingLike) -> Gate:
    """A gate as the reference has it."""
    made, fees = cleared.trades, cleared.fees_micro_per_kwh
    trades = None
    if made is not None:
        of_trades = np.zeros_like(made.energy_wh) if fees is None else fees
        columns = (made.buy, made.sell, made.energy_wh, made.price_micro_per_kwh, of_trades)
        trades = [Trade(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    return Gate(cleared.filled_wh.tolist(), trades, cleared.price_micro_per_kwh)


def column(values: Sequence[int]) -> NDArray[np.int64]:
    """One column."""
    return np.array(values, dtype=np.int64)


def cleared(contract: Contract, slot: Slot) -> ClearingLike:
    """The gate of a slot's orders, by rank."""
    orders = slot.orders
    asked = {
        "arrival": [one.arrival for one in orders],
        "grid_place": [one.place for one in orders],
        "bid": [one.bid for one in orders],
        "choice": [one.choice for one in orders],
        "energy_kinds": [ANY_KIND if one.buys and not one.kinds else KIND_BITS[one.kinds] for one in orders],
        "seller": [(0 if one.seller is None else one.seller + 1) if one.buys else one.party + 1 for one in orders],
    }
    return contract.clear(
        np.array([BUY if one.buys else SELL for one in orders], dtype=np.int8),
        column([one.energy_wh for one in orders]),
        column([one.limit for one in orders]),
        terms={"prices": slot.prices, **slot.terms},
        until_rank=column([one.until for one in orders]) if contract.ranks_by_arrival else None,
        order_terms={name: column(asked[name]) for name in contract.order_terms} or None,
    )


def rows_of(contract: Contract, slot: Slot, gate: ClearingLike | None) -> SlotRows:
    """The rows of a slot after its gate, as the ledger hands them to the contract."""
    party = column([one.party for one in slot.orders])
    taken, fed = (column([meter[at] for meter in slot.meters]) for at in (0, 1))
    bought, sold, amounts = np.zeros_like(taken), np.zeros_like(taken), None
    if gate is not None:
        buys = np.array([one.buys for one in slot.orders], dtype=bool)
        np.add.at(bought, party[buys], gate.filled_wh[buys])
        np.add.at(sold, party[~buys], gate.filled_wh[~buys])
        if gate.trades is not None:
            made = Trades(
                party[gate.trades.buy],
                party[gate.trades.sell],
                gate.trades.energy_wh,
                gate.trades.price_micro_per_kwh,
            )
            of_parties, fee_nano = made.traded(len(slot.meters)), None
            if gate.fees_micro_per_kwh is not None:
                fee_nano = np.zeros_like(taken)
                np.add.at(fee_nano, made.buy, made.energy_wh * gate.fees_micro_per_kwh)
            amounts = TradeAmounts(of_parties.bought_nano, of_parties.sold_nano, fee_nano)
    rows = one_group(slot.prices, taken, fed, bought, sold)
    known = {
        "share_ppm": column([meter.share_ppm for meter in slot.meters]),
        "priority": column([meter.priority for meter in slot.meters]),
    }
    return rows._replace(
        point_terms={name: known[name] for name in contract.point_terms},
        amounts=amounts,
        period=period_of(slot) if contract.period_columns else None,
        agreements=agreements_of(slot) if contract.takes_agreements else None,
    )


def settled(contract: Contract, slot: Slot) -> Made:
    """A slot from its orders to its lines."""
    gate = cleared(contract, slot) if contract.takes_orders else None
    rows = rows_of(contract, slot, gate)
    prices, terms = [None if gate is None else gate.price_micro_per_kwh], [slot.terms]
    result = contract.settle(rows, trade_prices_micro_per_kwh=prices, terms=terms)
    kept = rows._replace(bought_wh=result.columns["bought_wh"], sold_wh=result.columns["sold_wh"])
    lines = contract.lines(kept, result.columns, trade_prices_micro_per_kwh=prices, terms=terms)
    return Made(gate, kept, result, lines)


def agreements_of(slot: Slot) -> Agreements:
    """The deals of a slot as columns."""
    rows = [
        (
            deal.seller,
            deal.buyer,
            int(deal.is_difference),
            deal.quantity_wh if deal.share is None else -1,
            -1 if deal.share is None else int(deal.share * PPM),
            deal.price,
            deal.reference,
        )
        for deal in slot.deals
    ]
    columns = zip(*rows, strict=True) if rows else [()] * len(Agreements._fields)
    return Agreements(*(column(list(values)) for values in columns))


def period_of(slot: Slot) -> Period:
    """The month of a slot: the sums of its other slots where it ends with this one."""
    if slot.before is None:
        return Period([MONTH_S], [False], {}, {})
    sums = {"deficit_wh": np.zeros(len(slot.meters), dtype=np.int64)}
    sums["surplus_wh"] = sums["deficit_wh"].copy()
    cost = income = 0
    for meters in slot.before:
        net_wh = column([meter.net_wh for meter in meters])
        sums["deficit_wh"] += np.maximum(-net_wh, 0)
        sums["surplus_wh"] += np.maximum(net_wh, 0)
        cost += max(-int(net_wh.sum()), 0) * slot.price("residual_price")
        income += max(int(net_wh.sum()), 0) * slot.price("feed_in")
    limbs = {"cost_units": cost // 10**9, "cost_nano": cost % 10**9}
    limbs |= {"income_units": income // 10**9, "income_nano": income % 10**9}
    return Period([MONTH_S], [True], sums, {name: [value] for name, value in limbs.items()})


WH = st.integers(0, 60)
MICRO = st.integers(0, 300)
NONE = st.just(0)
METER = st.one_of(st.tuples(WH, NONE), st.tuples(NONE, WH), st.tuples(WH, WH)).map(lambda wh: Meter(wh[0], wh[1]))
METERS = st.lists(METER, min_size=PARTIES, max_size=PARTIES)
SHARES = st.sampled_from([-1, 0, 1, 100_000, 250_000])
KEYED = st.lists(
    st.builds(
        lambda meter, share, turn: meter._replace(share_ppm=share, priority=turn), METER, SHARES, st.integers(-1, 2)
    ),
    min_size=PARTIES, max_size=PARTIES,
)  # fmt: skip
DEALS = st.lists(
    st.builds(
        lambda pair, is_difference, wh, share, price, reference: Deal(
            pair[0],
            pair[1],
            is_difference,
            wh if share is None else -1,
            share,
            price,
            reference if is_difference else 0,
        ),
        st.permutations(range(PARTIES)).map(lambda order: order[:2]),
        st.booleans(),
        WH,
        st.none() | st.integers(0, PPM).map(lambda ppm: Fraction(ppm, PPM)),
        MICRO,
        MICRO,
    ),
    max_size=5,
)


@st.composite
def prices(draw: st.DrawFn, /, keys: Sequence[str]) -> dict[str, int]:
    """Prices without fault: of the grid, of deviations as far as the contract has some, charges that are lower for traded energy."""
    feed_in, more, surplus = draw(st.integers(1, 300)), draw(MICRO), draw(st.integers(-50, 300))
    traded, residual, dearer = draw(st.integers(0, 60)), draw(st.integers(0, 60)), draw(st.integers(0, 90))
    surplus, retail = min(surplus, feed_in), feed_in + more
    found = {
        "residual_price_micro_per_kwh": retail,
        "feed_in_price_micro_per_kwh": feed_in,
        "surplus_price_micro_per_kwh": surplus,
        "shortfall_price_micro_per_kwh": retail + residual + dearer,
        "network_traded_micro_per_kwh": traded,
        "network_residual_micro_per_kwh": traded + residual,
        "levy_micro_per_kwh": draw(st.integers(0, 30)),
    }
    return {key: found[key] for key in keys}


FIVE = tuple(key for key in TRADER_PRICE_KEYS if "surplus" not in key and "shortfall" not in key)


@st.composite
def traded(draw: st.DrawFn, /, terms: st.SearchStrategy[dict[str, Any]], **changes: Any) -> Slot:
    """A slot of a contract with orders; changes: "until", "kinds" or "places" where the contract asks for them."""
    orders = list[Placed]()
    for _ in range(draw(st.integers(0, 9))):
        bid, buys = len(orders), draw(st.booleans())
        party = draw(st.integers(0, PARTIES - 1))
        for choice in range(draw(st.integers(1, 3)) if buys and changes.get("kinds") else 1):
            one = Placed(party, buys, draw(st.integers(1, 60)), draw(st.integers(-30, 400)), 0, 0, bid, choice)
            if changes.get("kinds"):
                kinds = draw(st.sampled_from(list(KIND_BITS) if buys else list(KIND_BITS)[:3]))
                wanted = draw(st.none() | st.integers(0, PARTIES - 1)) if buys else None
                one = one._replace(kinds=kinds, seller=wanted)
            if changes.get("places"):
                one = one._replace(place=draw(st.sampled_from([0, 7, 8, 8, 9, 9, 10, 99])))
            orders.append(one)
    count = len(orders)
    arrivals = draw(st.permutations(range(count)))
    untils = [count] * count
    if changes.get("until"):
        untils = [draw(st.just(count) | st.integers(0, count)) for _ in range(count)]
    orders = [
        one._replace(arrival=came, until=until) for one, came, until in zip(orders, arrivals, untils, strict=True)
    ]
    return Slot(draw(prices(TRADER_PRICE_KEYS)), draw(terms), draw(METERS), orders)


@st.composite
def grids(draw: st.DrawFn, rule: str | None) -> dict[str, Any]:
    """A tree of up to four places; rule: where it is a term, None where places take fractions in its stead."""
    listed: list[dict[str, int]] = []
    for number in range(7, 7 + draw(st.integers(1, 4))):
        one = {"place": number, "fee_micro_per_kwh": draw(st.integers(0, 40))}
        if rule is None:
            one["fee_ppm"] = draw(st.sampled_from([0, 50_000, 333_333, PPM]))
        if listed:
            one["parent"] = draw(st.sampled_from(listed))["place"]
        listed.append(one)
    return {"grid_places": listed} | ({} if rule is None else {"price_rule": rule})


NO_TERMS = st.just(dict[str, Any]())
K = st.sampled_from([0, 250_000, 333_333, 500_000, PPM])
BY_K = st.builds(lambda k: {"price_k_ppm": k}, K)
REFERENCE = st.builds(lambda price: {"reference_price_micro_per_kwh": price}, st.integers(-40, 420))
RATIONED = st.builds(
    lambda rule, how: {**rule, "rationing": how}, BY_K | REFERENCE, st.sampled_from(["pro_rata", "time"])
)
RULES = st.builds(lambda rule: {"price_rule": rule}, st.sampled_from(["pay_as_bid", "pay_as_offer"]))


def slots(keys: Sequence[str], **changes: st.SearchStrategy[Any]) -> st.SearchStrategy[Slot]:
    """Slots of a contract without orders and terms; changes: other fields."""
    return st.builds(
        lambda of, meters, more: Slot(of, {}, meters, **more), prices(keys), METERS, st.fixed_dictionaries(changes)
    )


@st.composite
def shared(draw: st.DrawFn) -> Slot:
    """A community that shares by keys, at a price between the grid's."""
    found = draw(prices(FIVE))
    price = draw(st.integers(found["feed_in_price_micro_per_kwh"], found["residual_price_micro_per_kwh"]))
    method = draw(st.sampled_from(["static", "static_reallocated", "dynamic", "priority"]))
    terms: dict[str, Any] = {"method": method, "trade_price_micro_per_kwh": price}
    if draw(st.integers(0, 3)) == 0:
        terms["settle_residual"] = False
    return Slot(found, terms, draw(KEYED))


SLOTS: Final[Mapping[str, st.SearchStrategy[Slot]]] = {
    "p2p_call_auction/1": traded(REFERENCE.map(lambda terms: {**terms, "rationing": "pro_rata"})),
    "p2p_call_auction/2": traded(RATIONED),
    "pay_as_bid/1": traded(NO_TERMS),
    "pay_as_bid/2": traded(BY_K),
    "continuous_double_auction/1": traded(NO_TERMS, until=True),
    "continuous_double_auction/2": traded(BY_K, until=True),
    "trade_reduction/1": traded(NO_TERMS),
    "conditional_bid/1": traded(RULES, kinds=True),
    "grid_fee_path/1": traded(grids("pay_as_bid") | grids("pay_as_offer"), places=True),
    "grid_fee_path/2": traded(grids(None), places=True),
    "bilateral_agreements/1": slots(FIVE, deals=DEALS),
    "schedules_and_deviations/1": slots(TRADER_PRICE_KEYS, deals=DEALS),
    "mid_market_rate/1": slots(FIVE),
    "supply_demand_ratio/1": slots(FIVE),
    "bill_sharing/1": slots(FIVE, before=st.none() | st.lists(METERS, max_size=2)),
    "sharing_keys/1": shared(),
}
"""By contract id the slots that its laws are tried on."""
