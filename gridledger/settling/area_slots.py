"""The slots of an area as a ledger has them, for whoever settles its balance: from a data directory or from the ledger of files alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gridcore.errors import UsageError
from gridcore.registry.balance_terms import GAIN_PRICE, LOSS_PRICE, SHORTFALL_PRICE, SURPLUS_PRICE, BalancePenalty
from ledger.area_balances import AreaBalances, KnownBalance, TermsOfSlot
from ledger.leaves.chain import CHAIN
from settlement.area_balance import Border, Known, SlotHistory, Terms
from settlement.balance_groups import GroupEnergy

if TYPE_CHECKING:
    from ledger.store.reader import LedgerReader


def slot_histories(reader: LedgerReader, area_id: str, first_s: int, end_s: int) -> Iterator[SlotHistory]:
    """What is known of each settled slot of an area that starts in [first_s, end_s), UTC seconds. UsageError for an area that is not there."""
    found = reader.registry.zone_of_area(area_id)
    if found is None:
        raise UsageError(f"--area {area_id}: is no area of this chain")
    zone, number = found
    slot_s = CHAIN.must(reader).slot_s
    start_s = max(-(-first_s // slot_s) * slot_s, zone.timeline.first_slot_start_s)
    return _histories(
        AreaBalances(reader, area_id, zone, number), range(start_s, min(end_s, reader.ledger_time_s), slot_s)
    )


def _histories(balances: AreaBalances, slots: Iterable[int]) -> Iterator[SlotHistory]:
    for slot_start_s in slots:
        known = [_known(one) for one in balances.history(slot_start_s)]
        if known:
            yield SlotHistory(slot_start_s, known)


def _known(known: KnownBalance) -> Known:
    groups = [GroupEnergy(*sums) for sums in known.groups]
    borders = [Border(*flow) for flow in known.borders]
    return Known(known.height, known.run, groups, borders, None if known.terms is None else _terms(known.terms))


def _terms(terms: TermsOfSlot) -> Terms:
    prices = terms.prices
    return Terms(
        terms.loss_responsible,
        prices[LOSS_PRICE],
        prices[GAIN_PRICE],
        prices[SURPLUS_PRICE],
        prices[SHORTFALL_PRICE],
        None if terms.penalty is None else BalancePenalty(**terms.penalty),
    )
