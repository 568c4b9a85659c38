"""What profiles give in a slot: orders, taken when its gate closes (docs/spec/state.md, "Profiles")."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gridcore.registry.party import Party
from gridcore.sm3 import sm3, sm3_each
from ledger.leaves.book import BookLeaf, Wants
from ledger.leaves.columns import Int64, digests
from ledger.leaves.profiles import GivenParts, load_given
from ledger.registry.zones import Zone
from ledger.state.columns import Field, encode_rows
from ledger.state.contracts import contract_of_slot
from ledger.state.draft import Draft
from ledger.state.order_terms import takes_conditions
from ledger.state.orders import keep_group
from ledger.state.registered_now import parties_registered_now
from ledger.state.taken_orders import TakenOrders

NOWHERE: Final = -1


def order_by_profiles(draft: Draft, zone: Zone, slot_start_s: int) -> int:
    """Put into the book of a slot what the profiles of a zone give in it, as far as it may stand; returns how many parts were looked at.

    An order of the party under the same counter stands in the place of its profile's, and of the whole bid whose condition that is. Where the
    contract takes no conditions, bids that have some give nothing.
    """
    given, parts = load_given(draft, zone.name, slot_start_s, draft.slot_s)
    given = given.take(_trades(draft, zone, slot_start_s, given))
    if not len(given.party):
        return parts
    contract = contract_of_slot(draft, zone, slot_start_s).contract
    if given.wants.any() and not takes_conditions(contract):
        given = given.take(given.wants == 0)
    if not len(given.party) or not contract.takes_orders:
        return parts
    given = given.take(np.lexsort((given.counter, given.party)))
    none = np.zeros_like(given.party)
    columns: list[Field] = [("32u1", given.seeds), ("<i8", none + slot_start_s), ("u1", given.counter)]
    seeds = sm3_each(list(encode_rows(columns)))
    orders = BookLeaf(
        all_or_none=none,
        area=given.area,
        counter=given.counter,
        held_micro_per_kwh=none,
        party=given.party,
        price_micro_per_kwh=given.price_micro_per_kwh,
        quantity_wh=given.quantity_wh,
        side=given.side,
        recorded_height=none + draft.height,
        wants=given.wants,
        withdrawn_height=none,
        ids=given.ids,
        seeds=digests(seeds),
    )
    offer = _offers(given)
    party = given.party[np.flatnonzero(np.diff(offer, prepend=-1))]
    taken = TakenOrders(zone, slot_start_s, sm3(b"".join(seeds)), party, np.zeros_like(party), orders, offer)
    keep_group(draft, slot_start_s, [taken])
    return parts


def _offers(given: GivenParts) -> Int64:
    """int64[n]: the offer of each part. The conditions of a bid are one, whichever of them have a quantity in the slot; they stand side by side."""
    first = np.where(given.wants > 0, given.counter - Wants.unpacked(given.wants).choice, given.counter)
    is_new = (np.diff(given.party, prepend=-1) != 0) | (np.diff(first, prepend=-1) != 0)
    return np.cumsum(is_new) - 1


def _trades(draft: Draft, zone: Zone, slot_start_s: int, given: GivenParts) -> NDArray[np.bool_]:
    """bool[n]: the part's party trades in the slot, and in the area of its profile, before and after what this block registers."""
    parties = draft.at(slot_start_s).parties
    area = parties.area[given.party] - draft.registry.areas_of(zone.place).start
    trades: NDArray[np.bool_] = parties.trades[given.party] & (area == given.area)
    registered = parties_registered_now(draft, given.party, slot_start_s)
    if registered:
        area_now = np.array([_area_now(draft, zone, party) for party in registered.values()])
        numbers = np.array(list(registered))
        rows = np.flatnonzero(np.isin(given.party, numbers))
        trades[rows] &= given.area[rows] == area_now[np.searchsorted(numbers, given.party[rows])]
    return trades


def _area_now(draft: Draft, zone: Zone, party: Party | None) -> int:
    """The number of the area in the zone in which a party trades by what this block registers; NOWHERE for one that does not."""
    found = None if party is None or not party.trades else draft.registry.zone_of_area(party.area)
    return NOWHERE if found is None or found[0].place != zone.place else found[1]
