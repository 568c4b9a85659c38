"""A chain with one household whose meter is read, exchanged, reset: for tests of registers and energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gridcore.codes import Code
from gridcore.master_data import Listed, Named
from gridcore.registry.installation import INSTALLATION, Installation, RemovedInstallation
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from ledger.leaves.positions import POSITIONS
from ledger.leaves.runs import RUNS
from ledger.state.block import Applied
from tests.worlds.consortium import DAY_S, FIRST_S, SLOT_S, UTILITY, Consortium, household, zone
from tests.worlds.keys import sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender

BREAK_S = FIRST_S + 420
"""Seven minutes into the first slot: an electrician is there."""
LIMIT_WH = 10_000
METER = Installation("gw-1", LIMIT_WH, "M-1", 0, "P-1", "test", 1)

UTILITY_ALONE: Mapping[str, Sequence[str]] = {"dso": ["utility"]}


class Meters:
    """A chain with one household whose slots settle once their readings are there. more: what genesis knows ahead; zone_changes: see ``zone``."""

    def __init__(
        self,
        *more: Listed,
        first_registers: tuple[int, int] = (500_000, 0),
        modulus_wh: int = 0,
        installed_s: int = FIRST_S - DAY_S,
        roles: Mapping[str, Sequence[str]] = UTILITY_ALONE,
        **zone_changes: Any,
    ) -> None:
        home = household(1, "p-1", first_registers=first_registers, installed_s=installed_s, modulus_wh=modulus_wh)
        self.world = Consortium(
            meters=[home],
            zones=[zone(**{"metering_deadline_s": 0, **zone_changes})],
            more=more,
            roles=roles,
            organisations={"dso": "dso"},
        )
        self.sender = Sender(self.world.chain, self.world.start_s, sign_cheaply)
        self.ledger = MemoryLedger(self.world.genesis)
        self.apply(self.sender.clock(FIRST_S))

    def apply(self, *wires: bytes) -> Applied:
        """One block, all of it accepted."""
        applied = self.ledger.apply(wires)
        assert {result.code for result in applied.results} == {Code.ACCEPTED}
        return applied

    def step_to(self, time_s: int) -> None:
        """Move the clock, unless it is there already."""
        while self.sender.now_s < time_s:
            self.apply(self.sender.clock(min(time_s, self.sender.now_s + DAY_S)))

    def read(self, boundary_s: int, *rows: tuple[int, int, int]) -> list[int]:
        """A batch of (meter, import, export) when the clock stands at its boundary; the codes of the refused rows."""
        self.step_to(boundary_s)
        if not rows:
            return []
        (result,) = self.apply(self.sender.batch("gw-1", boundary_s, rows)).results
        return [verdict.code for verdict in result.rows]

    def energy_wh(self, slot_start_s: int = FIRST_S) -> tuple[int, int]:
        """Import and export by the last run of a slot."""
        self.step_to(slot_start_s + SLOT_S)
        run = RUNS.must(self.ledger.state, slot_start_s, "z-1").last
        columns = POSITIONS.must(self.ledger.state, slot_start_s, "z-1", run, 0).columns
        return int(columns["import_wh"][0]), int(columns["export_wh"][0])


def exchanged(final: Sequence[int] | None, first: Sequence[int], modulus_wh: int = 0) -> list[Listed]:
    """M-1 is taken down and M-2 put up a minute later."""
    new = METER._replace(meter="M-2", first_registers=first, modulus_wh=modulus_wh)
    return [
        Named(INSTALLATION, "1", RemovedInstallation("P-1", final), BREAK_S),
        Named(INSTALLATION, "2", new, BREAK_S + 60),
    ]


def moved_within(at_s: int, registers: Sequence[int] | None, *, trades: bool = False, **point: Any) -> list[Named[Any]]:
    """Inside a slot p-1 leaves and P-1 is closed; p-2 has a point of his own, P-2, with the same meter from the same registers on.

    trades: p-2 may place orders; point: other fields of P-2.
    """
    start_s = at_s // SLOT_S * SLOT_S
    goes_on = METER._replace(point="P-2", first_registers=registers or [0, 0])
    return [
        Named(INSTALLATION, "1", RemovedInstallation("P-1", registers), at_s),
        Named(PARTY, "p-1", Party("a-1", UTILITY, trades=False), start_s + SLOT_S),
        Named(POINT, "P-1", Point("a-1", "household"), start_s + SLOT_S),
        Named(PARTY, "p-2", Party("a-1", UTILITY, trades=trades), start_s),
        Named(POINT, "P-2", Point("a-1", "household", **{"party": "p-2", **point}), start_s),
        Named(INSTALLATION, "2", goes_on, at_s),
    ]
