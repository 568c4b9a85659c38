"""What an agent is made of: everything that its configuration file names, loaded and checked before anything starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.batches import BatchMaker
from edge.clocks import BoundaryClock, LedgerBoundaries, LedgerTime, WallBoundaries
from edge.config import EdgeConfig, load_device_profiles, load_profiles, open_profiles, profiles_digest
from edge.meters import MeterLine, build_lines
from edge.observing import Observer, check_size
from edge.outbox_file import OutboxState, check_owner, is_outbox_there, read_outbox
from edge.raw_words import ProfileVersion
from edge.readers.mqtt import build_devices
from edge.receipts import ReceiptTrust, load_receipt_trust
from gridcore.config import decode_config, read_config
from gridcore.errors import UsageError
from gridcore.secrets import SecretError, check_private_file
from gridcore.serving.tls import TlsFiles, check_tls
from gridcore.signers import open_signer
from gridcore.sm import Signer
from gridcore.sm3 import sm3


@dataclass(frozen=True, slots=True)
class FieldParts:
    """What a running agent can be given anew, checked: the meters and devices, and by what batches name configuration and
    profiles (digests). ``observed``: all that the links to brokers depend on; while it is equal they may go on.
    """

    config: EdgeConfig
    configuration: bytes
    profiles: bytes
    lines: tuple[MeterLine, ...]
    observer: Observer
    versions: Mapping[int, ProfileVersion]
    observed: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class AgentParts:
    """What an agent is made of, checked: configuration, key, whose receipts count, what its batches say of themselves, and its
    meters and devices.
    """

    config: EdgeConfig
    signer: Signer
    trust: ReceiptTrust
    maker: BatchMaker
    field: FieldParts


def load_parts(path: Path, version: str) -> AgentParts:
    """Load everything that the configuration at ``path`` names, offline. The outbox itself is not opened.

    UsageError in one line for the first fault; it names the configuration file and the key.
    """
    field = load_field(path)
    config = field.config
    with _naming(path):
        trust = load_receipt_trust(config)
        signer = open_signer(config.key, config.key_password)
        _check_outbox_place(config.outbox)
        if config.own_tls is not None:
            _check_own_tls(config.own_tls)
    maker = BatchMaker(
        gateway=config.gateway,
        chain=config.chain,
        signer=signer,
        agent=f"gridledger/{version}"[:64],
        configuration=field.configuration,
        profiles=field.profiles,
    )
    return AgentParts(config, signer, trust, maker, field)


def load_field(path: Path) -> FieldParts:
    """Load the meters and devices that the configuration at ``path`` names, offline. UsageError as for ``load_parts``."""
    data = read_config(path)  # once: what batches name as their configuration is what the agent runs with
    config = decode_config(data, EdgeConfig, source=path)
    with _naming(path):
        library = open_profiles(config)
        profiles = load_profiles(config, library)
        lines = build_lines(config.lines, config.meters, profiles)
        device_profiles = load_device_profiles(config, library)
        check_size(config.meters, config.devices, device_profiles)
        links, devices = build_devices(config.brokers, config.devices, device_profiles, client_id=config.gateway)
    digests = tuple(sorted((profile_id, profile.digest) for profile_id, profile in device_profiles.items()))
    return FieldParts(
        config,
        sm3(data),
        profiles_digest({**profiles, **device_profiles}, library.bundle),
        lines,
        Observer(lines, links, devices, config.sampling),
        {row.number: ProfileVersion(row.profile, profiles[row.profile].digest) for row in config.meters},
        (config.brokers, config.devices, digests),
    )


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
    """Put the configuration file (and, for a secret, its key) before the line of a UsageError, also of what the system refuses."""
    try:
        yield
    except SecretError as error:
        raise UsageError(f"{path}: key_password: {error}") from None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    except OSError as error:  # such as a folder that this user may not look into
        raise UsageError(f"{path}: {error.filename}: {error.strerror}") from None


def _check_own_tls(files: TlsFiles) -> None:
    """UsageError unless the gateway's connections have a certificate and its key, which nobody else may read."""
    try:
        check_private_file(files.key)
    except SecretError as error:
        raise UsageError(f"node_certificate_key: {error}") from None
    check_tls(files)


def _check_outbox_place(outbox: Path) -> None:
    """UsageError unless an outbox stands or can be made at ``outbox``."""
    if outbox.is_dir():
        raise UsageError(f"outbox: {outbox}: is a folder; name the file, such as {outbox / 'outbox.sqlite'}")
    if not outbox.parent.is_dir() or not os.access(outbox.parent, os.W_OK | os.X_OK):
        raise UsageError(f"outbox: {outbox}: cannot be made there; its folder must exist and be ours")


def boundary_clock(config: EdgeConfig, client: LedgerTime, on_answer: Callable[[], None]) -> BoundaryClock:
    """The clock that the configuration names. ``on_answer``: see ``LedgerBoundaries``."""
    first_s, last_s = config.first_boundary_s, config.last_boundary_s
    if config.clock == "wall":
        return WallBoundaries(config.sampling, first_s=first_s, last_s=last_s)
    return LedgerBoundaries(client, config.sampling, first_s=first_s, last_s=last_s, on_answer=on_answer)
