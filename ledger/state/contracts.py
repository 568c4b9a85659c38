"""Which contract a slot belongs to: the version that was in force when its gate opened, from clearing to the last run."""

from __future__ import annotations

from collections.abc import Mapping

from gridcore.errors import broken
from ledger.contract import Contract
from ledger.leaves.area import AREA
from ledger.leaves.clearing import CLEARING
from ledger.state.draft import Draft


def contract_at_gate(draft: Draft, contracts: Mapping[str, Contract], area: str) -> Contract:
    """The contract in force when a gate of the area opened, which clears it. An area names one, at every instant."""
    return _known(contracts, AREA.must(draft, area).contract, area)


def contract_of_slot(draft: Draft, contracts: Mapping[str, Contract], area: str, slot_start_s: int) -> Contract:
    """The contract that a cleared slot is settled by: the one that its clearing names, whatever the area names by now."""
    return _known(contracts, CLEARING.must(draft, area, slot_start_s).contract, area)


def _known(contracts: Mapping[str, Contract], contract_id: str, area: str) -> Contract:
    contract = contracts.get(contract_id)
    return contract if contract is not None else broken(f"this node has contract {contract_id} of area {area}")
