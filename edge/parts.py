"""What an agent is made of: everything that its configuration file names, loaded and checked before anything starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.batches import BatchMaker
from edge.clocks import BoundaryClock, LedgerBoundaries, WallBoundaries
from edge.config import EdgeConfig, load_device_profiles, load_profiles, profiles_digest
from edge.devices import build_devices
from edge.meters import MeterLine, build_lines
from edge.observing import Observer, check_size
from edge.outbox import OutboxState, check_owner, is_outbox_there, read_outbox
from edge.receipts import ReceiptTrust, load_receipt_trust
from gridcore.config import decode_config, read_config
from gridcore.errors import UsageError
from gridcore.secrets import SecretError
from gridcore.signers import open_signer
from gridcore.sm import Signer
from gridcore.sm3 import sm3
from ledger.client import Client


@dataclass(frozen=True, slots=True)
class AgentParts:
    """What an agent is made of, checked: configuration, key, whose receipts count, what its batches say of themselves, meters,
    and what it observes beside them.
    """

    config: EdgeConfig
    signer: Signer
    trust: ReceiptTrust
    maker: BatchMaker
    lines: tuple[MeterLine, ...]
    observer: Observer


def load_parts(path: Path, version: str) -> AgentParts:
    """Load everything that the configuration at ``path`` names, offline. The outbox itself is not opened.

    UsageError in one line for the first fault; it names the configuration file and the key.
    """
    data = read_config(path)  # once: what batches name as their configuration is what the agent runs with
    config = decode_config(data, EdgeConfig, source=path)
    with _naming(path):
        profiles = load_profiles(config)
        lines = build_lines(config.lines, config.meters, profiles)
        device_profiles = load_device_profiles(config)
        check_size(config.meters, config.devices, device_profiles)
        both = sorted(profiles.keys() & device_profiles.keys())
        if both:
            raise UsageError(f"device_profiles: {both[0]!r} is a meter's profile too; a batch names each id once")
        links, devices = build_devices(config.brokers, config.devices, device_profiles, client_id=config.gateway)
        trust = load_receipt_trust(config)
        signer = open_signer(config.key, config.key_password)
        _check_outbox_place(config.outbox)
    maker = BatchMaker(
        gateway=config.gateway,
        chain=config.chain,
        signer=signer,
        agent=f"gridledger/{version}"[:64],
        configuration=sm3(data),
        profiles=profiles_digest({**profiles, **device_profiles}),
    )
    observer = Observer(lines, links, devices, config.sampling)
    return AgentParts(config, signer, trust, maker, lines, observer)


def check_agent(path: Path, version: str) -> tuple[AgentParts, OutboxState | None]:
    """Check offline everything for which ``edge run`` would refuse the configuration at ``path``; nothing is changed.

    Returns the agent's parts and what stands in its outbox (None: there is none yet). UsageError as for ``load_parts``.
    """
    parts = load_parts(path, version)
    config = parts.config
    if not is_outbox_there(config.outbox):
        return parts, None
    with _naming(path):
        state = read_outbox(config.outbox)
        check_owner(config.outbox, state.progress, gateway=config.gateway, chain=config.chain)
        if not os.access(config.outbox, os.R_OK | os.W_OK):
            raise UsageError(f"outbox: {config.outbox}: is not ours to write; check its owner")
    return parts, state


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the configuration file (and, for a secret, its key) before the line of a UsageError."""
    try:
        yield
    except SecretError as error:
        raise UsageError(f"{path}: key_password: {error}") from None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _check_outbox_place(outbox: Path) -> None:
    """UsageError unless an outbox stands or can be made at ``outbox``."""
    if outbox.is_dir():
        raise UsageError(f"outbox: {outbox}: is a folder; name the file, such as {outbox / 'outbox.sqlite'}")
    if not outbox.parent.is_dir() or not os.access(outbox.parent, os.W_OK | os.X_OK):
        raise UsageError(f"outbox: {outbox}: cannot be made there; its folder must exist and be ours")


def node_client(config: EdgeConfig, signer_id: str, signer: Signer) -> Client:
    """The client to the configured node, which signs its queries as ``signer_id``."""
    timeout_s = config.submit.timeout_ms / 1000.0
    return Client(
        config.node,
        chain=config.chain,
        signer_id=signer_id,
        signer=signer,
        timeout_s=timeout_s,
        authority=config.node_authority,
    )


def boundary_clock(config: EdgeConfig, client: Client, on_answer: Callable[[], None]) -> BoundaryClock:
    """The clock that the configuration names. ``on_answer``: see ``LedgerBoundaries``."""
    first_s, last_s = config.first_boundary_s, config.last_boundary_s
    if config.clock == "wall":
        return WallBoundaries(config.sampling, first_s=first_s, last_s=last_s)
    return LedgerBoundaries(client, config.sampling, first_s=first_s, last_s=last_s, on_answer=on_answer)
