"""Make the nets that the import of pandapower's files is tested with, and pandapower's own figures of them.

Two are benchmark grids of Kerber as pandapower's package has them (BSD licence), one is pandapower's synthetic low-voltage network with all that an
import has to see: a tap, parallel lines, switches, rows out of service, several loads at a bus. Runs in the environment that ``extract_simbench.py``
describes:

    VENV/bin/python -m simulators.grid.make_pandapower_nets tests/unit/simgrid/pandapower
"""

from __future__ import annotations

import importlib
import json
import random
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

FACTORS = (-0.5, 0.0, 0.4, 1.0)
"""By these the powers of all loads are multiplied in turn; negative: they feed in."""
REACTIVE = 0.2
"""Reactive over active power of each load."""
U_DIGITS = 9
LOADING_DIGITS = 7
SEED = 7


def main(arguments: Sequence[str]) -> int:
    """Write the nets and ``oracle.json`` into a folder; 2 on bad usage."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m simulators.grid.make_pandapower_nets FOLDER\n")
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    random.seed(SEED)  # pandapower draws the types of Kerber's lines
    pandapower, networks = (importlib.import_module(name) for name in ("pandapower", "pandapower.networks"))
    nets = {
        "kerber_landnetz": networks.create_kerber_landnetz_freileitung_1(),
        "kerber_dorfnetz": networks.create_kerber_dorfnetz(),
        "synthetic_lv": _changed(pandapower, networks.create_synthetic_voltage_control_lv_network()),
    }
    oracle: dict[str, Any] = {"versions": f"pandapower {version('pandapower')}", "nets": {}}
    for name, net in nets.items():
        net.std_types = {}
        for table in (net.bus, net.line):
            del table["geo"]
        path = folder / f"{name}.json"
        pandapower.to_json(net, str(path))
        path.write_text(_without_empty_tables(path.read_text()))
        oracle["nets"][name] = _cases(pandapower, net)
    (folder / "oracle.json").write_text(json.dumps(oracle, indent=1) + "\n")
    return 0


def _changed(pandapower: Any, net: Any) -> Any:
    """The network with all that an import has to see."""
    net.ext_grid.loc[net.ext_grid.index[0], "vm_pu"] = 1.0123
    trafo = net.trafo.index[0]
    net.trafo.loc[trafo, ["tap_pos", "tap_changer_type"]] = [-1, "Ratio"]
    lines, loads = list(net.line.index), list(net.load.index)
    net.line.loc[lines[0], "parallel"] = 2
    net.line.loc[lines[1], "df"] = 0.9
    net.load.loc[loads[0], "scaling"] = 0.7
    net.load["profile"] = [["H0-A", "H0-B", "G1-C"][number % 3] for number in range(len(loads))]
    bus = int(net.load.bus[loads[1]])
    pandapower.create_load(net, bus, 0.0021, profile="H0-L")
    pandapower.create_load(net, bus, 0.0021, profile="H0-L")
    pandapower.create_load(net, bus, 5.0, in_service=False)
    pandapower.create_load(net, int(net.trafo.lv_bus[trafo]), 0.004, profile="own")
    beside = pandapower.create_bus(net, 0.4)
    pandapower.create_switch(net, bus, beside, et="b", closed=True)
    pandapower.create_load(net, beside, 0.003, profile="H0-C")
    ring = _line(pandapower, net, int(net.load.bus[loads[2]]), int(net.load.bus[loads[5]]))
    pandapower.create_switch(net, int(net.load.bus[loads[2]]), ring, et="l", closed=False)
    spare = _line(pandapower, net, int(net.load.bus[loads[3]]), int(net.load.bus[loads[6]]))
    net.line.loc[spare, "in_service"] = False
    pandapower.create_bus(net, 0.4, in_service=False)
    return net


def _line(pandapower: Any, net: Any, start: int, end: int) -> int:
    return int(
        pandapower.create_line_from_parameters(
            net, start, end, length_km=0.1, r_ohm_per_km=0.6, x_ohm_per_km=0.08, c_nf_per_km=210.0, max_i_ka=0.14
        )
    )


def _without_empty_tables(text: str) -> str:
    """As pandapower wrote it, but for tables without rows, which are most of the file."""
    whole = json.loads(text)
    tables = whole["_object"]
    for name in [
        name for name, value in tables.items() if isinstance(value, dict) and '"data":[]' in str(value.get("_object"))
    ]:
        del tables[name]
    return json.dumps(whole, indent=1) + "\n"


def _cases(pandapower: Any, net: Any) -> list[dict[str, Any]]:
    net.sgen["in_service"] = False  # not imported
    drawn = net.load.p_mw.copy()
    cases = []
    for factor in FACTORS:
        net.load["p_mw"] = drawn * factor
        net.load["q_mvar"] = drawn * factor * REACTIVE
        pandapower.runpp(net, tolerance_mva=1e-10, calculate_voltage_angles=True, trafo_model="pi")
        u_pu = {str(bus): round(float(u), U_DIGITS) for bus, u in net.res_bus.vm_pu.dropna().items()}
        loss_w = float(net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum()) * 1e6
        lines = {
            f"{net.line.from_bus[line]}-{net.line.to_bus[line]}": round(float(percent) / 100, LOADING_DIGITS)
            for line, percent in net.res_line.loading_percent.dropna().items()
        }
        cases.append({"factor": factor, "u_pu": u_pu, "loss_w": round(loss_w, 3), "line_loading": lines})
    return cases


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
