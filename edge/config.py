"""The agent's configuration: one TOML file (examples/edge.toml), and what it refers to: trust file, profiles, key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge.devices import DeviceConfig
from edge.drivers.modbus import LineConfig
from edge.drivers.mqtt import BrokerConfig
from edge.meters import MeterConfig, SamplePolicy, check_unique
from firmware_profiles import DeviceProfile, Profile, load_device_profile, load_profile
from gridcore import cbor
from gridcore.envelope import NAME
from gridcore.errors import UsageError
from gridcore.genesis import SLOT_S_CHOICES
from gridcore.signers import SCHEMES
from gridcore.sm3 import sm3
from gridcore.transactions.readings import ROWS_MAX
from ledger.client import check_url

CLOCKS = ("wall", "ledger")
LINES_MAX = 256
METERS_MAX = ROWS_MAX
"""One batch holds all meters of a gateway."""
BROKERS_MAX = 16
DEVICES_MAX = 1024
TRUST_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much may wait on the gateway for its receipt. Beyond, nothing is dropped: sampling is held and an alarm raised."""

    batches_max: int = field(default=20_000, metadata={"min": 1, "max": 1_000_000})
    bytes_max: int = field(default=512 * 1024 * 1024, metadata={"min": 4096, "max": 64 * 1024**3})


@dataclass(frozen=True, slots=True)
class SubmitPolicy:
    """How batches go to the node. Times in milliseconds."""

    batches_per_request: int = field(default=32, metadata={"min": 1, "max": 64})
    """A node holds at most 64 batches of a gateway ahead of their turn."""
    retry_ms_min: int = field(default=100, metadata={"min": 1, "max": 60_000})
    """Pause after the first failure; it doubles with each further one, with jitter."""
    retry_ms_max: int = field(default=60_000, metadata={"min": 1, "max": 3_600_000})
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
    key_password: str | None = field(default=None, metadata={"secret": True})
    clock: str = field(default="wall", metadata={"choices": CLOCKS})
    """"wall": this machine's clock; "ledger": the simulated time of the node, followed by long poll."""
    first_boundary_s: int = field(default=0, metadata={"min": 0})
    """No slot boundary before this one (UTC seconds) is sampled."""
    last_boundary_s: int | None = field(default=None, metadata={"min": 0})
    """After this boundary sampling is over (simulated worlds)."""
    profiles: Path | None = None
    """Folder of firmware profiles; absent: those shipped."""
    brokers: tuple[BrokerConfig, ...] = field(default=(), metadata={"max": BROKERS_MAX})
    devices: tuple[DeviceConfig, ...] = field(default=(), metadata={"max": DEVICES_MAX})
    """MQTT devices: they inform and bill nothing."""
    device_profiles: Path | None = None
    """Folder of profiles of MQTT devices; absent: those shipped."""
    sampling: SamplePolicy = field(default_factory=SamplePolicy)
    submit: SubmitPolicy = field(default_factory=SubmitPolicy)
    outbox_limits: OutboxLimits = field(default_factory=OutboxLimits)

    def __post_init__(self) -> None:
        """Rules over several fields. UsageError names the key and what would be right."""
        if not NAME.fullmatch(self.gateway):
            raise UsageError(f"gateway = {self.gateway!r} is no id; use 1 to 64 of A-Z a-z 0-9 . _ -")
        check_url(self.node)
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
        self._check_devices()

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


def load_profiles(config: EdgeConfig) -> dict[str, Profile]:
    """The firmware profiles that the meter table names, by id. ProfileError (a UsageError) for an unknown or bad one."""
    return {
        profile_id: load_profile(profile_id, config.profiles)
        for profile_id in sorted({meter.profile for meter in config.meters})
    }


def load_device_profiles(config: EdgeConfig) -> dict[str, DeviceProfile]:
    """The profiles that the table of devices names, by id. ProfileError (a UsageError) for an unknown or bad one."""
    return {
        profile_id: load_device_profile(profile_id, config.device_profiles)
        for profile_id in sorted({row.profile for row in config.devices})
    }


def profiles_digest(profiles: Mapping[str, Profile | DeviceProfile]) -> bytes:
    """SM3 of canonical ``[[profile id, SM3 of the profile file], ...]`` sorted by id (docs/spec/batch.md)."""
    return sm3(cbor.encode([[profile_id, profiles[profile_id].digest] for profile_id in sorted(profiles)]))
