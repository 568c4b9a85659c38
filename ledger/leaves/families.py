"""All families of leaves, by name: a new one is its file and its line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ledger.leaves.account import ACCOUNT
from ledger.leaves.area import AREA
from ledger.leaves.balance import BALANCE
from ledger.leaves.book import BOOK
from ledger.leaves.calendar import CALENDAR
from ledger.leaves.chain import CHAIN
from ledger.leaves.clearing import CLEARING
from ledger.leaves.exception import EXCEPTION
from ledger.leaves.family import Family
from ledger.leaves.fills import FILLS
from ledger.leaves.gateway import GATEWAY
from ledger.leaves.installation import INSTALLATION
from ledger.leaves.latest import LATEST
from ledger.leaves.ledger_time import TIME
from ledger.leaves.party import PARTY
from ledger.leaves.positions import POSITIONS
from ledger.leaves.progress import PROGRESS
from ledger.leaves.registers import REGISTERS
from ledger.leaves.rules import RULES
from ledger.leaves.run import RUN
from ledger.leaves.seen import SEEN
from ledger.leaves.signer import SIGNER

_GENESIS: Final = (CHAIN, TIME, SIGNER, GATEWAY, PARTY, AREA, CALENDAR, RULES, INSTALLATION, PROGRESS)
_WRITTEN: Final = (
    REGISTERS, LATEST, BOOK, CLEARING, FILLS, RUN, POSITIONS, ACCOUNT, BALANCE, EXCEPTION, SEEN,
)  # fmt: skip

FAMILIES: Final[Mapping[str, Family[Any, Any]]] = {family.name: family for family in (*_GENESIS, *_WRITTEN)}
"""First those that genesis holds, then those that blocks bring into being."""
GENESIS_FAMILIES: Final[Mapping[str, Family[Any, Any]]] = {family.name: family for family in _GENESIS}
FOLLOWED_FAMILIES: Final = tuple(family for family in FAMILIES.values() if family.is_followed)
