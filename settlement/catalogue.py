"""The contracts of this program, by id: one line each. What a contract declares and computes stands in its own folder.

A folder ``contracts/<name>_<version>/`` holds the code, which its pin covers together with its kit, and ``texts.toml``: what
people read about its line kinds, accounts and prices. Adding a contract is a folder and a line here (docs/contracts.md).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from ledger.contract import Contract, LineWords, Vocabulary
from settlement.contracts import (
    bilateral_agreements_1,
    bill_sharing_1,
    conditional_bid_1,
    continuous_double_auction_1,
    grid_fee_path_1,
    mid_market_rate_1,
    p2p_call_auction_1,
    pay_as_bid_1,
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
    """One contract, and the kit that it is built from (its folder's name)."""

    contract: Contract
    kit: str

    @property
    def folder(self) -> Path:
        """Where its code and texts are, from the settlement package's folder on."""
        return Path("contracts", self.contract.contract_id.replace("/", "_"))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What people read about it, by language."""
        texts = tomllib.loads((_ROOT / self.folder / "texts.toml").read_text("utf-8"))
        kinds = {kind: LineWords(**words) for kind, words in texts["line_kinds"].items()}
        return Vocabulary(kinds, texts["accounts"], texts["prices"], texts.get("not_checked", ()))


CATALOGUE: Final[Mapping[str, Entry]] = {
    entry.contract.contract_id: entry
    for entry in (
        Entry(p2p_call_auction_1.CONTRACT, "contract_kit_1"),
        Entry(pay_as_bid_1.CONTRACT, "contract_kit_1"),
        Entry(continuous_double_auction_1.CONTRACT, "contract_kit_1"),
        Entry(mid_market_rate_1.CONTRACT, "contract_kit_1"),
        Entry(supply_demand_ratio_1.CONTRACT, "contract_kit_1"),
        Entry(bill_sharing_1.CONTRACT, "contract_kit_1"),
        Entry(sharing_keys_1.CONTRACT, "contract_kit_1"),
        Entry(bilateral_agreements_1.CONTRACT, "contract_kit_1"),
        Entry(schedules_and_deviations_1.CONTRACT, "contract_kit_1"),
        Entry(trade_reduction_1.CONTRACT, "contract_kit_1"),
        Entry(conditional_bid_1.CONTRACT, "contract_kit_1"),
        Entry(grid_fee_path_1.CONTRACT, "contract_kit_1"),
    )
}
CONTRACTS: Final[Mapping[str, Contract]] = {contract_id: entry.contract for contract_id, entry in CATALOGUE.items()}
"""What the ledger is given."""


def contract_pin(contract_id: str, root: Path = _ROOT) -> bytes:
    """The pin (32 bytes) of a contract; ``root`` is the settlement package's folder. SettlementError for an unknown id."""
    entry = CATALOGUE.get(contract_id)
    if entry is None:
        raise SettlementError(f"no contract {contract_id!r} in this build; it has {', '.join(sorted(CATALOGUE))}")
    return pin_of((root / entry.folder, root / entry.kit), root)


def pins() -> dict[str, bytes]:
    """The pin of each contract, as a genesis names it."""
    return {contract_id: contract_pin(contract_id) for contract_id in CATALOGUE}
