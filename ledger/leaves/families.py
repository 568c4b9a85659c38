"""All families of leaves, by name: a new one is its file and its line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ledger.leaves.accounts import ACCOUNTS
from ledger.leaves.balance import BALANCE
from ledger.leaves.book import BOOK
from ledger.leaves.chain import CHAIN
from ledger.leaves.cleared import CLEARED
from ledger.leaves.clearing import CLEARING
from ledger.leaves.clock import CLOCK
from ledger.leaves.contracts import CONTRACTS
from ledger.leaves.delivery import DELIVERY
from ledger.leaves.dispute import DISPUTE
from ledger.leaves.disputes import DISPUTES
from ledger.leaves.exception import EXCEPTION
from ledger.leaves.family import Family
from ledger.leaves.fills import FILLS
from ledger.leaves.held import HELD
from ledger.leaves.intervals import INTERVALS
from ledger.leaves.late import LATE
from ledger.leaves.latest import LATEST
from ledger.leaves.offence import OFFENCE
from ledger.leaves.orders import ORDERS
from ledger.leaves.payments import PAYMENTS
from ledger.leaves.pending import PENDING
from ledger.leaves.period import PERIOD
from ledger.leaves.period_areas import PERIOD_AREAS
from ledger.leaves.permissions import PERMISSIONS
from ledger.leaves.positions import POSITIONS
from ledger.leaves.profile_span import PROFILE_SPAN
from ledger.leaves.profiles import PROFILES
from ledger.leaves.progress import PROGRESS
from ledger.leaves.proposal import PROPOSAL
from ledger.leaves.protocol import PROTOCOL
from ledger.leaves.registers import REGISTERS
from ledger.leaves.results import RESULTS
from ledger.leaves.run import RUN
from ledger.leaves.runs import RUNS
from ledger.leaves.seen import SEEN
from ledger.leaves.trades import TRADES
from ledger.leaves.turn import TURN
from ledger.leaves.undecided import UNDECIDED
from ledger.leaves.validators import VALIDATORS
from ledger.registry.entries import ENTITY_FAMILIES

_ALL: Final[tuple[Family[Any, Any], ...]] = (
    CHAIN, PROTOCOL, CONTRACTS, VALIDATORS, *ENTITY_FAMILIES.values(), DELIVERY, PROGRESS,
    REGISTERS, LATEST, INTERVALS, ORDERS, BOOK, PROFILES, PROFILE_SPAN, HELD, CLEARING, FILLS, TRADES, CLEARED, RUN, RUNS, POSITIONS, RESULTS,
    ACCOUNTS, BALANCE,
    PERIOD, PERIOD_AREAS,
    EXCEPTION, LATE, SEEN, PENDING, PROPOSAL, UNDECIDED, PERMISSIONS, TURN, CLOCK, OFFENCE, DISPUTE, DISPUTES, PAYMENTS,
)  # fmt: skip

FAMILIES: Final[Mapping[str, Family[Any, Any]]] = {family.name: family for family in _ALL}
"""First those that genesis brings into being, then those that blocks do."""
FOLLOWED_FAMILIES: Final = tuple(family for family in FAMILIES.values() if family.is_followed)
