"""What a chain starts from, as far as blocks need it: its name, its clock, the header of genesis and who signs the first block."""

from __future__ import annotations

from dataclasses import dataclass

from gridcore.genesis import Genesis
from gridcore.header import Header, genesis_header
from gridcore.validator import Validator, powers_of


@dataclass(frozen=True)
class Origin:
    """A genesis without its registry.

    clock: what moves ledger time (``gridcore.genesis.CLOCKS``); header: of height 0; validators: those who certify header 1,
    ascending by public key.
    """

    clock: str
    header: Header
    validators: tuple[Validator, ...]

    @classmethod
    def of(cls, genesis: Genesis, state_root: bytes) -> Origin:
        """The origin of a genesis that ``check_genesis`` has passed. state_root: over its leaves."""
        return cls(genesis.clock, genesis_header(genesis, state_root), tuple(genesis.validators))

    @property
    def signers(self) -> tuple[tuple[bytes, int], ...]:
        """(public key, power) of each validator."""
        return powers_of(self.validators)

    @property
    def has_consensus(self) -> bool:
        """Whether a consensus engine decides blocks, so that their certificates come later; else one node does both."""
        return self.validators[0].consensus_key != b""

    @property
    def chain(self) -> str:
        """The chain id."""
        return self.header.chain
