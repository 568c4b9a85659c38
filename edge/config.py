"""The agent's configuration: one TOML file (examples/edge.toml), and what it refers to: trust file, profiles, key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge.lines import LineConfig
from edge.links.broker import BrokerConfig
from edge.meters import MeterConfig, SamplePolicy, check_unique
from edge.readers.mqtt import DeviceConfig
from firmware_profiles import MqttProfile, Profile, ProfileLibrary, load_bundle, open_library
from gridcore import cbor
from gridcore.envelope import NAME
from gridcore.errors import UsageError
from gridcore.genesis import SLOT_S_CHOICES
from gridcore.serving.tls import TlsFiles
from gridcore.signers import SCHEMES
from gridcore.sm3 import sm3
from gridcore.transactions.readings import ROWS_MAX
from ledger.client import check_url

CLOCKS = ("wall", "ledger")
LINES_MAX = 256
METERS_MAX = ROWS_MAX
"""One batch holds all meters of a gateway."""
BROKERS_MAX = 16
MORE_NODES_MAX = 7
DEVICES_MAX = 1024
TRUST_BYTES_MAX = 1024 * 1024


DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much may wait on the gateway for its receipt. What is signed is never dropped: beyond a limit nothing more is signed
    until receipts make room (``edge.outbox``).
    """

    batches_max: int = field(default=20_000, metadata={"min": 1, "max": 1_000_000})
    bytes_max: int = field(default=512 * 1024 * 1024, metadata={"min": 4096, "max": 64 * 1024**3})
    age_s_max: int = field(default=400 * DAY_S, metadata={"min": DAY_S, "max": 3_660 * DAY_S})
    """How much older the oldest batch may be than the newest."""
    observations_percent: int = field(default=50, metadata={"min": 1, "max": 100})
    """From so much of a limit on, batches carry no observations: what bills needs the room."""
    receipts_max: int = field(default=10_000, metadata={"min": 1, "max": 1_000_000})
    """Verified receipts that are kept; the oldest go first."""


@dataclass(frozen=True, slots=True)
class RawWordsLimits:
    """How much of what meters sent is kept for ``edge replay`` (``edge.raw_words``); the oldest goes first."""

    bytes_max: int = field(default=64 * 1024 * 1024, metadata={"min": 256 * 1024, "max": 64 * 1024**3})
    """Of the file; its write-ahead log adds at most some MB."""
    age_s_max: int = field(default=400 * DAY_S, metadata={"min": DAY_S, "max": 3_660 * DAY_S})
    """How much older the oldest may be than the newest boundary."""


@dataclass(frozen=True, slots=True)
class SubmitPolicy:
    """How batches go to the node. Times in milliseconds."""

    batches_per_request: int = field(default=32, metadata={"min": 1, "max": 64})
    """A node holds at most 64 batches of a gateway ahead of their turn."""
    retry_ms_min: int = field(default=100, metadata={"min": 1, "max": 60_000})
    """Pause after the first failure; it doubles with each further one, with jitter."""
    retry_ms_max: int = field(default=60_000, metadata={"min": 1, "max": 3_600_000})
    report_s: int = field(default=900, metadata={"min": 0, "max": 86_400})
    """Seconds between two reports of the gateway to its nodes (``edge.reporting``); 0: none."""
    timeout_ms: int = field(default=30_000, metadata={"min": 100, "max": 600_000})
    """Silence of the node after which a request counts as failed."""


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """What ``gridledger edge run`` needs to know. Relative paths count from the folder of the file."""

    gateway: str = field(metadata={"min": 1, "max": 64})
    """The gateway's id on the ledger: whose registered key signs the batches."""
    chain: str = field(metadata={"min": 1, "max": 100})
    node: str = field(metadata={"min": 1, "max": 2000})
    """http://HOST:PORT or https://HOST:PORT"""
    trust: Path
    """trust.json: whose receipts count (docs/spec/bundle.md)."""
    key: str = field(metadata={"schemes": SCHEMES})
    outbox: Path
    """SQLite file of batches without a verified receipt."""
    lines: tuple[LineConfig, ...] = field(metadata={"min": 1, "max": LINES_MAX})
    meters: tuple[MeterConfig, ...] = field(metadata={"min": 1, "max": METERS_MAX})
    node_authority: Path | None = None
    """Certificates (PEM) that an https node is compared with; absent: those of this machine."""
    node_certificate: Path | None = None
    """What the gateway proves itself by to an https node, PEM; its common name is the gateway's id."""
    node_certificate_key: Path | None = None
    more_nodes: tuple[str, ...] = field(default=(), metadata={"max": MORE_NODES_MAX})
    """Nodes of the same chain that are asked where ``node`` does not answer."""
    key_password: str | None = field(default=None, metadata={"secret": True})
    counter_mark: str | None = field(default=None, metadata={"schemes": ("tpm2",)})
    """A counter in the TPM that shows an older copy of the outbox for what it is, such as tpm2:0x01800100."""
    clock: str = field(default="wall", metadata={"choices": CLOCKS})
    """"wall": this machine's clock; "ledger": the simulated time of the node, followed by long poll."""
    first_boundary_s: int = field(default=0, metadata={"min": 0})
    """No slot boundary before this one (UTC seconds) is sampled."""
    last_boundary_s: int | None = field(default=None, metadata={"min": 0})
    """After this boundary sampling is over (simulated worlds)."""
    status_port: int = field(default=0, metadata={"min": 0, "max": 65_535})
    """Where the status page listens on 127.0.0.1; 0: there is none."""
    profiles: Path | None = None
    """Folder of one's own profiles, beside those shipped or in the bundle."""
    profile_bundle: Path | None = None
    """Signed bundle of profiles in place of those shipped (docs/spec/profiles.md)."""
    profile_signer: str | None = field(default=None, metadata={"min": 130, "max": 130})
    """Public key (65 bytes in hex) by which the bundle has to be signed."""
    brokers: tuple[BrokerConfig, ...] = field(default=(), metadata={"max": BROKERS_MAX})
    devices: tuple[DeviceConfig, ...] = field(default=(), metadata={"max": DEVICES_MAX})
    """MQTT devices: they inform and bill nothing."""
    sampling: SamplePolicy = field(default_factory=SamplePolicy)
    submit: SubmitPolicy = field(default_factory=SubmitPolicy)
    outbox_limits: OutboxLimits = field(default_factory=OutboxLimits)
    raw_words: RawWordsLimits = field(default_factory=RawWordsLimits)

    def __post_init__(self) -> None:
        """Rules over several fields. UsageError names the key and what would be right."""
        if not NAME.fullmatch(self.gateway):
            raise UsageError(f"gateway = {self.gateway!r} is no id; use 1 to 64 of A-Z a-z 0-9 . _ -")
        self._check_nodes()
        if self.sampling.slot_s not in SLOT_S_CHOICES:
            choices = ", ".join(map(str, SLOT_S_CHOICES))
            raise UsageError(f"sampling.slot_s = {self.sampling.slot_s} is no slot length; choose one of {choices}")
        if self.sampling.window_ms >= self.sampling.slot_s * 1000:
            raise UsageError(
                f"sampling.window_ms = {self.sampling.window_ms} reaches the next boundary; "
                f"give less than {self.sampling.slot_s * 1000}"
            )
        for key, boundary_s in (("first_boundary_s", self.first_boundary_s), ("last_boundary_s", self.last_boundary_s)):
            if boundary_s is not None and boundary_s % self.sampling.slot_s:
                raise UsageError(f"{key} = {boundary_s} is no multiple of sampling.slot_s = {self.sampling.slot_s}")
        if self.last_boundary_s is not None and self.last_boundary_s < self.first_boundary_s:
            raise UsageError(
                f"last_boundary_s = {self.last_boundary_s} lies before first_boundary_s = {self.first_boundary_s}"
            )
        if self.submit.retry_ms_max < self.submit.retry_ms_min:
            raise UsageError("submit.retry_ms_max is less than submit.retry_ms_min; give at least as much")
        if (self.profile_bundle is None) != (self.profile_signer is None):
            raise UsageError("profile_bundle and profile_signer go together; give both, or neither")
        self._check_devices()

    @property
    def nodes(self) -> tuple[str, ...]:
        """``node`` and ``more_nodes``."""
        return (self.node, *self.more_nodes)

    @property
    def own_tls(self) -> TlsFiles | None:
        """What the gateway proves itself by to its nodes."""
        if self.node_certificate is None or self.node_certificate_key is None:
            return None
        return TlsFiles(self.node_certificate, self.node_certificate_key)

    def _check_nodes(self) -> None:
        """Rules over where the nodes are and what the gateway proves itself by."""
        for url in self.nodes:
            parts = check_url(url)
            if self.node_certificate is not None and parts.scheme != "https":
                raise UsageError(f"node_certificate: {url} would be sent to without it, in the clear; write https://")
            if self.node_authority is not None and parts.scheme != "https":
                raise UsageError(f"node_authority: {url} would be compared with none, in the clear; write https://")
        check_unique("node and more_nodes: URL", [url.rstrip("/") for url in self.nodes])
        if (self.node_certificate is None) != (self.node_certificate_key is None):
            raise UsageError("node_certificate and node_certificate_key go together; give both or none")

    def _check_devices(self) -> None:
        """Rules over the tables of brokers and devices."""
        check_unique("brokers: broker", [row.broker for row in self.brokers])
        check_unique("brokers: host:port", [f"{row.host}:{row.port}" for row in self.brokers])
        check_unique("devices: device", [row.device for row in self.devices])
        check_unique("devices: broker and address", [f"{row.broker}/{row.address}" for row in self.devices])
        numbers = [row.number for row in self.meters] + [row.number for row in self.devices]
        check_unique("meters and devices: number", [str(number) for number in numbers])
        known = [row.broker for row in self.brokers]
        for row in self.devices:
            if row.broker not in known:
                raise UsageError(
                    f"devices: device {row.device!r} is on broker {row.broker!r}; brokers are {', '.join(known) or 'none'}"
                )
        unused = set(known) - {row.broker for row in self.devices}
        if unused:
            raise UsageError(f"brokers: no device is on broker {min(unused)!r}; leave it out, or give it one")


def open_profiles(config: EdgeConfig) -> ProfileLibrary:
    """All profiles that the configuration may name. UsageError for a bundle that its signer has not signed, for an id given twice."""
    bundle = None
    if config.profile_bundle is not None and config.profile_signer is not None:
        try:
            key = bytes.fromhex(config.profile_signer)
        except ValueError:
            raise UsageError("profile_signer is no public key; write its 65 bytes as 130 hexadecimal digits") from None
        bundle = load_bundle(config.profile_bundle, key)
    return open_library(config.profiles, bundle)


def load_profiles(config: EdgeConfig, library: ProfileLibrary) -> dict[str, Profile]:
    """The profiles that the meter table names, by id. ProfileError (a UsageError) for one that is unknown, bad, or does not bill."""
    profiles = {profile_id: library.load(profile_id) for profile_id in sorted({row.profile for row in config.meters})}
    for profile_id, profile in profiles.items():
        if not profile.billing:
            raise UsageError(
                f"meters: profile {profile_id!r} informs only (it has no billing registers); choose one that bills"
            )
    return profiles


def load_device_profiles(config: EdgeConfig, library: ProfileLibrary) -> dict[str, MqttProfile]:
    """The profiles that the table of devices names, by id. ProfileError (a UsageError) for an unknown or bad one."""
    ids = sorted({row.profile for row in config.devices})
    return {profile_id: library.load(profile_id, kind=MqttProfile) for profile_id in ids}


def profiles_digest(profiles: Mapping[str, Profile], bundle: bytes = b"") -> bytes:
    """SM3 of canonical ``[[profile id, SM3 of the profile file], ...]`` sorted by id (docs/spec/batch.md).

    ``bundle``: SM3 of the manifest of the signed bundle that they come from; it stands before them under an empty id.
    """
    named: list[cbor.Value] = [[profile_id, profiles[profile_id].digest] for profile_id in sorted(profiles)]
    return sm3(cbor.encode([["", bundle], *named] if bundle else named))
