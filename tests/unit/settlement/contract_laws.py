"""The laws that contracts keep, each by name, and who is excepted from one and why.

A law takes a contract, a slot that is drawn for it (``drawn_slots``) and some chance, and raises AssertionError where it is broken. Laws of gates
are those of contracts that take orders, laws of slots those of all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final, NamedTuple

from ledger.contract import Contract
from tests.slow.catalogue import Slot
from tests.unit.settlement import gate_laws as gates
from tests.unit.settlement import slot_laws as slots


class Law(NamedTuple):
    """is_of: which contracts it is a law of, by what they declare."""

    check: Callable[[Contract, Slot, Random], None]
    is_of: Callable[[Contract], bool]

    @property
    def name(self) -> str:
        """As tests and documents say it."""
        return self.check.__name__


def without_agreements(contract: Contract) -> bool:
    """What was agreed moves money with what is metered, at any price that both sides have signed."""
    return not contract.takes_agreements


def takes_orders(contract: Contract) -> bool:
    """Laws of gates."""
    return contract.takes_orders


def every(_contract: Contract) -> bool:
    """Laws of slots."""
    return True


def without_orders(contract: Contract) -> bool:
    """What members pay by a rule, not by limits of their own."""
    return not contract.takes_orders


LAWS: Final = (
    Law(gates.gate_is_the_references, takes_orders),
    Law(gates.bought_is_sold, takes_orders),
    Law(gates.no_order_is_overfilled, takes_orders),
    Law(gates.no_limit_is_broken_with_all_fees, takes_orders),
    Law(gates.no_pair_that_would_trade_is_left, takes_orders),
    Law(gates.one_side_alone_trades_nothing, takes_orders),
    Law(gates.rank_decides_only_between_equal_limits, takes_orders),
    Law(gates.an_order_in_two_parts_gets_what_it_got_up_to_units, takes_orders),
    Law(gates.a_better_limit_gets_no_less, takes_orders),
    Law(gates.what_is_held_covers_what_trades_can_cost, takes_orders),
    Law(slots.lines_are_the_references, every),
    Law(slots.debits_are_credits, every),
    Law(slots.what_lines_bill_is_what_was_metered, every),
    Law(slots.lines_of_any_rows_follow_from_what_is_kept_of_them, every),
    Law(slots.the_same_slot_comes_to_the_same_and_is_left_as_it_was, every),
    Law(slots.areas_together_are_each_alone, every),
    Law(slots.the_order_of_points_changes_nothing_but_units, every),
    Law(slots.a_meter_in_two_parts_pays_what_it_paid_up_to_units, slots.shared_out),
    Law(slots.a_Wh_more_never_lowers_a_bill_that_it_should_raise, without_agreements),
    Law(slots.nobody_pays_more_than_with_the_supplier_alone, without_orders),
    Law(slots.the_bill_of_a_community_is_the_grids_bill, slots.shared_out),
)

_SIGNED: Final = "the price is what both sides have signed, and may be above the supplier's or below what the grid pays"
_BY_TIME: Final = "rank is time there: who comes first trades first, and at which price follows from who rested"
EXCEPTIONS: Final[Mapping[tuple[str, str], str]] = {
    (gates.an_order_in_two_parts_gets_what_it_got_up_to_units.__name__, "trade_reduction/1"): (
        "of two halves at the margin one is given up, of the whole order all"
    ),
    (gates.rank_decides_only_between_equal_limits.__name__, "continuous_double_auction/1"): _BY_TIME,
    (gates.rank_decides_only_between_equal_limits.__name__, "continuous_double_auction/2"): _BY_TIME,
    (slots.nobody_pays_more_than_with_the_supplier_alone.__name__, "bill_sharing/1"): (
        "who gives energy shares what the community's export of the month earned, and gets nothing for what neighbours used"
    ),
    (slots.nobody_pays_more_than_with_the_supplier_alone.__name__, "bilateral_agreements/1"): _SIGNED,
    (slots.nobody_pays_more_than_with_the_supplier_alone.__name__, "schedules_and_deviations/1"): _SIGNED,
    (slots.the_bill_of_a_community_is_the_grids_bill.__name__, "sharing_keys/1"): (
        "what keys leave to nobody is sold to the grid while others buy from it"
    ),
}
"""By law and contract why it does not hold there; a test shows that it does not."""
