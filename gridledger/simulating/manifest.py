"""``manifest.json`` of a simulated world: what went in, by which versions, and the digests of what came out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Final

from firmware_profiles import load_profile
from gridcore.sm3 import hasher
from gridledger import __version__
from gridledger.founding.folder import write_new
from gridledger.settling.files.fault import not_read
from gridledger.simulating.terms import FILES as RULES_FILES
from gridledger.simulating.world_files import NAMES, TRADERS_NAME
from gridledger.tables.parquet_file import copy_as_parquet
from gridledger.tables.results import COLUMNS
from settlement.catalogue import contract_pin
from simulators.grid.world import World, data_files
from simulators.scenarios.schema import Tariff

NAME: Final = "manifest.json"
GRID_NAME: Final = "grid.csv"
"""The table of an own grid, which is an input."""
FILES: Final = (*NAMES, TRADERS_NAME, "reported.csv", "settlement.csv", "report.html", *RULES_FILES, *COLUMNS)
"""What does not depend on keys, where it is there; with them their copies as Parquet."""
_LIBRARIES: Final = ("numpy", "power-grid-model", "pymodbus", "cryptography")
_BLOCK_BYTES: Final = 1 << 20
NONE_KNOWN: Final[Mapping[str, str]] = {}


def unread_rules(tariff: Tariff) -> list[str]:
    """Notes of the tables in a folder of rules whose names are none of those looked for, and none that a results folder has."""
    if tariff.rules is None or not tariff.rules.is_dir():
        return []
    there = sorted(path.name for path in tariff.rules.glob("*.csv"))
    return [not_read(name, RULES_FILES) for name in there if name not in (*FILES, GRID_NAME)]


def copy_tables(out: Path) -> list[Path]:
    """Make a Parquet copy of every table that is there."""
    tables = [out / name for name in FILES if name.endswith(".csv")]
    return [copy_as_parquet(table) for table in tables if table.exists()]


def digests_of(out: Path) -> Mapping[str, str]:
    """SM3 of those of ``FILES`` that are in a folder, hexadecimal, by name."""
    return {name: _sm3(out / name) for name in FILES if (out / name).exists()}


def write_manifest(
    out: Path,
    world: World,
    *,
    contract: str,
    currency: str,
    copies: Iterable[Path] = (),
    known: Mapping[str, str] = NONE_KNOWN,
    **inputs: Any,
) -> None:
    """Make it of the folder ``out`` as it is. known: digests of some of its files, which are not read again; inputs: what else it is to say, behind the versions."""
    profiles = sorted({meter.profile for meter in world.meters})
    data = resources.files("simulators.grid")
    manifest = {
        "simulated": True,
        "versions": {
            "gridledger": __version__,
            "python": sys.version.split()[0],
            **{name: metadata.version(name) for name in _LIBRARIES},
        },
        "seed": world.scenario.seed,
        "first_slot_start_s": int(world.slot_start_s[0]),
        "slots": world.slots,
        "contract": contract,
        "currency": currency,
        "households": world.scenario.households.trading,
        **inputs,
        "inputs_sm3": {
            "scenario": _sm3(out / "scenario.toml"),
            **{what: _sm3(Path(str(data / name))) for what, name in data_files(world.scenario.grid).items()},
            **({"grid table": _sm3(out / GRID_NAME)} if (out / GRID_NAME).exists() else {}),
            "contract": contract_pin(contract).hex(),
            **{f"profile {name}": load_profile(name).digest.hex() for name in profiles},
        },
        "sm3": {
            **{name: known.get(name) or _sm3(out / name) for name in FILES if (out / name).exists()},
            **{copy.name: _sm3(copy) for copy in copies},
        },
    }
    write_new(out / NAME, json.dumps(manifest, indent=2) + "\n")


def _sm3(path: Path) -> str:
    digest = hasher()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.digest().hex()
