"""What may stand in a scenario file (docs/scenarios.md). Whole numbers only, units in the names; what is unknown is refused.

``scenario_of`` turns the bytes of a file into one record; a number out of range, or one that does not fit another, is one line that
names file and key.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gridcore.config import decode_config
from gridcore.errors import UsageError
from gridcore.registry.zone import GAP_SLOTS_MAX
from simulators.scenarios.home_devices import Batteries, HeatPumps, Pv, Vehicles
from simulators.scenarios.keys import GROUP, PPM, check_order, check_strategies, one_of, whole
from simulators.scenarios.meter_kinds import USUAL_METERS, MeterKind, MqttDevices, kinds_of_ten

SCHEMA_VERSION: Final = 1
SLOT_S: Final = 900
HOUSEHOLDS_MAX: Final = 1_130_000
AGENT_HOUSEHOLDS_MAX: Final = 11_300
"""Homes that trade, where meters and agents run."""
VALIDATORS_MAX: Final = 16
"""Nodes that hold the ledger, all on one machine."""
SLOTS_MAX: Final = 366 * 96
SEED_MAX: Final = 2**63 - 1
PRICE_MICRO_PER_KWH_MAX: Final = 10**9
SIMBENCH: Final = "simbench"
SIMBENCH_SEMIURB4: Final = "simbench:semiurb4"
SIMBENCH_URBAN6: Final = "simbench:urban6"
SIMBENCH_RURAL3: Final = "simbench:rural3"
EUROPEAN_LV: Final = "ieee:european_lv"
OWN_TABLE: Final = "csv"
CLEAR_SKY: Final = "clear_sky"
ZERO_INTELLIGENCE, FORECAST, GREEDY = "zero_intelligence", "forecast", "greedy"
STRATEGIES: Final = (ZERO_INTELLIGENCE, FORECAST, GREEDY)
GROUPS_MAX: Final = 100
GROUP_HOMES_MAX: Final = 10_000
LATE, LOST, EXCEPTION, NO_VALUE = "late", "lost", "exception", "no_value"
RESET, STUCK, SWAPPED, ROLL_OVER, WORD_SWAP = "reset", "stuck", "swapped", "roll_over", "word_swap"
REBOOT, METER_CLOCK = "reboot", "meter_clock"
BLACKOUT, DEAD_GATEWAY, GARBLED, DUPLICATED, REORDERED = (
    "blackout",
    "dead_gateway",
    "garbled",
    "duplicated",
    "reordered",
)
CUT_FROM_METERS, CUT_FROM_NODE, CLOCK_STEP, DEAD_BROKER = (
    "cut_from_meters",
    "cut_from_node",
    "clock_step",
    "dead_broker",
)
METER_KINDS: Final = (LATE, LOST, EXCEPTION, NO_VALUE, RESET, STUCK, SWAPPED, ROLL_OVER, WORD_SWAP, REBOOT, METER_CLOCK)
AREA_KINDS: Final = (
    BLACKOUT,
    DEAD_GATEWAY,
    GARBLED,
    DUPLICATED,
    REORDERED,
    CUT_FROM_METERS,
    CUT_FROM_NODE,
    CLOCK_STEP,
    DEAD_BROKER,
)
CLOCK_DRIFT: Final = "clock_drift"
"""No event of a file: a label of a meter whose clock has drifted so far that what it freezes is not of the boundary."""
VALIDATOR_DOWN, PARTITION = "validator_down", "partition"
VALIDATOR_KINDS: Final = (VALIDATOR_DOWN, PARTITION)
"""Of a consortium one node, with its engine, does not run; some nodes do not hear the others, and all run."""
EXCHANGED: Final = "exchanged"
"""No fault: a meter gives way to a new one in the middle of the slot."""
H1, H2, H3, H4, H5, H6 = "h1", "h2", "h3", "h4", "h5", "h6"
BYPASS, PV_OVER_REPORT, COLLUSION, REVERSED_CT = "bypass", "pv_over_report", "collusion", "reversed_ct"
STOPPED, REPLAY, ROLLBACK, STOLEN_KEY = "stopped", "replay", "rollback", "stolen_key"
FRAUDS_OF_DAY_BEFORE: Final = (REPLAY, ROLLBACK)
METER_FRAUDS: Final = (
    H1,
    H2,
    H3,
    H4,
    H5,
    H6,
    BYPASS,
    PV_OVER_REPORT,
    COLLUSION,
    REVERSED_CT,
    STOPPED,
    REPLAY,
    ROLLBACK,
)
FRAUD_KINDS: Final = (*METER_FRAUDS, STOLEN_KEY)
"""Of a stolen key the target is the area whose gateway had it."""
PAIR_KINDS: Final = (SWAPPED, COLLUSION)
EVENTS_MAX: Final = 1_000
CERTAIN_PERCENT: Final = 100
CHANCE_KINDS: Final = tuple(
    kind for kind in (*METER_KINDS, *AREA_KINDS) if kind not in (SWAPPED, ROLL_OVER, BLACKOUT, DEAD_BROKER)
)
"""What may come by chance: at each boundary anew."""


@dataclass(frozen=True)
class Calendar:
    """From the begin of a local day: so many local days, or so many slots of 15 minutes."""

    first_day: str
    time_zone: str
    days: int | None = dataclasses.field(default=None, metadata={"min": 1, "max": 366})
    slots: int | None = dataclasses.field(default=None, metadata={"min": 1, "max": SLOTS_MAX})

    def __post_init__(self) -> None:
        """Check what no range says."""
        if (self.days is None) == (self.slots is None):
            raise UsageError("give either days or slots")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise UsageError(f"time_zone {self.time_zone!r} is not known here; an example: Asia/Shanghai") from None
        try:
            year = date.fromisoformat(self.first_day).year
        except ValueError:
            raise UsageError(f"first_day {self.first_day!r} is no date; an example: 2026-06-21") from None
        if not 2000 <= year <= 2100:
            raise UsageError(f"first_day {self.first_day!r} is not in the years 2000 to 2100")

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.time_zone)

    @property
    def first_slot_start_s(self) -> int:
        """UTC seconds."""
        return self._midnight_s(0)

    @property
    def slot_count(self) -> int:
        """How many slots; a local day has 92 to 100."""
        return self.slots or (self._midnight_s(self.days or 0) - self._midnight_s(0)) // SLOT_S

    def _midnight_s(self, days: int) -> int:
        day = date.fromisoformat(self.first_day) + timedelta(days=days)
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp())


@dataclass(frozen=True)
class Transformer:
    """The transformer of an own grid, to 400 V. ``source_ppm``: voltage at its upper side, of ``upper_v``."""

    rating_kva: int = whole(1, 10_000)
    load_loss_w: int = whole(1, 1_000_000)
    no_load_loss_w: int = whole(1, 1_000_000)
    upper_v: int = whole(1_000, 110_000, 10_000)
    short_circuit_ppm: int = whole(1_000, 200_000, 40_000)
    no_load_current_ppm: int = whole(100, 200_000, 10_000)
    source_ppm: int = whole(900_000, 1_100_000, 1_000_000)

    def __post_init__(self) -> None:
        """Check what no range says."""
        rating_va = self.rating_kva * 1000
        if self.load_loss_w * PPM >= rating_va * self.short_circuit_ppm:
            raise UsageError(f"load_loss_w {self.load_loss_w} is too much for this rating and short_circuit_ppm")
        if self.no_load_loss_w * PPM > rating_va * self.no_load_current_ppm:
            raise UsageError(
                f"no_load_loss_w {self.no_load_loss_w} is too much for this rating and no_load_current_ppm"
            )


@dataclass(frozen=True)
class Grid:
    """The feeder: one that ships, or of a ``table`` (csv) with a transformer. Limits beyond which violations.csv has a row."""

    source: str = one_of(SIMBENCH_SEMIURB4, SIMBENCH_URBAN6, SIMBENCH_RURAL3, EUROPEAN_LV, OWN_TABLE)
    table: Path | None = None
    transformer: Transformer | None = None
    voltage_percent_min: int = whole(50, 100, 90)
    voltage_percent_max: int = whole(100, 150, 110)
    loading_percent_max: int = whole(1, 1000, 100)

    def __post_init__(self) -> None:
        """Check what no range says."""
        if (self.source == OWN_TABLE) != (self.table is not None) or (self.table is None) != (self.transformer is None):
            raise UsageError(f"source {OWN_TABLE!r} needs table and transformer; another source has neither")


@dataclass(frozen=True)
class Weather:
    """Where PV gets its sun from. simbench: the shapes of the extract, ``days_ahead`` days later in their year.

    clear_sky: our own model for a place on earth, with clouds; heat pumps need it too, for the temperature.
    """

    model: str = one_of(SIMBENCH, CLEAR_SKY)
    days_ahead: int = whole(0, 365, 0)
    latitude_milli_degrees: int = whole(-66_000, 66_000, 0)
    longitude_milli_degrees: int = whole(-180_000, 180_000, 0)
    cloud_percent: int = whole(0, 100, 0)
    temperature_mean_c: int = whole(-50, 50, 10)
    temperature_swing_k: int = whole(0, 30, 5)

    def __post_init__(self) -> None:
        """Check what no range says."""
        has_place = bool(self.latitude_milli_degrees or self.longitude_milli_degrees)
        if has_place != (self.model == CLEAR_SKY):
            raise UsageError(
                f"model {CLEAR_SKY!r} needs latitude_milli_degrees and longitude_milli_degrees; {SIMBENCH!r} has a place of its own"
            )


@dataclass(frozen=True)
class Households:
    """How many homes trade, and how far homes of one shape differ."""

    trading: int = whole(1, HOUSEHOLDS_MAX)
    shift_slots_max: int = whole(0, 48)
    day_noise_percent: int = whole(0, 100)
    slot_noise_percent: int = whole(0, 100)


@dataclass(frozen=True, kw_only=True)
class MarketGroup:
    """Homes that trade by one strategy, whatever the others do."""

    name: str = dataclasses.field(metadata={"min": 1, "max": 60})
    strategy: str = one_of(*STRATEGIES)
    homes: tuple[str, ...] = dataclasses.field(metadata={"min": 1, "max": GROUP_HOMES_MAX})


@dataclass(frozen=True)
class Market:
    """How homes trade: each expects its energy with some error, and its limit lies in a range.

    strategy: a zero-intelligence home, as all are by default, draws its limit; one with a forecast asks more the scarcer energy was at that time yesterday; a greedy one
    takes what makes a trade most certain. strategies: how many of each ten homes have which, in place of one for all; groups: homes that have one of
    their own.
    """

    buy_micro_per_kwh_min: int = whole(-PRICE_MICRO_PER_KWH_MAX, PRICE_MICRO_PER_KWH_MAX)
    buy_micro_per_kwh_max: int = whole(-PRICE_MICRO_PER_KWH_MAX, PRICE_MICRO_PER_KWH_MAX)
    sell_micro_per_kwh_min: int = whole(-PRICE_MICRO_PER_KWH_MAX, PRICE_MICRO_PER_KWH_MAX)
    sell_micro_per_kwh_max: int = whole(-PRICE_MICRO_PER_KWH_MAX, PRICE_MICRO_PER_KWH_MAX)
    price_step_micro_per_kwh: int = whole(1, PRICE_MICRO_PER_KWH_MAX)
    forecast_error_per_mille: int = whole(0, 1000)
    strategy: str | None = dataclasses.field(default=None, metadata={"choices": STRATEGIES})
    strategies: dict[str, int] = dataclasses.field(default_factory=dict)
    groups: tuple[MarketGroup, ...] = dataclasses.field(default=(), metadata={"max": GROUPS_MAX})

    def __post_init__(self) -> None:
        """Check what no range says."""
        check_order(self.buy_micro_per_kwh_min, self.buy_micro_per_kwh_max, "buy_micro_per_kwh")
        check_order(self.sell_micro_per_kwh_min, self.sell_micro_per_kwh_max, "sell_micro_per_kwh")
        check_strategies(self.strategies, STRATEGIES, "homes")
        if self.strategies and self.strategy is not None:
            raise UsageError("strategy and strategies: give one of them; strategies says what each ten homes do")
        number_of: dict[str, int] = {}
        for number, group in enumerate(self.groups):
            if (first := number_of.setdefault(group.name, number)) != number:
                raise UsageError(f"groups[{number}].name: groups[{first}] is called {group.name!r} already")
        group_of: dict[str, str] = {}
        for number, group in enumerate(self.groups):
            for home in group.homes:
                if home in group_of:
                    raise UsageError(f"groups[{number}].homes: {home} is in the group {group_of[home]!r} already")
                group_of[home] = group.name


@dataclass(frozen=True)
class Terms:
    """What the contract p2p_call_auction/1 declares beside prices."""

    reference_price_micro_per_kwh: int
    rationing: str


@dataclass(frozen=True)
class Tariff:
    """Prices of p2p_call_auction/1 by its name for each, in 1e-6 of the currency per kWh, and its terms; or ``rules`` of any contract.

    rules: a ``rules.toml`` of settle files, or a folder that holds one, and beside it prices, keys, agreements and what else is said of points.
    """

    prices: dict[str, int] | None = None
    terms: Terms | None = None
    rules: Path | None = None

    def __post_init__(self) -> None:
        """Check what no range says."""
        if (self.prices is None) != (self.terms is None) or (self.prices is None) == (self.rules is None):
            raise UsageError("give prices and terms of p2p_call_auction/1, or rules of any contract")


@dataclass(frozen=True)
class Timeline:
    """When orders are taken, when the gate closes, and how long readings are waited for. gap_slots_max: see ``gridcore.registry.zone.Zone``."""

    open_before_start_s: int = whole(0, 31 * 86_400)
    gate_before_start_s: int = whole(0, 86_400)
    metering_deadline_s: int = whole(1, 31 * 86_400)
    gap_slots_max: int | None = dataclasses.field(default=None, metadata={"min": 1, "max": GAP_SLOTS_MAX})


@dataclass(frozen=True)
class Consortium:
    """Who holds the ledger: so many organisations, each with a validator of the same power. Without the table it is one node alone."""

    validators: int = whole(1, VALIDATORS_MAX)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of their nodes."""
        return ("node", *(f"node-{number}" for number in range(2, self.validators + 1)))

    @property
    def away_max(self) -> int:
        """How many may be away at once: more than two thirds make blocks."""
        return (self.validators - 1) // 3

    def goes_on_without(self, away: Collection[str]) -> bool:
        """Whether the others make blocks while these nodes are away."""
        return len(away) <= self.away_max


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that goes wrong, or a fraud, from the begin of a slot to the begin of another. ``label``: what it is called in events.csv.

    ``target``: a meter, for the kinds that concern all of it an area, or a validator's node, of a partition several with spaces between; ``other``: of a swap, the meter that is found in
    the target's place; of a collusion the one that counts more; of an exchange the new meter. ``chance_percent``: at each boundary it is on or
    not, by chance; then the target of what concerns a meter may be an area, each meter of which has its own chance.
    """

    label: str = dataclasses.field(metadata={"min": 1, "max": 60})
    kind: str = one_of(*METER_KINDS, *AREA_KINDS, *VALIDATOR_KINDS, EXCHANGED, *FRAUD_KINDS)
    target: str = dataclasses.field(metadata={"min": 1, "max": 80})
    from_slot: int = whole(1, SLOTS_MAX)
    until_slot: int = whole(2, SLOTS_MAX)
    other: str = dataclasses.field(default="", metadata={"max": 40})
    chance_percent: int = whole(1, CERTAIN_PERCENT, CERTAIN_PERCENT)

    @property
    def nodes(self) -> frozenset[str]:
        """The validators' nodes that it concerns; none of an event of another kind."""
        return frozenset(self.target.split()) if self.kind in VALIDATOR_KINDS else frozenset()

    def __post_init__(self) -> None:
        """Check what no range says."""
        if self.chance_percent < CERTAIN_PERCENT and self.kind not in CHANCE_KINDS:
            raise UsageError(f"chance_percent {self.chance_percent}: {self.kind!r} comes for certain; leave it out")
        if self.from_slot >= self.until_slot:
            raise UsageError(f"from_slot {self.from_slot} is not before until_slot {self.until_slot}")
        if (self.kind in (*PAIR_KINDS, EXCHANGED)) != bool(self.other) or self.other == self.target:
            pairs = ", ".join(map(repr, PAIR_KINDS))
            raise UsageError(
                f"other names the second meter of the kinds {pairs} and {EXCHANGED!r}, and of no other kind"
            )
        if self.kind == EXCHANGED and self.until_slot != self.from_slot + 1:
            raise UsageError(
                f"until_slot {self.until_slot}: a meter is exchanged within one slot, until {self.from_slot + 1}"
            )


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One simulated world and what happens in it."""

    schema_version: int = whole(SCHEMA_VERSION, SCHEMA_VERSION)
    title: str = dataclasses.field(metadata={"min": 1, "max": 100})
    seed: int = whole(0, SEED_MAX)
    calendar: Calendar
    grid: Grid
    weather: Weather
    households: Households
    tariff: Tariff
    timeline: Timeline
    pv: Pv | None = None
    batteries: Batteries | None = None
    vehicles: Vehicles | None = None
    heat_pumps: HeatPumps | None = None
    market: Market | None = None
    """Needed where the contract takes orders."""
    consortium: Consortium | None = None
    meters: tuple[MeterKind, ...] = dataclasses.field(default=USUAL_METERS, metadata={"max": GROUP})
    mqtt_devices: MqttDevices | None = None
    events: tuple[Event, ...] = dataclasses.field(default=(), metadata={"max": EVENTS_MAX})

    def __post_init__(self) -> None:
        """Check what spans several tables."""
        kinds_of_ten(self.meters)
        if self.batteries is not None and self.pv is None:
            raise UsageError("batteries: stand at homes with PV; give a table [pv] too")
        if self.heat_pumps is not None and self.weather.model != CLEAR_SKY:
            raise UsageError(f"heat_pumps: need a temperature; give weather.model = {CLEAR_SKY!r}")

    def sized(
        self,
        *,
        households: int | None = None,
        slots: int | None = None,
        seed: int | None = None,
        validators: int | None = None,
        rules: Path | None = None,
    ) -> Scenario:
        """The same with another number of trading homes, of slots, of validators, another seed, or ``Tariff.rules``; UsageError for one out of range."""
        _check_range("households", households, 1, HOUSEHOLDS_MAX)
        _check_range("slots", slots, 1, SLOTS_MAX)
        _check_range("seed", seed, 0, SEED_MAX)
        _check_range("validators", validators, 1, VALIDATORS_MAX)
        trading = self.households.trading if households is None else households
        return dataclasses.replace(
            self,
            seed=self.seed if seed is None else seed,
            households=dataclasses.replace(self.households, trading=trading),
            consortium=self.consortium if validators is None else Consortium(validators),
            tariff=self.tariff if rules is None else Tariff(rules=rules),
            calendar=self.calendar if slots is None else dataclasses.replace(self.calendar, days=None, slots=slots),
        )


def scenario_of(data: bytes, source: Path) -> Scenario:
    """The scenario in the bytes of the file ``source``; ConfigError names file and key."""
    return decode_config(data, Scenario, source)


def _check_range(name: str, value: int | None, low: int, high: int) -> None:
    if value is not None and not low <= value <= high:
        raise UsageError(f"{name} {value}: must be from {low} to {high}")
