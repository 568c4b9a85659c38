"""The contracts of this program, by id: one line each. What a contract declares and computes stands in its own folder.

A folder ``contracts/<name>_<version>/`` holds the code, which its pin covers together with its kit, and ``texts.toml``: what
people read about its line kinds, accounts and prices. Adding a contract is a folder and a line here (docs/contracts.md).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ledger.contract import Contract, LineWords, Vocabulary
from settlement.contracts import (
    bilateral_agreements_1,
    bill_sharing_1,
    conditional_bid_1,
    continuous_double_auction_1,
    continuous_double_auction_2,
    grid_fee_path_1,
    grid_fee_path_2,
    mid_market_rate_1,
    p2p_call_auction_1,
    p2p_call_auction_2,
    pay_as_bid_1,
    pay_as_bid_2,
    schedules_and_deviations_1,
    sharing_keys_1,
    supply_demand_ratio_1,
    trade_reduction_1,
)
from settlement.errors import SettlementError
from settlement.pin import pin_of

_ROOT: Final = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Entry:
    """One contract, and what it is built from: folders from the settlement package's on, its kits and the contracts whose code it takes.

    words_of: the contract, by id, whose words it has beside those of its own ``texts.toml``; "" where all are its own.
    """

    contract: Contract
    builds_on: tuple[str, ...] = ("contract_kit_1",)
    words_of: str = ""

    @property
    def folder(self) -> Path:
        """Where its code is, from the settlement package's folder on."""
        return _folder_of(self.contract.contract_id)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What people read about it, by language."""
        ids = [contract_id for contract_id in (self.words_of, self.contract.contract_id) if contract_id]
        files = [_ROOT / _folder_of(contract_id) / "texts.toml" for contract_id in ids]
        texts: dict[str, Any] = {}
        for file in files:
            texts |= tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
        kinds = {kind: LineWords(**words) for kind, words in texts["line_kinds"].items()}
        return Vocabulary(kinds, texts["accounts"], texts["prices"], texts.get("not_checked", ()))


def _folder_of(contract_id: str) -> Path:
    return Path("contracts", contract_id.replace("/", "_"))


def _later(contract: Contract, words_of: str, *contracts: str) -> Entry:
    """A later version: it takes code of both kits and of pinned contracts, by id, and has the words of the one before it."""
    return Entry(contract, ("contract_kit_1", "contract_kit_2", *(str(_folder_of(of)) for of in contracts)), words_of)


CATALOGUE: Final[Mapping[str, Entry]] = {
    entry.contract.contract_id: entry
    for entry in (
        Entry(p2p_call_auction_1.CONTRACT),
        Entry(pay_as_bid_1.CONTRACT),
        Entry(continuous_double_auction_1.CONTRACT),
        Entry(mid_market_rate_1.CONTRACT),
        Entry(supply_demand_ratio_1.CONTRACT),
        Entry(bill_sharing_1.CONTRACT),
        Entry(sharing_keys_1.CONTRACT),
        Entry(bilateral_agreements_1.CONTRACT),
        Entry(schedules_and_deviations_1.CONTRACT),
        Entry(trade_reduction_1.CONTRACT),
        Entry(conditional_bid_1.CONTRACT),
        Entry(grid_fee_path_1.CONTRACT),
        _later(p2p_call_auction_2.CONTRACT, "p2p_call_auction/1", "p2p_call_auction/1"),
        _later(pay_as_bid_2.CONTRACT, "pay_as_bid/1", "pay_as_bid/1"),
        _later(continuous_double_auction_2.CONTRACT, "continuous_double_auction/1", "continuous_double_auction/1"),
        _later(grid_fee_path_2.CONTRACT, "grid_fee_path/1", "grid_fee_path/1", "pay_as_bid/1"),
    )
}
CONTRACTS: Final[Mapping[str, Contract]] = {contract_id: entry.contract for contract_id, entry in CATALOGUE.items()}
"""What the ledger is given."""


def contract_pin(contract_id: str, root: Path = _ROOT) -> bytes:
    """The pin (32 bytes) of a contract; ``root`` is the settlement package's folder. SettlementError for an unknown id."""
    entry = CATALOGUE.get(contract_id)
    if entry is None:
        raise SettlementError(f"no contract {contract_id!r} in this build; it has {', '.join(sorted(CATALOGUE))}")
    return pin_of([root / entry.folder, *(root / folder for folder in entry.builds_on)], root)


@cache
def pins() -> Mapping[str, bytes]:
    """The pin of each contract, as a genesis names it: of the code as it was when this process first asked."""
    return MappingProxyType({contract_id: contract_pin(contract_id) for contract_id in CATALOGUE})
