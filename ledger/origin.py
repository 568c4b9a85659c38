"""What a chain starts from, as far as blocks need it: its name, its clock, the signers of its first header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gridcore.genesis import genesis_digest
from ledger.genesis import signer_set


@dataclass(frozen=True)
class Origin:
    """A genesis without its leaves.

    chain: chain id; digest: S_0; is_simulated: ledger time moves by clock/advance alone, else it is block time; ledger_time_s:
    UTC seconds before the first block; signers: (public key, power) of those who certify, ascending by key.
    """

    chain: str
    digest: bytes
    is_simulated: bool
    ledger_time_s: int
    signers: tuple[tuple[bytes, int], ...]

    @classmethod
    def of(cls, genesis: Mapping[str, Any]) -> Origin:
        """The origin of a genesis that ``check_genesis`` has passed."""
        return cls(
            chain=genesis["chain"],
            digest=genesis_digest(genesis),
            is_simulated=genesis["clock"] == "simulated",
            ledger_time_s=genesis["ledger_time_s"],
            signers=tuple(signer_set(genesis)),
        )
