"""What an agent is made of: everything that its configuration file names, loaded and checked before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.batches import BatchMaker
from edge.clocks import BoundaryClock, LedgerBoundaries, WallBoundaries
from edge.config import EdgeConfig, load_profiles, load_trust, profiles_digest
from edge.meters import MeterLine, build_lines
from gridcore.config import decode_config, read_config
from gridcore.header import Signers
from gridcore.signers import open_signer
from gridcore.sm import Signer
from gridcore.sm3 import sm3
from ledger.client import Client


@dataclass(frozen=True, slots=True)
class AgentParts:
    """What an agent is made of, checked: configuration, key, trusted signers, what its batches say of themselves, meters."""

    config: EdgeConfig
    signer: Signer
    trust: Signers
    maker: BatchMaker
    lines: tuple[MeterLine, ...]


def load_parts(path: Path, version: str) -> AgentParts:
    """Load everything that the configuration at ``path`` names, offline. UsageError in one line for the first fault."""
    data = read_config(path)  # once: what batches name as their configuration is what the agent runs with
    config = decode_config(data, EdgeConfig, source=path)
    profiles = load_profiles(config)
    lines = build_lines(config.lines, config.meters, profiles)
    trust = load_trust(config)
    signer = open_signer(config.key, config.key_password)
    maker = BatchMaker(
        gateway=config.gateway,
        chain=config.chain,
        signer=signer,
        agent=f"gridledger/{version}"[:64],
        configuration=sm3(data),
        profiles=profiles_digest(profiles),
    )
    return AgentParts(config, signer, trust, maker, lines)


def node_client(config: EdgeConfig, signer_id: str, signer: Signer) -> Client:
    """The client to the configured node, which signs its queries as ``signer_id``."""
    timeout_s = config.submit.timeout_ms / 1000.0
    return Client(config.node, chain=config.chain, signer_id=signer_id, signer=signer, timeout_s=timeout_s)


def boundary_clock(config: EdgeConfig, client: Client, on_answer: Callable[[], None]) -> BoundaryClock:
    """The clock that the configuration names. ``on_answer``: see ``LedgerBoundaries``."""
    first_s, last_s = config.first_boundary_s, config.last_boundary_s
    if config.clock == "wall":
        return WallBoundaries(config.sampling, first_s=first_s, last_s=last_s)
    return LedgerBoundaries(client, config.sampling, first_s=first_s, last_s=last_s, on_answer=on_answer)
