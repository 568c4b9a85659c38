"""The contracts that this program has, by id, and the pins that a genesis names them by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.contract import Contract
from settlement.contracts import p2p_call_auction_1
from settlement.pin import contract_pin

_KNOWN: Final[tuple[Contract, ...]] = (p2p_call_auction_1.CONTRACT,)
CONTRACTS: Final[Mapping[str, Contract]] = {contract.contract_id: contract for contract in _KNOWN}


def pins() -> dict[str, bytes]:
    """The pin of each contract: the digest over its source files (``settlement.pin``), 32 bytes."""
    return {contract_id: contract_pin(contract_id) for contract_id in CONTRACTS}
