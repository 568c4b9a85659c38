"""What a chain starts from, as far as blocks need it: its name, its clock, the header of genesis and who signs the first block."""

from __future__ import annotations

from dataclasses import dataclass

from gridcore.genesis import Genesis
from gridcore.header import Header, genesis_header


@dataclass(frozen=True)
class Origin:
    """A genesis without its registry.

    clock: what moves ledger time (``gridcore.genesis.CLOCKS``); header: of height 0; signers: (public key, power) of those who
    certify, ascending by key.
    """

    clock: str
    header: Header
    signers: tuple[tuple[bytes, int], ...]

    @classmethod
    def of(cls, genesis: Genesis, state_root: bytes) -> Origin:
        """The origin of a genesis that ``check_genesis`` has passed. state_root: over its leaves."""
        return cls(genesis.clock, genesis_header(genesis, state_root), tuple(genesis.signers))

    @property
    def chain(self) -> str:
        """The chain id."""
        return self.header.chain
