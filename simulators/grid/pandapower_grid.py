"""A net of pandapower as a table of an own grid: the tree of lines below its one transformer, and homes where its loads stand.

What a table cannot say is refused in one line that names table, row and what would be right. PV and storage are told and left out: a scenario
draws its own. docs/scenarios.md says what becomes of each column.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gridcore.errors import UsageError
from simulators.grid.feeder import HOUSEHOLD_PREFIX, Feeder, load_feeder, rated_w
from simulators.grid.own_feeder import BUSBAR, COLUMNS, NODES_MAX, OPTIONAL
from simulators.grid.pandapower_file import ELEMENTS, Net, Row
from simulators.scenarios.keys import PPM
from simulators.scenarios.schema import Transformer

HEAD: Final = (*COLUMNS, *OPTIONAL)
DRAWN: Final = ("sgen", "storage")
"""Tables that are left out, as a scenario draws PV and batteries itself."""
_NO_ELEMENTS: Final = ("controller", "measurement", "group")
_INSTEAD: Final = {
    "trafo3w": "a grid of its own hangs on one transformer of two windings",
    "gen": "make it a row of sgen",
    "asymmetric_load": "make it a row of load, alike in all phases",
    "asymmetric_sgen": "make it a row of sgen, alike in all phases",
    "impedance": "make it a row of line",
}
_OTHERWISE: Final = "take it out of service or out of the net"
_U_LOWER_KV: Final = 0.4
_U_TOLERANCE_KV: Final = 1e-9
_JOINT: Final = {"length_m": "1", "r_micro_ohm_per_m": "1", "x_micro_ohm_per_m": "1", "i_max_a": "10000"}
"""The line to a further node of the same bus: 1 microohm, next to nothing."""
_RATIO: Final = "Ratio"


@dataclasses.dataclass(frozen=True)
class Homes:
    """What a load takes that names none of our load shapes: this ``profile``, and ``annual_kwh`` a year; None: what its p_mw says."""

    profile: str
    annual_kwh: int | None = None


@dataclasses.dataclass(frozen=True)
class ImportedGrid:
    """``rows``: of the table, by ``HEAD``; ``homes``, ``loads``: how many units; ``left_out``: rows by table."""

    rows: tuple[tuple[str, ...], ...]
    transformer: Transformer
    homes: int
    loads: int
    left_out: Mapping[str, int]


@dataclasses.dataclass
class _Place:
    """A node: buses that closed switches make one."""

    lines: list[tuple[Row, int]] = dataclasses.field(default_factory=list)
    loads: Counter[tuple[str, int]] = dataclasses.field(default_factory=Counter)


def import_grid(net: Net, homes: Homes) -> ImportedGrid:
    """The table and the transformer of a net. UsageError for what does not fit in them."""
    shipped = load_feeder()
    if homes.profile not in shipped.load_profile_names:
        known = ", ".join(shipped.load_profile_names)
        raise UsageError(f"--profile {homes.profile!r} is not there; known: {known}")
    _check_tables(net)
    places = _Places(net)
    transformer = _transformer_of(places.transformer, places.source_kv)
    for load in net.in_service("load"):
        places.stand(load, _kind_of(load, shipped, homes))
    rows = tuple(places.walk())
    if len(rows) > NODES_MAX:
        raise net.refused(f"has {len(rows)} nodes below the transformer; a table holds {NODES_MAX}")
    kinds = [item for place in places.reached() for item in place.loads.items()]
    return ImportedGrid(
        rows,
        transformer,
        homes=sum(units for (profile, _), units in kinds if profile.startswith(HOUSEHOLD_PREFIX)),
        loads=sum(units for _, units in kinds),
        left_out={name: len(found) for name in DRAWN if (found := net.in_service(name))},
    )


def _check_tables(net: Net) -> None:
    """Raise UsageError for elements that a table has no word for."""
    for name, rows in net.tables.items():
        if name in ELEMENTS or name in _NO_ELEMENTS:
            continue
        for row in rows:
            if "in_service" in row.cells and row.is_in_service:
                raise row.refused(f"{name} is not imported; {_INSTEAD.get(name, _OTHERWISE)}")


class _Places:
    """The buses of a net and what connects them, from its transformer down."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._bus = {row.index: row for row in net.rows("bus")}
        self._same: dict[int, int] = {}
        self._open: set[tuple[str, int]] = set()
        for switch in net.rows("switch"):
            self._note_switch(switch)
        source, self.transformer = self._head()
        self.source_kv = source.positive("vm_pu") * self._bus[source.whole("bus")].number("vn_kv")
        self._busbar = self._place(self.transformer, "lv_bus")
        self._places: dict[int, _Place] = defaultdict(_Place)
        for line in net.in_service("line"):
            if ("l", line.index) in self._open or not self._lives(line, "from_bus", "to_bus"):
                continue
            ends = [self._place(line, name) for name in ("from_bus", "to_bus")]
            for end, other in (ends, ends[::-1]):
                self._places[end].lines.append((line, other))
        self._order = dict(self._tree())

    def reached(self) -> Iterator[_Place]:
        """The places below the transformer."""
        return (self._places[number] for number in (self._busbar, *self._order))

    def stand(self, load: Row, kind: tuple[str, int] | None) -> None:
        """Let a load stand at its bus; None: it takes nothing."""
        if kind is None or not self._lives(load, "bus"):
            return
        bus, place = load.whole("bus"), self._place(load, "bus")
        if place != self._busbar and place not in self._order:
            raise load.refused(
                f"bus {bus} is not connected to the transformer; take the load out of service, or close the switch or line"
            )
        self._places[place].loads[kind] += 1

    def walk(self) -> Iterator[tuple[str, ...]]:
        """The rows of the table, each after the one that it hangs on."""
        yield from self._further(self._busbar, BUSBAR, list(self._places[self._busbar].loads.items()))
        for number, (line, feeding) in self._order.items():
            kinds = list(self._places[number].loads.items()) or [(("", 0), 0)]
            name, above = f"B{number}", BUSBAR if feeding == self._busbar else f"B{feeding}"
            yield _row(name, above, _cells_of(line), kinds[0])
            yield from self._further(number, name, kinds[1:])

    def _further(
        self, number: int, name: str, kinds: Iterable[tuple[tuple[str, int], int]]
    ) -> Iterator[tuple[str, ...]]:
        """A node of its own for each further kind of load at a bus."""
        for place, kind in enumerate(kinds, 2):
            yield _row(f"B{number}-{place}", name, _JOINT, kind)

    def _tree(self) -> Iterator[tuple[int, tuple[Row, int]]]:
        """Each place below the busbar with its line and the place above it. UsageError where a line closes a ring."""
        seen, used = {self._busbar}, set[int]()
        upper = self._place(self.transformer, "hv_bus")
        walked = [self._busbar]
        for number in walked:  # grows while it is walked
            self._check_voltage(number)
            for line, other in sorted(self._places[number].lines, key=lambda found: found[0].index):
                if line.index in used:
                    continue
                used.add(line.index)
                if other == upper:
                    raise line.refused(
                        "leads to the transformer's upper side; a grid of its own hangs on the transformer alone"
                    )
                if other in seen:
                    raise line.refused(
                        "closes a ring; a table holds a tree: open the line, by its in_service or a switch"
                    )
                seen.add(other)
                walked.append(other)
                yield other, (line, number)

    def _check_voltage(self, number: int) -> None:
        row = self._bus[number]
        if abs(row.number("vn_kv") - _U_LOWER_KV) > _U_TOLERANCE_KV:
            raise row.refused(f"vn_kv is {row.number('vn_kv'):g}; below the transformer it must be {_U_LOWER_KV}")

    def _head(self) -> tuple[Row, Row]:
        """The external grid and the transformer on it. UsageError where there is not one of each."""
        sources = [row for row in self._net.in_service("ext_grid") if self._lives(row, "bus")]
        if len(sources) != 1:
            where = sources[1].refused if sources else self._net.refused
            raise where(
                f"there are {len(sources)} external grids in service (ext_grid); it must be one, above the transformer"
            )
        closed = [row for row in self._net.in_service("trafo") if ("t", row.index) not in self._open]
        found = [row for row in closed if self._lives(row, "hv_bus", "lv_bus")]
        if len(found) != 1:
            where = found[1].refused if found else self._net.refused
            raise where(
                f"there are {len(found)} transformers in service (trafo); it must be one: import each area by itself"
            )
        (source,), (trafo,) = sources, found
        if self._place(source, "bus") != self._place(trafo, "hv_bus"):
            bus = trafo.whole("hv_bus")
            raise source.refused(
                f"stands at bus {source.whole('bus')}; it must stand at bus {bus}, the transformer's hv_bus"
            )
        return source, trafo

    def _note_switch(self, switch: Row) -> None:
        kind, element, is_closed = switch.text("et"), switch.whole("element"), switch.is_true("closed", default=True)
        if kind not in ("b", "l", "t", "t3"):
            raise switch.refused(f"et is {kind!r}; it must be 'b', 'l' or 't'")
        if not is_closed:
            self._open.add((kind, element))
        elif kind == "b" and self._lives(switch, "bus", "element"):
            if switch.number("z_ohm", 0.0):
                raise switch.refused(f"z_ohm is {switch.number('z_ohm'):g}; it must be 0: make it a row of line")
            one, other = self._place(switch, "bus"), self._place(switch, "element")
            if one != other:
                self._same[max(one, other)] = min(one, other)

    def _place(self, row: Row, name: str) -> int:
        """The place of the bus that a column names."""
        bus = row.whole(name)
        if bus not in self._bus:
            raise row.refused(f"{name} is {bus}, and the table bus has no such row")
        while bus in self._same:
            bus = self._same[bus]
        return bus

    def _lives(self, row: Row, *names: str) -> bool:
        """Whether all buses that these columns name are in service."""
        for name in names:
            self._place(row, name)
        return all(self._bus[row.whole(name)].is_in_service for name in names)


def _row(name: str, above: str, line: Mapping[str, str], kind: tuple[tuple[str, int], int]) -> tuple[str, ...]:
    (profile, annual_kwh), units = kind
    cells = {"node": name, "from": above, "units": str(units), "profile": profile, "annual_kwh": str(annual_kwh)}
    return tuple({**dict.fromkeys(OPTIONAL, "0"), **cells, **line}[column] for column in HEAD)


def _cells_of(line: Row) -> dict[str, str]:
    """A line's length and what it is per metre; parallel ones are taken together."""
    parallel = line.positive("parallel", 1.0)
    if line.number("g_us_per_km", 0.0):
        raise line.refused(f"g_us_per_km is {line.number('g_us_per_km'):g}; it must be 0")
    values = {
        "length_m": line.number("length_km") * 1e3,
        "r_micro_ohm_per_m": line.number("r_ohm_per_km") / parallel * 1e3,
        "x_micro_ohm_per_m": line.number("x_ohm_per_km") / parallel * 1e3,
        "c_pico_farad_per_m": line.number("c_nf_per_km", 0.0) * parallel,
        "i_max_a": line.number("max_i_ka") * line.number("df", 1.0) * parallel * 1e3,
    }
    return {name: _cell(line, name, value) for name, value in values.items()}


def _cell(line: Row, name: str, value: float) -> str:
    """The number as a column holds it, to the nearest of its last digit."""
    numbers = {**COLUMNS, **OPTIONAL}[name]
    text = f"{value:.{numbers.digits if numbers else 0}f}"
    if numbers is None or numbers.read(text) is None:
        raise line.refused(f"comes to {name} = {value:.6g}, which is no {numbers}")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _kind_of(load: Row, shipped: Feeder, homes: Homes) -> tuple[str, int] | None:
    """The load's shape and what it takes in a year; None where it takes nothing."""
    p_w = load.number("p_mw") * load.number("scaling", 1.0) * 1e6
    if p_w < 0:
        raise load.refused(f"p_mw is {load.number('p_mw'):g}; a load takes energy: make what gives it a row of sgen")
    if p_w == 0:
        return None
    named = load.text("profile")
    is_known = named in shipped.load_profile_names
    profile = named if is_known else homes.profile
    if homes.annual_kwh is not None and not is_known:
        return profile, homes.annual_kwh
    annual_kwh = max(1, round(p_w / rated_w(shipped, shipped.load_profile_names.index(profile), 1)))
    numbers = COLUMNS["annual_kwh"]
    if numbers is None or numbers.read(str(annual_kwh)) is None:
        raise load.refused(f"comes to annual_kwh = {annual_kwh} with the shape {profile}, which is no {numbers}")
    return profile, annual_kwh


def _transformer_of(row: Row, source_kv: float) -> Transformer:
    """The transformer as a scenario has it, with so much voltage above it; a tap on its upper side is part of ``upper_v``."""
    parallel = row.positive("parallel", 1.0)
    if abs(row.number("vn_lv_kv") - _U_LOWER_KV) > _U_TOLERANCE_KV:
        raise row.refused(f"vn_lv_kv is {row.number('vn_lv_kv'):g}; it must be {_U_LOWER_KV}")
    upper_kv = row.positive("vn_hv_kv") * (1 + _tap(row))
    rating_kva = row.positive("sn_mva") * parallel * 1e3
    if abs(rating_kva - round(rating_kva)) > 1e-6:
        raise row.refused(f"sn_mva comes to {rating_kva:g} kVA; it must be a whole number")
    no_load_loss_w = round(row.number("pfe_kw") * parallel * 1e3)
    no_load_current_ppm = round(row.number("i0_percent") * 1e4)
    numbers = {
        "rating_kva": round(rating_kva),
        "load_loss_w": round(row.number("vkr_percent") / 100 * rating_kva * 1e3),
        "no_load_loss_w": no_load_loss_w,
        "upper_v": round(upper_kv * 1e3),
        "short_circuit_ppm": round(row.number("vk_percent") * 1e4),
        # pandapower's own types have losses a little above their current times the rating
        "no_load_current_ppm": max(no_load_current_ppm, math.ceil(no_load_loss_w * 1e3 / rating_kva)),
        "source_ppm": round(source_kv / upper_kv * PPM),
    }
    for each in dataclasses.fields(Transformer):
        low, high = each.metadata["min"], each.metadata["max"]
        if not low <= numbers[each.name] <= high:
            raise row.refused(f"comes to {each.name} = {numbers[each.name]}, which is not from {low} to {high}")
    try:
        return Transformer(**numbers)
    except UsageError as error:
        raise row.refused(str(error)) from None


def _tap(row: Row) -> float:
    """The share by which the tap raises the upper side's voltage. UsageError for a tap that a scenario has no word for."""
    neutral = row.number("tap_neutral", 0.0)
    steps = row.number("tap_pos", neutral) - neutral
    if row.is_true("tap_dependency_table", default=False):
        raise row.refused("tap_dependency_table is true; it must be false, with values that are those of its tap")
    if not steps or not (row.number("tap_step_percent", 0.0) or row.number("tap_step_degree", 0.0)):
        return 0.0
    if "tap_changer_type" in row.cells and row.text("tap_changer_type") != _RATIO:
        said = row.cells["tap_changer_type"]
        raise row.refused(f"tap_pos is not tap_neutral, and tap_changer_type is {said!r}; it must be {_RATIO!r}")
    if row.text("tap_side") != "hv":
        raise row.refused(f"tap_side is {row.text('tap_side')!r}; it must be 'hv'")
    if row.number("tap_step_degree", 0.0):
        raise row.refused(f"tap_step_degree is {row.number('tap_step_degree'):g}; it must be 0")
    share = steps * row.number("tap_step_percent", 0.0) / 100
    if share <= -1:
        raise row.refused(f"its tap lowers vn_hv_kv by {-share:.0%}; it must be by less than all of it")
    return share
