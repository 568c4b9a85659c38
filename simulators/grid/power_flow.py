"""Steady-state power flow of a feeder by power-grid-model, balanced or in three phases: voltages, net flow at the transformer, losses per slot.

Agrees with pandapower on the same feeders (frozen oracles, ``make_oracle.py`` and ``make_european_oracle.py``) within 5e-6 pu.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from power_grid_model import ComponentType, DatasetType, LoadGenType, PowerGridModel, WindingType, initialize_array
from power_grid_model.data_types import SingleComponentData

from gridcore.errors import GridError
from simulators.grid.feeder import Feeder

CHUNK_SLOTS_MAX = 1_000
SOURCE_SHORT_CIRCUIT_VA = 1e20  # the upper grid is taken as stiff, as an ideal slack is
SINGLE_THREAD: Final = -1
OUTPUTS: Final[dict[ComponentType, Any]] = {
    ComponentType.node: ["u_pu"],
    ComponentType.source: ["p"],
    ComponentType.line: ["loading"],
    ComponentType.transformer: ["loading"],
}
"""What is asked for; the rest of each component's results would only be memory."""


@dataclass(frozen=True, eq=False)
class Flow:
    """Result per slot; powers in W averaged over the slot, voltages in per unit of each node's rated voltage."""

    upper_w: NDArray[np.float64]  # [slots] net flow into the feeder at the transformer's upper side; negative = export
    loss_w: NDArray[np.float64]  # [slots] lines and transformer, no-load losses included
    u_pu: NDArray[np.float64]  # [slots, terminals]
    line_loading: NDArray[np.float64]  # [slots, lines] of the current that each carries at most
    transformer_loading: NDArray[np.float64]  # [slots] of its rated power


class FeederModel:
    """A feeder made ready for batches of slots; build once, solve often."""

    def __init__(self, feeder: Feeder) -> None:
        self._nodes, self._lines, self._phases = feeder.nodes, len(feeder.line_names), feeder.phases
        self._first_load_id = 2 * feeder.nodes + feeder.line_nodes.shape[1] + 2
        self._model = PowerGridModel(_components(feeder, self._first_load_id))

    def solve(self, p_w: NDArray[np.float64], q_var: NDArray[np.float64]) -> Flow:
        """Power flow for consumption ``p_w`` and ``q_var`` [slots, terminals]; negative = feeding in.

        GridError when a slot has no solution (the demand is more than the feeder can carry).
        """
        starts = range(0, len(p_w), CHUNK_SLOTS_MAX)
        chunks = [
            self._solve_chunk(p_w[at : at + CHUNK_SLOTS_MAX], q_var[at : at + CHUNK_SLOTS_MAX]) for at in starts
        ] or [self._nothing()]
        upper_w, u_pu, line_loading, transformer_loading = (
            np.concatenate(column) for column in zip(*chunks, strict=True)
        )
        loss_w = upper_w - p_w.sum(axis=1)
        return Flow(upper_w, loss_w, u_pu, line_loading, transformer_loading)

    def _nothing(self) -> tuple[NDArray[Any], ...]:
        return np.zeros(0), np.zeros((0, self._nodes * self._phases)), np.zeros((0, self._lines)), np.zeros(0)

    def _solve_chunk(self, p_w: NDArray[np.float64], q_var: NDArray[np.float64]) -> tuple[NDArray[Any], ...]:
        slots, kind = len(p_w), _load_kind(self._phases)
        by_node = (slots, self._nodes) if self._phases == 1 else (slots, self._nodes, self._phases)
        update = initialize_array(DatasetType.update, kind, (slots, self._nodes))
        update["id"] = self._first_load_id + np.arange(self._nodes)
        update["p_specified"] = p_w.reshape(by_node)
        update["q_specified"] = q_var.reshape(by_node)
        try:
            result = self._model.calculate_power_flow(
                symmetric=self._phases == 1,
                update_data={kind: update},
                output_component_types=OUTPUTS,
                threading=SINGLE_THREAD,
            )
        except RuntimeError as trouble:  # base of every error of power-grid-model, which does not export a typed one
            first_line = str(trouble).strip().split("\n", 1)[0]
            message = f"power flow: no solution for these loads and PV sizes ({first_line}); use smaller ones"
            raise GridError(message) from trouble
        return (
            result[ComponentType.source]["p"][:, 0].reshape(slots, self._phases).sum(axis=1),
            result[ComponentType.node]["u_pu"].reshape(slots, self._nodes * self._phases),
            result[ComponentType.line]["loading"],
            result[ComponentType.transformer]["loading"][:, 0],
        )


def _load_kind(phases: int) -> ComponentType:
    return ComponentType.sym_load if phases == 1 else ComponentType.asym_load


def _components(feeder: Feeder, first_load_id: int) -> dict[ComponentType, SingleComponentData]:
    """Input data: ids are nodes 0.., then lines, transformer, source, and one constant-power load per node (one on each phase of three)."""
    nodes, lines, rating = feeder.nodes, feeder.line_nodes.shape[1], feeder.transformer
    node = initialize_array(DatasetType.input, ComponentType.node, nodes)
    node["id"] = np.arange(nodes)
    node["u_rated"] = feeder.node_u_rated_v
    line = initialize_array(DatasetType.input, ComponentType.line, lines)
    line["id"] = nodes + np.arange(lines)
    line["from_node"], line["to_node"] = feeder.line_nodes
    line["from_status"] = line["to_status"] = 1
    line["r1"], line["x1"], line["c1"], line["tan1"] = feeder.line_r_ohm, feeder.line_x_ohm, feeder.line_c_f, 0.0
    line["i_n"] = feeder.line_i_max_a
    if feeder.zero_sequence is not None:
        zero = feeder.zero_sequence
        line["r0"], line["x0"], line["c0"], line["tan0"] = zero.line_r_ohm, zero.line_x_ohm, zero.line_c_f, 0.0
    transformer = initialize_array(DatasetType.input, ComponentType.transformer, 1)
    for attribute, value in {
        "id": nodes + lines,
        "from_node": rating.node_upper,
        "to_node": rating.node_lower,
        "from_status": 1,
        "to_status": 1,
        "u1": rating.u_upper_v,
        "u2": rating.u_lower_v,
        "sn": rating.sn_va,
        "uk": rating.uk,
        "pk": rating.pk_w,
        "i0": rating.i0,
        "p0": rating.p0_w,
        "winding_from": WindingType.delta,
        "winding_to": WindingType.wye_n,
        "clock": rating.clock,
        "tap_side": 0,  # from side
        "tap_pos": rating.tap_position,
        "tap_min": rating.tap_min,
        "tap_max": rating.tap_max,
        "tap_nom": rating.tap_neutral,
        "tap_size": rating.tap_step_v,
    }.items():
        transformer[attribute] = value
    source = initialize_array(DatasetType.input, ComponentType.source, 1)
    source["id"], source["node"], source["status"] = nodes + lines + 1, rating.node_upper, 1
    source["u_ref"], source["sk"] = feeder.source_u_pu, SOURCE_SHORT_CIRCUIT_VA
    kind = _load_kind(feeder.phases)
    load = initialize_array(DatasetType.input, kind, nodes)
    load["id"], load["node"], load["status"] = first_load_id + np.arange(nodes), np.arange(nodes), 1
    load["type"], load["p_specified"], load["q_specified"] = LoadGenType.const_power, 0.0, 0.0
    return {
        ComponentType.node: node,
        ComponentType.line: line,
        ComponentType.transformer: transformer,
        ComponentType.source: source,
        kind: load,
    }
