"""Accounts that the components of a tariff may charge to without anybody having said so before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from settlement.catalogue import CATALOGUE

TARIFF_ACCOUNTS: Final = ("funds", "grid")
"""Who receives what tariffs charge, beside the accounts of the contracts: public funds and whoever runs the grid."""


def known_accounts(own: Iterable[str] = ()) -> list[str]:
    """These, those of every contract, and somebody's own, ascending."""
    of_contracts = {account for entry in CATALOGUE.values() for account in entry.contract.accounts}
    return sorted({*own, *TARIFF_ACCOUNTS, *of_contracts})
