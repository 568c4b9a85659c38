"""A run without agents goes on where it was killed: with the ledger that it had founded, whatever that has imported and settled by then.

The world and the tables are made again: they follow from scenario and seed, and a ledger brings itself up to a dataset
(``settled_ledger``).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

from gridcore.errors import UsageError
from gridcore.sm3 import sm3
from gridledger.founding.folder import write_new
from gridledger.settling.chain.importing import KEYS, LEDGER
from gridledger.settling.settled_folder import work_of
from gridledger.simulating.terms import files_of
from simulators.scenarios.gallery import Found

BEGUN: Final = "begun.json"
"""The first file of a folder that is worked in: what is run there. It is gone when all is made."""
SETTLEMENT: Final = "settlement"
"""The folder of what ``settle files`` makes."""


def decided_by(found: Found) -> dict[str, Any]:
    """What decides a run, with agents or without: its scenario with seed and size, and the files that it names. Another run does not go on with its folder."""
    scenario = found.scenario
    named = [*([] if scenario.grid.table is None else [scenario.grid.table]), *files_of(scenario.tariff)]
    files = [(path.name, sm3(path.read_bytes()).hex()) for path in named]
    size = {"slots": scenario.calendar.slot_count, "households": scenario.households.trading}
    return {"scenario_sm3": sm3(found.data).hex(), "seed": scenario.seed, **size, "files_sm3": files}


def note_begun(work: Path, identity: bytes) -> None:
    """Say what is run in a folder."""
    if not (work / BEGUN).exists():
        write_new(work / BEGUN, identity)


def has_ledger(out: Path) -> bool:
    """Whether a run for ``out`` was stopped that has founded its ledger: there is something to go on with."""
    work = work_of(out.absolute())
    return (work / BEGUN).exists() and (work / SETTLEMENT / LEDGER).is_dir()


def can_go_on(out: Path, work: Path, identity: bytes) -> bool:
    """Whether ``work`` has a ledger of this run; all else that is there is taken away. UsageError where another run has left it."""
    begun = work / BEGUN
    if not begun.exists():
        return False
    if begun.read_bytes() != identity:
        what = "what was killed there was begun with another scenario, seed or other options"
        raise UsageError(
            f"gridledger simulate run: --out {out}: {what}; give those with --resume, or leave it out to begin anew"
        )
    home = work / SETTLEMENT
    if not (home / LEDGER).is_dir():
        return False
    _keep_only(work, {BEGUN, SETTLEMENT})
    _keep_only(home, {LEDGER, KEYS})
    return True


def _keep_only(folder: Path, names: set[str]) -> None:
    for path in folder.iterdir():
        if path.name in names:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
