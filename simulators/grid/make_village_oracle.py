"""Make the frozen oracle of a grid out of a table with pandapower: the gallery's village, an independent reader and solver.

Runs in the environment that ``extract_simbench.py`` describes:

    VENV/bin/python -m simulators.grid.make_village_oracle simulators/scenarios/gallery/village.csv tests/unit/simgrid/oracle_village.json
"""

from __future__ import annotations

import csv
import importlib
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

UNIT_W = (-9_000, -2_000, 300, 1_500, 3_500)
"""What each unit takes, in turn; negative: it feeds in."""
UNIT_VAR = 250
TRANSFORMER = {
    "sn_mva": 0.1,
    "vn_hv_kv": 10.0,
    "vn_lv_kv": 0.4,
    "vk_percent": 4.0,
    "vkr_percent": 1.5,
    "pfe_kw": 0.21,
    "i0_percent": 2.0,
    "shift_degree": 150.0,
}


def main(arguments: Sequence[str]) -> int:
    """Read the table at the first path, write the oracle to the second; 2 on bad usage."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m simulators.grid.make_village_oracle TABLE.csv OUTPUT.json\n")
        return 2
    pandapower = importlib.import_module("pandapower")
    with Path(arguments[0]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    net = pandapower.create_empty_network()
    upper = pandapower.create_bus(net, 10.0)
    buses = {"busbar": pandapower.create_bus(net, 0.4)} | {row["node"]: pandapower.create_bus(net, 0.4) for row in rows}
    pandapower.create_ext_grid(net, upper, vm_pu=1.0)
    pandapower.create_transformer_from_parameters(net, upper, buses["busbar"], **TRANSFORMER)
    for row in rows:
        pandapower.create_line_from_parameters(
            net,
            buses[row["from"]],
            buses[row["node"]],
            length_km=int(row["length_m"]) / 1000,
            r_ohm_per_km=int(row["r_micro_ohm_per_m"]) / 1000,
            x_ohm_per_km=int(row["x_micro_ohm_per_m"]) / 1000,
            c_nf_per_km=0.0,
            max_i_ka=int(row["i_max_a"]) / 1000,
        )
    loads = [pandapower.create_load(net, buses[row["node"]], 0.0) for row in rows]
    units = [int(row["units"]) for row in rows]
    cases = []
    for unit_w in UNIT_W:
        net.load.loc[loads, "p_mw"] = [unit_w * count / 1e6 for count in units]
        net.load.loc[loads, "q_mvar"] = [UNIT_VAR * count / 1e6 for count in units]
        pandapower.runpp(net, tolerance_mva=1e-10, calculate_voltage_angles=True, trafo_model="pi")
        u_pu = {name: round(float(net.res_bus.vm_pu[bus]), 9) for name, bus in buses.items()}
        lines = [round(float(value) / 100, 7) for value in net.res_line.loading_percent]
        loss_w = float(net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum()) * 1e6
        cases.append(
            {"unit_w": unit_w, "unit_var": UNIT_VAR, "u_pu": u_pu, "line_loading": lines, "loss_w": round(loss_w, 3)}
        )
    Path(arguments[1]).write_text(
        json.dumps({"versions": f"pandapower {version('pandapower')}", "cases": cases}, indent=1) + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
