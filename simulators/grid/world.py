"""The simulated world: who is metered where, and what every point of the grid takes and gives in each slot.

``build_world`` is a pure function of its arguments: seed and sizes in, the same integers out, whatever the process, time zone or locale.
Energies are whole Wh per 15-minute slot at the point itself (primary side, CT ratio applied).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import UsageError
from simulators.grid.batteries import STRATEGIES, WITHOUT_BATTERY
from simulators.grid.chances import happening
from simulators.grid.diversity import Slots, home_energy
from simulators.grid.european_lv import EXTRACT_NAME, load_european_lv
from simulators.grid.feeder import EXTRACTS, Feeder, homes_at_line_ends, load_feeder
from simulators.grid.fraud import Registers, counted_registers, not_taken
from simulators.grid.large_arrays import NewArray, in_memory
from simulators.grid.local_time import SLOTS_PER_HOUR, shape_positions
from simulators.grid.metering import (
    RIGHT_CLOCK,
    MeterSpec,
    area_name,
    check_meters,
    clock_labels,
    household_code,
    meters_of_area,
)
from simulators.grid.own_feeder import read_own_feeder
from simulators.grid.power_flow import FeederModel
from simulators.grid.violations import TRANSFORMER, Violation, loadings_of, violations_of
from simulators.grid.world_columns import AreaColumns, WorldColumns
from simulators.scenarios.events import check_events, check_protocols, check_validators
from simulators.scenarios.schema import (
    BLACKOUT,
    DEAD_BROKER,
    EUROPEAN_LV,
    FRAUDS_OF_DAY_BEFORE,
    METER_FRAUDS,
    ROLL_OVER,
    SIMBENCH_RURAL3,
    SLOT_S,
    Event,
    Grid,
    Scenario,
)

T = TypeVar("T")
LINE_ENDS_OBSERVED = 11  # homes of an area whose voltage is read besides, the farthest first: with the busbar they tell the lowest within 0.5 V
RATED_V = 400  # between phases; what voltage_pu is told in, also where nodes are rated otherwise
RATED_PHASE_V = RATED_V / 3**0.5  # 230.94 V


@dataclass(frozen=True)
class BatterySpec:
    """A home's battery; energies in Wh."""

    party: str
    capacity_wh: int
    reserve_wh: int  # it is never discharged below this
    strategy: str  # one of ``batteries.STRATEGIES``


@dataclass(frozen=True, eq=False)
class World:
    """A simulated world.

    Column i of every ``[.., meters]`` array belongs to ``meters[i]``, of ``[.., areas]`` to ``areas[i]``, of ``[.., batteries]`` to ``batteries[i]``.
    """

    scenario: Scenario
    areas: tuple[str, ...]
    slot_start_s: NDArray[np.int64]  # [slots] UTC seconds
    meters: tuple[MeterSpec, ...]  # per area: homes, other loads, feeder
    traders: tuple[str, ...]  # party codes, the first N homes
    import_wh: NDArray[np.int32]  # [slots, meters]; a feeder imports from the grid above
    export_wh: NDArray[np.int32]  # [slots, meters]
    loss_wh: NDArray[np.int64]  # [slots, areas]
    voltage_pu_min: NDArray[np.float64]  # [slots, areas] over the low-voltage nodes
    voltage_pu_max: NDArray[np.float64]  # [slots, areas]
    voltage_pu: NDArray[np.float32]  # [slots, meters] at the meter; a feeder's at the low-voltage busbar
    line_ends: tuple[tuple[int, ...], ...]  # per area: columns of the homes at the ends of lines, the farthest first
    batteries: tuple[BatterySpec, ...]  # in the order of their homes
    battery_wh: NDArray[np.int64]  # [slots + 1, batteries] state of charge at the slot boundaries
    elements: tuple[str, ...]  # of each area: its lines and its transformer
    loading_per_mille: NDArray[np.uint16]  # [slots, areas * elements] of what each carries at most
    violations: tuple[Violation, ...]  # per area, by slot

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

    def counted_registers(self, boundary_index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Cumulative import and export [meters] as the meters count them: the truth, but where somebody cheats (``fraud``)."""
        self._check_boundary(boundary_index)
        return self.counted.import_wh[boundary_index], self.counted.export_wh[boundary_index]

    def each_counted(self) -> Iterator[Registers]:
        """The same at boundary after boundary, int64[meters]; where nobody cheats, never all of them at once."""
        if any(event.kind in METER_FRAUDS for event in self.scenario.events):
            yield from (Registers(*self.counted_registers(boundary)) for boundary in range(self.slots + 1))
            return
        imported, exported = self._start
        yield Registers(imported, exported)
        for slot in range(self.slots):
            imported, exported = imported + self.import_wh[slot], exported + self.export_wh[slot]
            yield Registers(imported, exported)

    @cached_property
    def counted(self) -> Registers:
        """The same at every boundary."""
        column_of = {meter.meter: column for column, meter in enumerate(self.meters)}
        return counted_registers(self.scenario.events, self.scenario.seed, column_of, self._cumulative)

    @cached_property
    def not_taken(self) -> NDArray[np.bool_]:
        """[slots + 1, meters] whether nobody takes a reading: the register shows what it cannot have counted since the last one taken."""
        steps_wh = np.array([meter.resolution_wh for meter in self.meters])
        return self.not_taken_of(Registers(*(register // steps_wh * steps_wh for register in self.counted)))

    def not_taken_of(self, shown: Registers) -> NDArray[np.bool_]:
        """The same of registers that are ``shown`` otherwise; primary Wh, as if they never started again."""
        set_back = {event.target for event in self.scenario.events if event.kind in FRAUDS_OF_DAY_BEFORE}
        columns = [column for column, meter in enumerate(self.meters) if meter.meter in set_back]
        return not_taken(shown, columns, [meter.limit_wh for meter in self.meters])

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
        power_w: NDArray[np.int64] = (self.import_wh[slot] - self.export_wh[slot]).astype(np.int64) * SLOTS_PER_HOUR
        return power_w

    def _check_boundary(self, boundary_index: int) -> None:
        if not 0 <= boundary_index <= self.slots:
            message = f"boundary_index {boundary_index}: the world has boundaries 0 to {self.slots}"
            raise UsageError(message)

    @property
    def _start(self) -> Registers:
        """At the first boundary, int64[meters]."""
        imported = np.array([meter.start_import_wh for meter in self.meters], dtype=np.int64)
        return Registers(imported, np.array([meter.start_export_wh for meter in self.meters], dtype=np.int64))

    @cached_property
    def _cumulative(self) -> Registers:
        start = self._start
        imported = np.cumsum(np.concatenate([start.import_wh[None, :], self.import_wh]), axis=0)
        exported = np.cumsum(np.concatenate([start.export_wh[None, :], self.export_wh]), axis=0)
        imported.setflags(write=False)
        exported.setflags(write=False)
        return Registers(imported, exported)

    @cached_property
    def labels(self) -> tuple[Event, ...]:
        """What goes wrong: the events of the scenario, and clocks of meters that have drifted too far. The last one may end behind the last boundary.

        There is one broker: one that is dead is a label of every area whose devices speak to it.
        """
        events = [
            replace(event, target=area)
            for event in self.scenario.events
            for area in (self.areas_with_devices if event.kind == DEAD_BROKER else (event.target,))
        ]
        return (*events, *clock_labels(self.meters, self.boundary_s))

    @property
    def areas_with_devices(self) -> tuple[str, ...]:
        """Where MQTT devices stand: in every area where the scenario says at how many homes, else in the first one."""
        return self.areas[:1] if self.scenario.mqtt_devices is None else self.areas

    def with_right_clocks(self) -> World:
        """The same where no meter has a clock: none drifts, and no label says so."""
        return replace(self, meters=tuple(replace(meter, clock=RIGHT_CLOCK) for meter in self.meters))

    @cached_property
    def meter_of_party(self) -> dict[str, int]:
        """Column of each party's meter."""
        return {meter.party: column for column, meter in enumerate(self.meters) if meter.party}


class InParts(Protocol):
    """Makes what ``work`` makes of all numbers up to a count, in whatever parts, in their order."""

    def __call__(self, work: Callable[[range], list[T]], count: int) -> list[T]:
        """The same as ``work(range(count))``."""
        ...


def at_once(work: Callable[[range], list[T]], count: int) -> list[T]:
    """``InParts`` with one part."""
    return work(range(count))


def build_world(scenario: Scenario, new_array: NewArray = in_memory, in_parts: InParts = at_once) -> World:
    """The world of a scenario, its first ``households.trading`` homes trading.

    So many homes as a feeder has live on one; more replicate it, each copy an area with its own seeded homes. The physics of an area does
    not depend on how many trade, and a shorter world is the beginning of a longer one. new_array: makes those of every meter and slot;
    in_parts: asks for the areas, whose columns every part writes into these arrays. UsageError where a meter could not carry its energy.
    """
    check_meters(scenario.meters)
    feeder = feeder_of(scenario.grid)
    model = FeederModel(feeder)
    calendar, households = scenario.calendar, scenario.households.trading
    slot_start_s = calendar.first_slot_start_s + SLOT_S * np.arange(calendar.slot_count, dtype=np.int64)
    when = shape_positions(slot_start_s, calendar)
    count = -(-households // feeder.households)
    ends, per_area = homes_at_line_ends(feeder), feeder.loads + 1
    elements = (*feeder.line_names, TRANSFORMER)
    columns = WorldColumns(len(when), count, per_area, len(elements), new_array)

    def build(numbers: range) -> list[_Area]:
        built = []
        for number in numbers:
            slots = Slots(slot_start_s, when, _has_power(scenario, number, len(when)))
            area, energies = _build_area(feeder, model, number, scenario, slots)
            columns.put(number, energies)
            built.append(area)
        return built

    built = in_parts(build, count)
    world = World(
        scenario=scenario,
        areas=tuple(area_name(number) for number in range(count)),
        slot_start_s=slot_start_s,
        meters=tuple(meter for area in built for meter in area.meters),
        traders=tuple(household_code(number) for number in range(households)),
        import_wh=columns.import_wh,
        export_wh=columns.export_wh,
        loss_wh=np.stack([area.loss_wh for area in built], axis=1),
        voltage_pu_min=np.stack([area.voltage_pu_min for area in built], axis=1),
        voltage_pu_max=np.stack([area.voltage_pu_max for area in built], axis=1),
        voltage_pu=columns.voltage_pu,
        line_ends=tuple(tuple(first + home for home in ends) for first in range(0, count * per_area, per_area)),
        batteries=tuple(battery for area in built for battery in area.batteries),
        battery_wh=np.concatenate([area.battery_wh for area in built], axis=1),
        elements=elements,
        loading_per_mille=columns.loading_per_mille,
        violations=tuple(violation for area in built for violation in area.violations),
    )
    for value in vars(world).values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    _check(world)
    events = happening(scenario.events, scenario.seed, world.meters)
    return _rolled_over(replace(world, scenario=replace(scenario, events=events)))


def _has_power(scenario: Scenario, number: int, slots: int) -> NDArray[np.bool_]:
    """In which slots an area has power."""
    has_power = np.ones(slots, dtype=np.bool_)
    for event in scenario.events:
        if event.kind == BLACKOUT and event.target == area_name(number):
            has_power[event.from_slot : event.until_slot] = False
    return has_power


def _rolled_over(world: World) -> World:
    """The world with registers that start again in the slots that its events say."""
    meters = list(world.meters)
    for event in world.scenario.events:
        if event.kind != ROLL_OVER:
            continue
        row = next(row for row, meter in enumerate(meters) if meter.meter == event.target)
        slot_wh, step_wh = int(world.import_wh[event.from_slot, row]), meters[row].resolution_wh
        if slot_wh <= step_wh:  # it would show its highest value, which many registers have for "no value"
            message = (
                f"takes {slot_wh} Wh in slot {event.from_slot}, no more than a step of its register ({step_wh} Wh)"
            )
            raise UsageError(f"events: {event.label!r}: {event.target} {message}; choose another slot")
        until_wh = int(world.import_wh[: event.from_slot + 1, row].sum())
        start_wh = meters[row].modulus_wh - until_wh
        meters[row] = replace(meters[row], start_import_wh=start_wh)
    return replace(world, meters=tuple(meters))


def feeder_of(grid: Grid) -> Feeder:
    """The feeder that a scenario names; UsageError naming file, row and column of a table that is none."""
    if grid.table is not None and grid.transformer is not None:
        return read_own_feeder(grid.table, grid.transformer)
    return shipped_feeder(grid.source)


def shipped_feeder(source: str) -> Feeder:
    """A feeder that ships."""
    return load_european_lv() if source == EUROPEAN_LV else load_feeder(source)


def data_files(grid: Grid) -> dict[str, str]:
    """The files beside ``simulators.grid`` that a scenario's grid and shapes come from."""
    if grid.source == EUROPEAN_LV:
        return {"grid": EXTRACT_NAME, "shapes": EXTRACTS[SIMBENCH_RURAL3]}
    return {"grid": EXTRACTS.get(grid.source, EXTRACTS[SIMBENCH_RURAL3])}


def _check(world: World) -> None:
    area_of_meter = {meter.meter: meter.area for meter in world.meters}
    rolls = {meter.meter for meter in world.meters if meter.modulus_wh}
    feeders = {meter.meter for meter in world.meters if not meter.party}
    check_events(world.scenario.events, area_of_meter, world.slots, rolls, feeders, world.areas_with_devices)
    check_protocols(
        world.scenario.events,
        {meter.meter: meter.wiring for meter in world.meters},
        {meter.meter for meter in world.meters if meter.clock != RIGHT_CLOCK},
    )
    check_validators(world.scenario.events, world.scenario.consortium)
    next(world.each_counted())  # refuses frauds that cannot be
    limits = np.array([meter.limit_wh for meter in world.meters])
    for slot in range(world.slots):
        above = np.maximum(world.import_wh[slot], world.export_wh[slot]) > limits
        if not above.any():
            continue
        column = int(above.argmax())
        meter, energy_wh = world.meters[column], int(max(world.import_wh[slot, column], world.export_wh[slot, column]))
        message = (
            f"{meter.meter} has {energy_wh} Wh in slot {slot}, more than its connection carries ({meter.limit_wh} Wh);"
            " give smaller devices"
        )
        raise UsageError(message)


@dataclass(frozen=True, eq=False)
class _Area:
    meters: tuple[MeterSpec, ...]
    loss_wh: NDArray[np.int64]
    voltage_pu_min: NDArray[np.float64]
    voltage_pu_max: NDArray[np.float64]
    batteries: tuple[BatterySpec, ...]
    battery_wh: NDArray[np.int64]
    violations: tuple[Violation, ...]


def _build_area(
    feeder: Feeder, model: FeederModel, number: int, scenario: Scenario, slots: Slots
) -> tuple[_Area, AreaColumns]:
    key = (scenario.seed, number)
    homes = home_energy(feeder, key, slots, scenario)
    load_wh, load_q_var = _other_loads(feeder, slots.when)
    power = slots.has_power.astype(np.int64)
    load_wh, load_q_var = load_wh * power[:, None], load_q_var * power[:, None]
    net_wh = np.concatenate([homes.import_wh - homes.export_wh, load_wh], axis=1)
    flow = model.solve(
        _at_terminals(feeder, net_wh * SLOTS_PER_HOUR),
        _at_terminals(feeder, np.concatenate([homes.q_var, load_q_var], axis=1)),
    )
    feeder_wh = np.rint(flow.upper_w * power / SLOTS_PER_HOUR).astype(np.int64)[:, None]
    net_wh = np.concatenate([net_wh, feeder_wh], axis=1)
    upper = feeder.transformer.node_upper * feeder.phases + np.arange(feeder.phases)
    u_pu = flow.u_pu * (feeder.transformer.u_lower_v / RATED_V)
    low_voltage = np.delete(u_pu, upper, axis=1)
    with_battery = np.flatnonzero(homes.strategies != WITHOUT_BATTERY)
    meters = meters_of_area(feeder, key, number, homes.has_pv, scenario.meters)
    # without load the flow has a voltage: what no device makes use of is no violation
    loaded_pu = u_pu[:, feeder.meter_terminals].astype(np.float32)
    area = _Area(
        meters=meters,
        loss_wh=np.rint(flow.loss_w * power / SLOTS_PER_HOUR).astype(np.int64),
        voltage_pu_min=low_voltage.min(axis=1) * power,
        voltage_pu_max=low_voltage.max(axis=1) * power,
        batteries=tuple(
            BatterySpec(
                household_code(number * feeder.households + home),
                int(homes.battery.capacity_wh[home]),
                int(homes.battery.reserve_wh[home]),
                STRATEGIES[homes.strategies[home]],
            )
            for home in with_battery.tolist()
        ),
        battery_wh=homes.battery.charge_wh[:, with_battery],
        violations=violations_of(
            scenario.grid,
            area_name(number),
            slots.start_s,
            [meter.meter for meter in meters],
            loaded_pu,
            flow,
            feeder.line_names,
        ),
    )
    return area, AreaColumns(net_wh, loaded_pu * slots.has_power[:, None], loadings_of(flow) * slots.has_power[:, None])


def _at_terminals(feeder: Feeder, of_loads: NDArray[Any]) -> NDArray[np.float64]:
    """The sum of the loads at each terminal [slots, terminals], of [slots, loads]."""
    at_terminals = np.zeros((len(of_loads), feeder.terminals))
    for load, terminal in enumerate(feeder.load_terminal.tolist()):
        at_terminals[:, terminal] += of_loads[:, load]
    return at_terminals


def _other_loads(feeder: Feeder, when: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Shops, farms, heat pumps and charging points as SimBench has them: whole Wh and var [slots, loads - homes]."""
    others = slice(feeder.households, None)
    profile = feeder.load_profile[others]
    p_w = feeder.load_p_shapes[profile, when[:, None]] * (feeder.load_p_scale[profile] * feeder.load_p_w[others])
    q_var = feeder.load_q_shapes[profile, when[:, None]] * (feeder.load_q_scale[profile] * feeder.load_q_var[others])
    return np.maximum(np.rint(p_w / SLOTS_PER_HOUR), 0).astype(np.int64), q_var
