"""The simulated world: who is metered where, and what every point of the grid takes and gives in each slot.

``build_world`` is a pure function of its arguments: seed and sizes in, the same integers out, whatever the process, time zone or locale.
Energies are whole Wh per 15-minute slot at the point itself (primary side, CT ratio applied).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import UsageError, require
from simulators.grid.diversity import SLOT_S, SLOTS_PER_DAY, SLOTS_PER_HOUR, Stream, generator, home_energy
from simulators.grid.feeder import SHAPE_SLOTS, Feeder, homes_at_line_ends, load_feeder
from simulators.grid.power_flow import FeederModel

HOUSEHOLDS_PER_AREA = 113
HOUSEHOLDS_MAX = 100 * HOUSEHOLDS_PER_AREA
SLOTS_MAX = SHAPE_SLOTS
SEED_MAX = 2**63 - 1
FIRST_LOCAL_MIDNIGHT = np.datetime64("2026-06-21T00:00:00")
DAY_S = 86_400
UTC_OFFSET_S = 8 * 3600  # Asia/Shanghai, no summer time

HOUSEHOLD_PROFILE_ID = "eastron_sdm630"
LOAD_PROFILE_ID = "acrel_adl400"
HOUSEHOLD_RESOLUTION_WH = 10
LOAD_RESOLUTION_WH = 10  # secondary side, times the CT ratio
LOAD_REGISTER_MODULUS = 2**32
HOUSEHOLD_LIMIT_WH = 11_000  # 3 x 63 A at 230 V for a quarter of an hour
LIMIT_WH_PER_RATIO = 1_000  # 3 x 5 A x ratio at 230 V for a quarter of an hour is 862 Wh x ratio
FEEDER_RATIO = 120
LOAD_RATIOS = ((5_000, 10), (15_000, 20))  # up to this rated power in W: this CT ratio
LOAD_RATIO_LARGEST = 40
START_HOUSEHOLD_WH = (2_000_000, 30_000_000)  # stays below 40,000 kWh, where a float32 of kWh steps by 3.9 Wh
START_EXPORT_WH = (500_000, 25_000_000)
START_LOAD_WH = (5_000_000, 400_000_000)
START_FEEDER_IMPORT_WH = (500_000_000, 5_000_000_000)
START_FEEDER_EXPORT_WH = (50_000_000, 900_000_000)
RATED_PHASE_V = 400 / 3**0.5  # 230.94 V: the feeder's low-voltage nodes are rated 400 V between phases


@dataclass(frozen=True)
class MeterSpec:
    """One billing or feeder meter as ``meters.csv`` lists it; every energy in primary Wh."""

    meter: str  # "M-" and the point's code: M-H001, M-L001, M-F1
    area: str
    party: str  # "" for a feeder
    role: str  # household | load | feeder
    ratio: int  # current transformer; 1 = none
    resolution_wh: int  # step of the shown register
    modulus_wh: int  # the register starts again at 0 here; 0 = never (float register)
    limit_wh: int  # largest plausible energy of one slot, each direction
    start_import_wh: int  # true cumulative at the first boundary
    start_export_wh: int
    profile: str  # firmware profile id


@dataclass(frozen=True)
class BatterySpec:
    """A home's battery; energies in Wh."""

    party: str
    capacity_wh: int
    reserve_wh: int  # it is never discharged below this


@dataclass(frozen=True, eq=False)
class World:
    """A simulated world.

    Column i of every ``[.., meters]`` array belongs to ``meters[i]``, of ``[.., areas]`` to ``areas[i]``, of ``[.., batteries]`` to ``batteries[i]``.
    """

    areas: tuple[str, ...]
    slot_start_s: NDArray[np.int64]  # [slots] UTC seconds
    meters: tuple[MeterSpec, ...]  # per area: homes, other loads, feeder
    traders: tuple[str, ...]  # party codes, the first N homes
    import_wh: NDArray[np.int64]  # [slots, meters]; a feeder imports from the grid above
    export_wh: NDArray[np.int64]  # [slots, meters]
    loss_wh: NDArray[np.int64]  # [slots, areas]
    voltage_pu_min: NDArray[np.float64]  # [slots, areas] over the low-voltage nodes
    voltage_pu_max: NDArray[np.float64]  # [slots, areas]
    voltage_pu: NDArray[np.float32]  # [slots, meters] at the meter; a feeder's at the low-voltage busbar
    line_ends: tuple[tuple[int, ...], ...]  # per area: columns of the homes at the ends of lines, the farthest first
    batteries: tuple[BatterySpec, ...]  # in the order of their homes
    battery_wh: NDArray[np.int64]  # [slots + 1, batteries] state of charge at the slot boundaries

    @property
    def slots(self) -> int:
        """Number of slots."""
        return len(self.slot_start_s)

    @property
    def boundary_s(self) -> NDArray[np.int64]:
        """[slots + 1] UTC seconds of the slot boundaries, first slot start to last slot end."""
        return np.append(self.slot_start_s, self.slot_start_s[-1] + SLOT_S)

    def true_registers(self, boundary_index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """True cumulative import and export [meters] in primary Wh at boundary 0 .. slots; UsageError outside."""
        self._check_boundary(boundary_index)
        imported, exported = self._cumulative
        return imported[boundary_index], exported[boundary_index]

    def phase_voltages_v(self, boundary_index: int) -> NDArray[np.float64]:
        """Phase voltage in V [meters] that the meters show at boundary 0 .. slots: the mean of the slot that ends there.

        Boundary 0 ends no slot and shows the first one's. UsageError outside.
        """
        self._check_boundary(boundary_index)
        shown: NDArray[np.float64] = self.voltage_pu[max(0, boundary_index - 1)].astype(np.float64) * RATED_PHASE_V
        return shown

    def mean_powers_w(self, boundary_index: int) -> NDArray[np.int64]:
        """Mean active power in W [meters], import positive, of the slot that ends at boundary 0 .. slots (primary side).

        Boundary 0 ends no slot and shows the first one's. UsageError outside.
        """
        self._check_boundary(boundary_index)
        slot = max(0, boundary_index - 1)
        power_w: NDArray[np.int64] = (self.import_wh[slot] - self.export_wh[slot]) * SLOTS_PER_HOUR
        return power_w

    def _check_boundary(self, boundary_index: int) -> None:
        if not 0 <= boundary_index <= self.slots:
            message = f"boundary_index {boundary_index}: the world has boundaries 0 to {self.slots}"
            raise UsageError(message)

    @cached_property
    def _cumulative(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        start_import = np.array([[meter.start_import_wh for meter in self.meters]], dtype=np.int64)
        start_export = np.array([[meter.start_export_wh for meter in self.meters]], dtype=np.int64)
        imported = np.cumsum(np.concatenate([start_import, self.import_wh]), axis=0)
        exported = np.cumsum(np.concatenate([start_export, self.export_wh]), axis=0)
        imported.setflags(write=False)
        exported.setflags(write=False)
        return imported, exported

    @cached_property
    def meter_of_party(self) -> dict[str, int]:
        """Column of each party's meter."""
        return {meter.party: column for column, meter in enumerate(self.meters) if meter.party}


def build_world(*, households: int, slots: int, seed: int) -> World:
    """The world in which the first ``households`` homes trade for ``slots`` slots from 21 June 2026 00:00 in Shanghai.

    Up to 113 homes live on one feeder; more replicate it, each copy an area with its own seeded homes. The physics of an area does not
    depend on how many trade, and a shorter world is the beginning of a longer one. UsageError for sizes out of range.
    """
    _check_range("households", households, 1, HOUSEHOLDS_MAX)
    _check_range("slots", slots, 1, SLOTS_MAX)
    _check_range("seed", seed, 0, SEED_MAX)
    feeder = load_feeder()
    model = FeederModel(feeder)
    start_s = int(FIRST_LOCAL_MIDNIGHT.astype(np.int64)) - UTC_OFFSET_S
    slot_start_s = start_s + SLOT_S * np.arange(slots, dtype=np.int64)
    when = shape_positions(slot_start_s)
    count = -(-households // HOUSEHOLDS_PER_AREA)
    built = [_build_area(feeder, model, number, seed, when) for number in range(count)]
    ends, per_area = homes_at_line_ends(feeder), feeder.loads + 1
    world = World(
        areas=tuple(f"A{number + 1}" for number in range(count)),
        slot_start_s=slot_start_s,
        meters=tuple(meter for area in built for meter in area.meters),
        traders=tuple(_household_code(number) for number in range(households)),
        import_wh=np.concatenate([area.import_wh for area in built], axis=1),
        export_wh=np.concatenate([area.export_wh for area in built], axis=1),
        loss_wh=np.stack([area.loss_wh for area in built], axis=1),
        voltage_pu_min=np.stack([area.voltage_pu_min for area in built], axis=1),
        voltage_pu_max=np.stack([area.voltage_pu_max for area in built], axis=1),
        voltage_pu=np.concatenate([area.voltage_pu for area in built], axis=1),
        line_ends=tuple(tuple(first + home for home in ends) for first in range(0, count * per_area, per_area)),
        batteries=tuple(battery for area in built for battery in area.batteries),
        battery_wh=np.concatenate([area.battery_wh for area in built], axis=1),
    )
    for value in vars(world).values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    limits = np.array([meter.limit_wh for meter in world.meters])
    require(bool((np.maximum(world.import_wh, world.export_wh) <= limits).all()), "no slot's energy above its limit_wh")
    return world


def shape_positions(slot_start_s: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each slot in the leap year of the shapes, by local month, day and time of day."""
    local = slot_start_s + UTC_OFFSET_S
    day = local.astype("datetime64[s]").astype("datetime64[D]")
    year = day.astype("datetime64[Y]")
    day_of_year = (day - year.astype("datetime64[D]")).astype(np.int64)
    days_in_year = ((year + 1).astype("datetime64[D]") - year.astype("datetime64[D]")).astype(np.int64)
    leap_day_of_year = day_of_year + ((days_in_year == 365) & (day_of_year >= 59))
    position: NDArray[np.int64] = leap_day_of_year * SLOTS_PER_DAY + local % DAY_S // SLOT_S
    return position


@dataclass(frozen=True, eq=False)
class _Area:
    meters: tuple[MeterSpec, ...]
    import_wh: NDArray[np.int64]
    export_wh: NDArray[np.int64]
    loss_wh: NDArray[np.int64]
    voltage_pu_min: NDArray[np.float64]
    voltage_pu_max: NDArray[np.float64]
    voltage_pu: NDArray[np.float32]
    batteries: tuple[BatterySpec, ...]
    battery_wh: NDArray[np.int64]


def _build_area(feeder: Feeder, model: FeederModel, number: int, seed: int, when: NDArray[np.int64]) -> _Area:
    key = (seed, number)
    homes = home_energy(feeder, key, when)
    load_wh, load_q_var = _other_loads(feeder, when)
    net_wh = np.concatenate([homes.import_wh - homes.export_wh, load_wh], axis=1)
    node_of = np.zeros((feeder.loads, feeder.nodes))
    node_of[np.arange(feeder.loads), feeder.load_node] = 1.0
    flow = model.solve(
        (net_wh * SLOTS_PER_HOUR) @ node_of,
        np.concatenate([homes.q_var, load_q_var], axis=1) @ node_of,
    )
    feeder_wh = np.rint(flow.upper_w / SLOTS_PER_HOUR).astype(np.int64)[:, None]
    net_wh = np.concatenate([net_wh, feeder_wh], axis=1)
    low_voltage = np.delete(flow.u_pu, feeder.transformer.node_upper, axis=1)
    with_battery = np.flatnonzero(homes.has_battery)
    return _Area(
        meters=_meters(feeder, generator(*key, Stream.REGISTERS), number, homes.has_pv),
        import_wh=np.maximum(net_wh, 0),
        export_wh=np.maximum(-net_wh, 0),
        loss_wh=np.rint(flow.loss_w / SLOTS_PER_HOUR).astype(np.int64),
        voltage_pu_min=low_voltage.min(axis=1),
        voltage_pu_max=low_voltage.max(axis=1),
        voltage_pu=flow.u_pu[:, feeder.meter_nodes].astype(np.float32),
        batteries=tuple(
            BatterySpec(
                _household_code(number * feeder.households + home),
                int(homes.battery.capacity_wh[home]),
                int(homes.battery.reserve_wh[home]),
            )
            for home in with_battery.tolist()
        ),
        battery_wh=homes.battery.charge_wh[:, with_battery],
    )


def _other_loads(feeder: Feeder, when: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Shops, farms, heat pumps and charging points as SimBench has them: whole Wh and var [slots, loads - homes]."""
    others = slice(feeder.households, None)
    profile = feeder.load_profile[others]
    p_w = feeder.load_p_shapes[profile, when[:, None]] * (feeder.load_p_scale[profile] * feeder.load_p_w[others])
    q_var = feeder.load_q_shapes[profile, when[:, None]] * (feeder.load_q_scale[profile] * feeder.load_q_var[others])
    return np.maximum(np.rint(p_w / SLOTS_PER_HOUR), 0).astype(np.int64), q_var


def _meters(feeder: Feeder, rng: np.random.Generator, number: int, has_pv: NDArray[np.bool_]) -> tuple[MeterSpec, ...]:
    area, homes, others = f"A{number + 1}", feeder.households, feeder.loads - feeder.households
    home_import = rng.integers(*START_HOUSEHOLD_WH, size=homes)
    home_export = rng.integers(*START_EXPORT_WH, size=homes) * has_pv
    load_import = rng.integers(*START_LOAD_WH, size=others)
    feeder_import, feeder_export = rng.integers(*START_FEEDER_IMPORT_WH), rng.integers(*START_FEEDER_EXPORT_WH)
    specs = []
    for home in range(homes):
        code = _household_code(number * homes + home)
        start = (int(home_import[home]), int(home_export[home]))
        specs.append(
            MeterSpec(
                f"M-{code}",
                area,
                code,
                "household",
                1,
                HOUSEHOLD_RESOLUTION_WH,
                0,
                HOUSEHOLD_LIMIT_WH,
                *start,
                HOUSEHOLD_PROFILE_ID,
            )
        )
    for load in range(others):
        code = f"L{number * others + load + 1:03d}"
        specs.append(
            _ct_meter(code, area, code, "load", _load_ratio(feeder.load_p_w[homes + load]), (int(load_import[load]), 0))
        )
    start = (int(feeder_import), int(feeder_export))
    specs.append(_ct_meter(f"F{number + 1}", area, "", "feeder", FEEDER_RATIO, start))
    return tuple(specs)


def _ct_meter(code: str, area: str, party: str, role: str, ratio: int, start: tuple[int, int]) -> MeterSpec:
    resolution_wh = LOAD_RESOLUTION_WH * ratio
    modulus_wh = LOAD_REGISTER_MODULUS * resolution_wh
    limit_wh = LIMIT_WH_PER_RATIO * ratio
    return MeterSpec(
        f"M-{code}", area, party, role, ratio, resolution_wh, modulus_wh, limit_wh, *start, LOAD_PROFILE_ID
    )


def _load_ratio(rated_w: float) -> int:
    return next((ratio for bound_w, ratio in LOAD_RATIOS if rated_w <= bound_w), LOAD_RATIO_LARGEST)


def _household_code(number: int) -> str:
    return f"H{number + 1:03d}"


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        message = f"{name} {value}: must be from {low} to {high}"
        raise UsageError(message)
