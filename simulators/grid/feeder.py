"""A low-voltage feeder: topology, sizes and load/PV shapes of one leap year of wall-clock time; those of the SimBench extracts are read here."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import GridError
from simulators.scenarios.schema import SIMBENCH_RURAL3, SIMBENCH_SEMIURB4, SIMBENCH_URBAN6

EXTRACTS: Final = {
    SIMBENCH_SEMIURB4: "data/semiurb4.npz",
    SIMBENCH_URBAN6: "data/urban6.npz",
    SIMBENCH_RURAL3: "data/rural3.npz",
}
"""The file of each SimBench grid, beside this module."""
SHAPE_SLOTS = 366 * 96
HOUSEHOLD_PREFIX = "H0"


@dataclass(frozen=True, eq=False)
class Feeder:
    """A radial or meshed grid below one transformer, with loads and PV units at its nodes.

    ``phases`` is 1 where the three phases are taken as balanced (one column stands for all of them), else 3. Column
    ``node * phases + phase`` of a ``[.., terminals]`` array belongs to one phase of a node. Shapes cover the 366 x 96 quarter hours of the wall-clock year 2016, from 1 January 00:00; a shape times the unit's rated
    power is its average power in the slot. Households come first in every ``load_*`` array (SimBench's order within each group).
    """

    node_u_rated_v: NDArray[np.float64]  # [nodes]
    line_nodes: NDArray[np.int32]  # [2, lines] from, to
    line_r_ohm: NDArray[np.float64]  # [lines]
    line_x_ohm: NDArray[np.float64]  # [lines]
    line_c_f: NDArray[np.float64]  # [lines]
    line_i_max_a: NDArray[np.float64]  # [lines]
    source_u_pu: float
    transformer: TransformerRating
    line_names: tuple[str, ...]  # [lines]
    load_node: NDArray[np.int32]  # [loads]
    load_profile: NDArray[np.int32]  # [loads] row of load_*_shapes
    load_p_w: NDArray[np.float64]  # [loads] rated active power
    load_q_var: NDArray[np.float64]  # [loads] rated reactive power
    pv_node: NDArray[np.int32]  # [PV units of SimBench]
    pv_profile: NDArray[np.int32]  # [PV units of SimBench] row of pv_shapes
    pv_p_w: NDArray[np.float64]  # [PV units of SimBench]
    load_p_shapes: NDArray[np.int16]  # [load profiles, SHAPE_SLOTS], times load_p_scale
    load_p_scale: NDArray[np.float64]  # [load profiles]
    load_q_shapes: NDArray[np.int16]  # [load profiles, SHAPE_SLOTS], times load_q_scale
    load_q_scale: NDArray[np.float64]  # [load profiles]
    pv_shapes: NDArray[np.int16]  # [PV profiles, SHAPE_SLOTS], times pv_scale
    pv_scale: NDArray[np.float64]  # [PV profiles]
    load_profile_names: tuple[str, ...]  # [load profiles]
    households: int  # loads[:households] are homes
    phases: int = 1
    load_phase: NDArray[np.int32] | None = None  # [loads] 0, 1, 2; None where phases is 1
    zero_sequence: ZeroSequence | None = None  # None where phases is 1

    @property
    def loads(self) -> int:
        """Number of loads, homes included."""
        return len(self.load_node)

    @property
    def load_terminal(self) -> NDArray[np.int32]:
        """[loads] node and phase at which each load hangs."""
        phase = np.zeros(self.loads, dtype=np.int32) if self.load_phase is None else self.load_phase
        return (self.load_node * self.phases + phase).astype(np.int32)

    @property
    def meter_terminals(self) -> NDArray[np.int32]:
        """[loads + 1] where each meter of an area hangs: the loads', then the feeder's, the first phase of the low-voltage busbar."""
        return np.append(self.load_terminal, np.int32(self.transformer.node_lower * self.phases))

    @property
    def terminals(self) -> int:
        """Number of terminals: nodes times phases."""
        return self.nodes * self.phases

    @property
    def nodes(self) -> int:
        """Number of nodes, the upper side of the transformer included."""
        return len(self.node_u_rated_v)


@dataclass(frozen=True, eq=False)
class ZeroSequence:
    """What the lines are for currents that are the same in all three phases."""

    line_r_ohm: NDArray[np.float64]  # [lines]
    line_x_ohm: NDArray[np.float64]  # [lines]
    line_c_f: NDArray[np.float64]  # [lines]


@dataclass(frozen=True)
class TransformerRating:
    """Name plate of the feeder's transformer; voltages in V, ratios per unit of its own rating."""

    node_upper: int
    node_lower: int
    u_upper_v: float
    u_lower_v: float
    sn_va: float
    uk: float
    pk_w: float
    i0: float
    p0_w: float
    clock: int
    tap_position: int
    tap_min: int
    tap_max: int
    tap_neutral: int
    tap_step_v: float


@lru_cache(maxsize=len(EXTRACTS))
def load_feeder(source: str = SIMBENCH_RURAL3) -> Feeder:
    """The feeder of a SimBench grid that ships; read once per process. GridError when its file is missing or cut."""
    return read_shipped(EXTRACTS[source], _feeder_of)


def read_shipped(name: str, make: Callable[[dict[str, NDArray[Any]]], Feeder]) -> Feeder:
    """The feeder that ``make`` makes of the arrays in a file beside this module; GridError when it is missing or cut."""
    try:
        with (
            files(__package__).joinpath(name).open("rb") as stream,
            np.load(stream, allow_pickle=False) as archive,
        ):
            return make({each: archive[each] for each in archive.files})
    except (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error) as trouble:
        message = f"simulators/grid/{name}: cannot be read ({trouble}); restore the file as shipped"
        raise GridError(message) from trouble


def homes_at_line_ends(feeder: Feeder) -> tuple[int, ...]:
    """The homes (as loads) at nodes where a line ends, one a node, the electrically farthest from the busbar first.

    Seen along a line that only takes energy the voltage falls to its end: these are the places to watch.
    """
    lines: dict[int, list[tuple[int, float]]] = {node: [] for node in range(feeder.nodes)}
    for start, end, r_ohm in zip(*feeder.line_nodes.tolist(), feeder.line_r_ohm.tolist(), strict=True):
        lines[start].append((end, r_ohm))
        lines[end].append((start, r_ohm))
    distance_ohm = {feeder.transformer.node_lower: 0.0}
    reached = list(distance_ohm)
    for node in reached:  # grows while it is walked
        for neighbour, r_ohm in lines[node]:
            if neighbour not in distance_ohm:
                distance_ohm[neighbour] = distance_ohm[node] + r_ohm
                reached.append(neighbour)
    ends = [node for node in reached if len(lines[node]) == 1]
    first_home = {int(node): home for home, node in reversed(list(enumerate(feeder.load_node[: feeder.households])))}
    return tuple(first_home[node] for node in sorted(ends, key=lambda node: -distance_ohm[node]) if node in first_home)


def rated_w(feeder: Feeder, profile: int, annual_kwh: int) -> float:
    """The power at which the shape of a profile comes to so much energy in the 366 days of its year."""
    hours = float(feeder.load_p_shapes[profile].sum(dtype=np.int64)) * float(feeder.load_p_scale[profile]) / 4
    return annual_kwh * 1000 / hours


def reactive_ratio(feeder: Feeder, profile: int) -> float:
    """Rated reactive over rated active power of the first load of a profile."""
    first = int(np.flatnonzero(feeder.load_profile == profile)[0])
    return float(feeder.load_q_var[first] / feeder.load_p_w[first])


def rating_of(arrays: dict[str, NDArray[Any]]) -> TransformerRating:
    """The transformer in the arrays of an extract."""
    tap = [int(value) for value in arrays["transformer_tap"]]
    return TransformerRating(
        node_upper=int(arrays["transformer_nodes"][0]),
        node_lower=int(arrays["transformer_nodes"][1]),
        u_upper_v=float(arrays["transformer_u_v"][0]),
        u_lower_v=float(arrays["transformer_u_v"][1]),
        sn_va=float(arrays["transformer_sn_va"]),
        uk=float(arrays["transformer_uk"]),
        pk_w=float(arrays["transformer_pk_w"]),
        i0=float(arrays["transformer_i0"]),
        p0_w=float(arrays["transformer_p0_w"]),
        clock=int(arrays["transformer_clock"]),
        tap_position=tap[0],
        tap_min=tap[1],
        tap_max=tap[2],
        tap_neutral=tap[3],
        tap_step_v=float(arrays["transformer_tap_v"]),
    )


def _feeder_of(arrays: dict[str, NDArray[Any]]) -> Feeder:
    names = [str(name) for name in arrays["load_profile_names"]]
    is_household = np.array([names[row].startswith(HOUSEHOLD_PREFIX) for row in arrays["load_profile"]])
    order = np.argsort(~is_household, kind="stable")
    return Feeder(
        node_u_rated_v=arrays["node_u_rated_v"],
        line_nodes=np.stack([arrays["line_from"], arrays["line_to"]]),
        line_r_ohm=arrays["line_r_ohm"],
        line_x_ohm=arrays["line_x_ohm"],
        line_c_f=arrays["line_c_f"],
        line_i_max_a=arrays["line_i_max_a"],
        line_names=tuple(f"line {number}" for number in range(1, len(arrays["line_from"]) + 1)),
        source_u_pu=float(arrays["source_u_pu"]),
        transformer=rating_of(arrays),
        load_node=arrays["load_node"][order],
        load_profile=arrays["load_profile"][order],
        load_p_w=arrays["load_p_w"][order],
        load_q_var=arrays["load_q_var"][order],
        pv_node=arrays["pv_node"],
        pv_profile=arrays["pv_profile"],
        pv_p_w=arrays["pv_p_w"],
        load_p_shapes=arrays["load_p_shapes"],
        load_p_scale=arrays["load_p_scale"],
        load_q_shapes=arrays["load_q_shapes"],
        load_q_scale=arrays["load_q_scale"],
        pv_shapes=arrays["pv_shapes"],
        pv_scale=arrays["pv_scale"],
        load_profile_names=tuple(names),
        households=int(is_household.sum()),
    )
