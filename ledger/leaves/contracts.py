"""``contracts``: which code zones may name, from which height on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from gridcore.governance.contract import ApprovedContract
from ledger.leaves.family import Family, Value

CONTRACTS_MAX: Final = 256
"""Of one chain, for ever."""


class ContractsLeaf(NamedTuple):
    """approved: ascending by the bytes of their ids; those of genesis from height 0 on."""

    approved: Sequence[ApprovedContract]

    def find(self, contract: str) -> ApprovedContract | None:
        """A contract that is approved, from now or from later on; None for any other."""
        return next((known for known in self.approved if known.contract == contract), None)

    def added(self, contract: ApprovedContract) -> ContractsLeaf:
        """The leaf with one more."""
        return ContractsLeaf(sorted([*self.approved, contract], key=lambda known: known.contract.encode()))


def _key() -> str:
    return "contracts"


def _decode(approved: Sequence[Sequence[object]]) -> ContractsLeaf:
    return ContractsLeaf([ApprovedContract._make(known) for known in approved])


def _encode(record: ContractsLeaf) -> Value:
    return {"approved": [list(known) for known in record.approved]}


CONTRACTS: Final = Family("contracts", _key, _decode, _encode, is_provable=True)
