"""The file from which ``gridledger genesis new`` founds a chain (``example.toml`` beside this module explains every key)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

from edge.lines import LineConfig
from edge.meters import MeterConfig as MeterRow
from edge.meters import check_unique
from edge.readers import UNIT_ID_MAX
from firmware_profiles import load_profile
from gridcore.errors import UsageError
from gridcore.genesis import BLOCK_TIME, SLOT_S_CHOICES
from gridcore.registry.installation import MODULUS_WH_MAX, NUMBER_MAX, PRIMARY_LIMIT_WH_MAX, RATIO_MAX, REGISTER_WH_MAX
from gridcore.registry.point import POINT, POINT_ROLES, Point
from gridcore.registry.zone import FINAL_S_MAX, GAP_SLOTS_MAX, SPAN_S_MAX
from gridledger.founding.organisations import SIGNER_ROLES
from gridledger.founding.runs_config import RunsConfig
from ledger.config import PORT_DEFAULT as NODE_PORT_DEFAULT

EXAMPLE: Final = Path(__file__).with_name("example.toml")
CLOCKS: Final = (BLOCK_TIME, "simulated")
YEARS_MAX: Final = 50
PAGES_PORT_DEFAULT: Final = 7080
_NAME: Final = {"min": 1, "max": 64}
_PORT: Final = {"min": 1, "max": 65_535}
_SPAN: Final = {"min": 0, "max": SPAN_S_MAX}


@dataclass(frozen=True)
class ListenConfig:
    """Where the node and its pages will answer. Plain HTTP: one machine, or a proxy with TLS before it. ``gateways_port``: gateways
    come in by mutual TLS there, with certificates that are made for them; absent: by plain HTTP as everybody.
    """

    host: str = field(default="127.0.0.1", metadata={"min": 1, "max": 255})
    node_port: int = field(default=NODE_PORT_DEFAULT, metadata=_PORT)
    pages_port: int = field(default=PAGES_PORT_DEFAULT, metadata=_PORT)
    gateways_port: int | None = field(default=None, metadata=_PORT)


@dataclass(frozen=True)
class CalendarConfig:
    """Local days and months. ``years``: how many from the first slot on are known."""

    time_zone: str = field(metadata=_NAME)
    years: int = field(default=10, metadata={"min": 1, "max": YEARS_MAX})

    def __post_init__(self) -> None:
        """UsageError for a zone that this machine does not know."""
        try:
            ZoneInfo(self.time_zone)
        except (OSError, ValueError, KeyError):  # a folder, a path, a name that is not there
            raise UsageError(
                f"time_zone = {self.time_zone!r} is no time zone known here; give one such as 'Asia/Shanghai'"
            ) from None


@dataclass(frozen=True)
class TimelineConfig:
    """Slots and what happens around each, in seconds. ``first_slot_start_s``: None for the second slot from now; ``final_after_s``: None for never.

    gap_slots_max, runs_follow_points, part_slots_are_measured, profiles_have_conditions: see ``gridcore.registry.zone.Zone``.
    """

    slot_s: int = field(default=900, metadata={"choices": SLOT_S_CHOICES})
    first_slot_start_s: int | None = field(default=None, metadata={"min": SPAN_S_MAX})
    open_before_start_s: int = field(default=86_400, metadata=_SPAN)
    gate_before_start_s: int = field(default=300, metadata=_SPAN)
    metering_deadline_s: int = field(default=900, metadata=_SPAN)
    final_after_s: int | None = field(default=None, metadata={"min": 0, "max": FINAL_S_MAX})
    gap_slots_max: int = field(default=GAP_SLOTS_MAX, metadata={"min": 1, "max": GAP_SLOTS_MAX})
    runs_follow_points: bool = True
    part_slots_are_measured: bool = True
    profiles_have_conditions: bool = True


@dataclass(frozen=True)
class MarketConfig:
    """The terms of the call auction."""

    reference_price_micro_per_kwh: int
    rationing: str


@dataclass(frozen=True)
class MeterConfig:
    """A meter, the point at which it hangs, and the party that is billed there (None: nobody, a feeder).

    limit_wh, modulus_wh: of the register, before ``ratio``; first_import_wh, first_export_wh: what it shows now; unit_id, address:
    its place on a Modbus line, or on one of DL/T 645; exchange_area: of a border with role exchange the area on the other side.
    """

    number: int = field(metadata={"min": 0, "max": NUMBER_MAX})
    meter: str = field(metadata=_NAME)
    point: str = field(metadata=_NAME)
    line: str = field(metadata=_NAME)
    profile: str = field(metadata=_NAME)
    limit_wh: int = field(metadata={"min": 1, "max": PRIMARY_LIMIT_WH_MAX})
    first_import_wh: int = field(metadata={"min": 0, "max": REGISTER_WH_MAX})
    first_export_wh: int = field(metadata={"min": 0, "max": REGISTER_WH_MAX})
    role: str = field(default="household", metadata={"choices": POINT_ROLES})
    exchange_area: str | None = field(default=None, metadata=_NAME)
    party: str | None = field(default=None, metadata=_NAME)
    trades: bool = False
    modulus_wh: int = field(default=0, metadata={"min": 0, "max": MODULUS_WH_MAX})
    ratio: int = field(default=1, metadata={"min": 1, "max": RATIO_MAX})
    unit_id: int | None = field(default=None, metadata={"min": 0, "max": UNIT_ID_MAX})
    address: str | None = field(default=None, metadata={"min": 12, "max": 12})

    def __post_init__(self) -> None:
        """UsageError for a party that is missing, a profile that is not shipped, and for no place on the line, or two."""
        MeterRow(self.number, self.meter, self.line, self.profile, self.limit_wh, self.unit_id, self.address)
        if self.trades and self.party is None:
            raise UsageError("trades = true needs a party that trades; give the key 'party'")
        if not load_profile(self.profile).billing:
            raise UsageError(f"profile = {self.profile!r} informs only; choose one that bills")


@dataclass(frozen=True)
class GatewayConfig:
    """A gateway, the area in which its meters are, and how it reaches them."""

    gateway: str = field(metadata=_NAME)
    area: str = field(metadata=_NAME)
    lines: tuple[LineConfig, ...] = field(metadata={"min": 1, "max": 256})
    meters: tuple[MeterConfig, ...] = field(metadata={"min": 1})

    def __post_init__(self) -> None:
        """UsageError for a meter on a line that is not there, and for a border that is none."""
        known = [line.line for line in self.lines]
        for meter in self.meters:
            if meter.line not in known:
                raise UsageError(f"meter {meter.meter!r} is on line {meter.line!r}; lines are {', '.join(known)}")
            point = Point(self.area, meter.role, meter.party, exchange_area=meter.exchange_area)
            if words := POINT.fault_of(POINT.encode(point)):
                raise UsageError(f"meter {meter.meter!r}: {words}")


@dataclass(frozen=True)
class ChainConfig:
    """What a chain of one zone starts with. ``prices``: in 1e-6 of the currency per kWh; ``runs``: None: no final and dispute runs."""

    name: str = field(metadata={"min": 1, "max": 40})
    zone: str = field(metadata=_NAME)
    calendar: CalendarConfig
    prices: dict[str, int] = field(metadata={"min": 1})
    market: MarketConfig
    gateways: tuple[GatewayConfig, ...] = field(metadata={"min": 1, "max": 1_000})
    clock: str = field(default=BLOCK_TIME, metadata={"choices": CLOCKS})
    currency: str = field(default="CNY", metadata={"min": 3, "max": 3})
    timeline: TimelineConfig = field(default_factory=TimelineConfig)
    runs: RunsConfig | None = None

    def check_names(self, signers: Iterable[str]) -> None:
        """Raise UsageError, naming the key, for names that must differ and do not. ``signers``: the others of the chain."""
        meters = [meter for gateway in self.gateways for meter in gateway.meters]
        check_unique("meters: number", [str(meter.number) for meter in meters])
        check_unique("meters: meter", [meter.meter for meter in meters])
        check_unique("meters: point", [meter.point for meter in meters])
        parties = [meter.party for meter in meters if meter.party is not None]
        check_unique("gateway, party and the signers of every chain", [*signers, *self.gateway_names, *parties])

    @property
    def moved_by(self) -> Literal["block", "simulated"]:
        """What moves ledger time, as a genesis says it."""
        return "block" if self.clock == BLOCK_TIME else "simulated"

    @property
    def gateway_names(self) -> list[str]:
        """Ids of the gateways."""
        return [gateway.gateway for gateway in self.gateways]

    def traders(self) -> Iterator[str]:
        """Parties that may place orders."""
        for gateway in self.gateways:
            yield from (meter.party for meter in gateway.meters if meter.party is not None and meter.trades)


@dataclass(frozen=True)
class FoundingConfig(ChainConfig):
    """A chain of one utility."""

    listen: ListenConfig = field(default_factory=ListenConfig)

    def __post_init__(self) -> None:
        """Names that must differ. UsageError names the key."""
        self.check_names(SIGNER_ROLES)
