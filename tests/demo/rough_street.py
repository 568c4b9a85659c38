"""Scenarios in which meters of every protocol, devices and drifting clocks meet faults, chance and fraud; and which files two runs of one must share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from tests.demo.demo_run import Finished
from tests.demo.test_simulate_small import short_copy

OF_THE_CHAIN: Final = ("ledger", "run", "sample.book", "sample.evd", "trust.json")
"""What holds keys, salts or block times, which are drawn anew for each chain."""


class Trouble(NamedTuple):
    """An event of a scenario; ``chance_percent`` as in ``simulators.scenarios.schema.Event``."""

    kind: str
    target: str
    from_slot: int
    until_slot: int
    other: str = ""
    chance_percent: int = 100


TROUBLES: Final = (
    Trouble("late", "M-H001", 1, 2),
    Trouble("late", "M-H004", 1, 2),
    Trouble("late", "M-H009", 1, 2),
    Trouble("lost", "M-H010", 1, 2),
    Trouble("reboot", "M-H015", 1, 2),
    Trouble("word_swap", "M-H016", 1, 2),
    Trouble("exception", "M-H003", 1, 4, "", 60),
    Trouble("stopped", "M-H005", 1, 4),
    Trouble("collusion", "M-H006", 1, 4, "M-H007"),
    Trouble("h3", "M-H012", 1, 4),
    Trouble("bypass", "M-H014", 1, 4),
    Trouble("stolen_key", "A1", 2, 4),
    Trouble("lost", "A1", 4, 5, "", 25),
    Trouble("garbled", "A1", 5, 6),
    Trouble("duplicated", "A1", 6, 7),
    Trouble("reordered", "A1", 7, 8),
    Trouble("cut_from_node", "A1", 8, 10),
    Trouble("dead_gateway", "A1", 10, 11),
    Trouble("dead_broker", "A1", 11, 12),
)
SLOTS: Final = 12
BAUD: Final = 115_200


def rough_street(folder: Path, slots: int = SLOTS, troubles: Iterable[Trouble] = TROUBLES) -> str:
    """The scenario ``mixed_street`` with so many slots, on faster lines, in which these things happen."""
    path = Path(short_copy("mixed_street", folder, slots))
    text = re.sub(r"^slots = \d+$", f"slots = {slots}", path.read_text(), flags=re.MULTILINE)
    text = re.sub(r"^baud = \d+$", f"baud = {BAUD}", text, flags=re.MULTILINE)
    path.write_text(text + events_toml(troubles))
    return str(path)


def events_toml(troubles: Iterable[Trouble]) -> str:
    """The tables of a scenario's file that say so."""
    tables = ({"label": f"a {trouble.kind}", **trouble._asdict()} for trouble in troubles)
    rows = ("".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items() if value) for table in tables)
    return "".join(f"\n[[events]]\n{row}" for row in rows)


def differing_files(one: Finished, other: Finished) -> list[str]:
    """The files that only one of two runs has, or that differ in a byte; of the manifest what is said of anything but the chain."""
    names = {path.name for run in (one, other) for path in run.out.iterdir() if path.name not in OF_THE_CHAIN}
    found = [name for name in sorted(names - {"manifest.json"}) if _bytes_of(one, name) != _bytes_of(other, name)]
    told = [{**json.loads((run.out / "manifest.json").read_text()), "chain": ""} for run in (one, other)]
    return found + ["manifest.json"] * (told[0] != told[1])


def _bytes_of(run: Finished, name: str) -> bytes | None:
    return (run.out / name).read_bytes() if (run.out / name).is_file() else None
