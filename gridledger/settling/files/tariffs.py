"""Whether components of a tariff fit some points and what they trade: who pays them, to whom, and that everything charged has a price."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from gridledger.settling.dataset import OrdersBySlot, PointRow, parties_of
from gridledger.settling.files.fault import FilesError, fault, nearest
from gridledger.settling.files.points import NAME_OF_FILE as POINTS
from gridledger.settling.files.rules import NAME as RULES
from gridledger.settling.grid_places import GridPlaces
from ledger.contract import BUY, SELL, Contract
from settlement.contract_kit_1 import Int64Column
from settlement.contracts.grid_fee_path_1 import GRID_PLACES
from settlement.errors import SettlementError
from settlement.tariffs.components import Component
from settlement.tariffs.network import price_at_level


class Market(NamedTuple):
    """Where points trade. terms: of the contract, without fault; slot_start_s: int64[slots], of all orders."""

    contract: Contract
    terms: Mapping[str, Any]
    orders: OrdersBySlot
    slot_start_s: Int64Column


class _Sides(NamedTuple):
    """Who buys and who sells, by name."""

    buyers: Collection[str]
    sellers: Collection[str]


def check_tariff(
    components: Sequence[Component], market: Market, points: Sequence[PointRow], known_by: str = POINTS
) -> None:
    """FilesError unless each component is paid by parties that there are, to an account that is none, and has a price at their points' levels and for their trades."""
    parties = parties_of(points)
    for component in components:
        if component.account in parties:
            what = f"[[tariff.component]] {component.name}: account {component.account} is a party of {known_by}"
            raise fault(RULES, what, "give the account another name")
        for party in (*component.parties, *component.contracted_w):
            if party not in parties:
                what = f"[[tariff.component]] {component.name}: {party} is no party of {known_by}"
                raise fault(RULES, what, nearest(party, sorted(parties)))
        if component.covers and not component.highest_level and not market.contract.trades_in_pairs:
            what = f"[[tariff.component]] {component.name}: covers, and trades of {market.contract.contract_id} name no sides"
            raise fault(RULES, what, "give highest_level beside it, or settle under a contract that trades in pairs")
        if component.levels:
            _check_levels(component, market, points)
        if component.covers and market.contract.trades_in_pairs:
            _check_trades(component, market, points)


def _check_levels(component: Component, market: Market, points: Sequence[PointRow]) -> None:
    """A component by voltage level has a price for every point of who pays it."""
    is_by_trade = component.covers and market.contract.trades_in_pairs
    for point in points:
        if point.is_border or (component.parties and not {*component.parties}.intersection(point.parties)):
            continue
        if error := _fault_of_level(component, point, "" if is_by_trade else component.highest_level, "charged"):
            raise error


def _fault_of_level(component: Component, point: PointRow, highest_level: str, how: str) -> FilesError | None:
    """Why a component has no price at a point's level, None where it has one. how: what the level is to the component."""
    level, where = point.voltage_level or component.user_level, f"[[tariff.component]] {component.name}"
    if not level:
        what = f"point {point.point} has no voltage_level, by which {where} is {how}"
        return fault(POINTS, what, f"give it in the column voltage_level, or user_level in {RULES}")
    try:
        price_at_level(component.levels, level, highest_level)
    except SettlementError as error:
        what, right = (
            f"point {point.point} and {where} of {RULES}: {error}",
            "give the point one of its levels, or the component more",
        )
        if level in dict(component.levels):
            right = f"let highest_level be {level} or one above it"
        return fault(POINTS, what, right)
    return None


def _check_trades(component: Component, market: Market, points: Sequence[PointRow]) -> None:
    """A component that follows trades has a price at every seller's point, and at every place of the grid under which a payer and a seller lie.

    Orders are read only where one would fail if everybody with an order bought and sold.
    """
    traders = market.orders.traders
    error = _fault_of_trades(component, market, points, _Sides(traders, traders))
    if error and (error := _fault_of_trades(component, market, points, _sides_of(market))):
        raise error


def _sides_of(market: Market) -> _Sides:
    found: dict[int, set[str]] = {BUY: set(), SELL: set()}
    for slot, slot_start_s in enumerate(market.slot_start_s.tolist()):
        orders = market.orders.of_slot(slot, slot_start_s)
        for party, side in zip(orders.party, orders.side.tolist(), strict=True):
            found[side].add(party)
    return _Sides(found[BUY], found[SELL])


def _fault_of_trades(
    component: Component, market: Market, points: Sequence[PointRow], sides: _Sides
) -> FilesError | None:
    payers = {party for party in sides.buyers if not component.parties or party in component.parties}
    selling = [(point, party) for point in points for party in point.parties if party in sides.sellers]
    for point, party in selling:
        if payers - {party} and (error := _fault_of_level(component, point, "", "charged where it sells")):
            return error
    if not component.place_levels or GRID_PLACES not in market.terms:
        return None
    places, priced = GridPlaces(market.terms[GRID_PLACES]), dict(component.place_levels)
    at_place = [defaultdict[int, set[str]](set) for _ in sides]
    for point in points:
        if point.grid_place in places:
            for found, side in zip(at_place, (payers, sides.sellers), strict=True):
                found[point.grid_place or 0].update({*side}.intersection(point.parties))
    for (lower, buyers), (other, sellers) in product(*(sorted(found.items()) for found in at_place)):
        above = places.above_both(lower, other)
        if above not in priced and any(buyers - {seller} for seller in sellers):
            words = f"place_levels do not say the level of grid place {above}, through which {lower} and {other} trade"
            right = f'add [{above}, "{component.levels[-1].name}"], or whichever level it has'
            return fault(RULES, f"[[tariff.component]] {component.name}: {words}", right)
    return None
