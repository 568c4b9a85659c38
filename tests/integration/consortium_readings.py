"""Readings that flow into a consortium while a test does something else: the grid company's meter and its agent, boundary after boundary."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from gridcore.transactions.reading_batch import ReadingBatch
from ledger.client import Client
from simulators.meters import MeterFleet
from tests.integration.consortium_world import FIRST_S, PATIENCE_S, Consortium
from tests.integration.village import meter
from tests.waiting import until, wait_until

SLOT_S: Final = 300
"""Of the chain: so short that votes stay open over many boundaries."""
STEP_WH: Final = 50
PAUSE_S: Final = 5.0
"""Between two boundaries, at least: a vote is valid for an hour of ledger time, which is a minute then, long enough for a loaded machine."""
AREA: Final = "north"
BOUNDARIES: Final = 6
"""Fewer would show little of a flow."""


class Readings(threading.Thread):
    """See the module. A boundary comes once the ledger has the reading of the one before, so each must arrive, whatever happens."""

    def __init__(self, consortium: Consortium) -> None:
        super().__init__(daemon=True)
        self._consortium = consortium
        self._stopped = threading.Event()
        self._expected: dict[int, int] = {}
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Boundary after boundary, until told to stop."""
        try:
            asyncio.run(self._flow())
        except BaseException as error:  # told by stop
            self._failure = error

    def start(self) -> None:
        """Until the first boundary is on the ledger: its time has jumped to it then, and nothing that is signed later expires by that."""
        super().start()
        wait_until(lambda: len(self._expected) > 1 or not self.is_alive(), "a first boundary", PATIENCE_S)

    def stop(self) -> None:
        """After the boundary that is under way, and no fewer than BOUNDARIES: on a slow machine one lasts."""
        wait_until(lambda: len(self._expected) >= BOUNDARIES or not self.is_alive(), "boundaries", 3 * PATIENCE_S)
        self._stopped.set()
        self.join(3 * PATIENCE_S)
        assert not self.is_alive()
        if self._failure is not None:
            raise self._failure

    def check_nothing_is_lost(self, *names: str) -> None:
        """Each of these nodes has every reading, in batches that were accepted once; all have the same headers."""
        assert len(self._expected) >= BOUNDARIES
        newest_s = max(self._expected)
        for name in names:
            wait_until(lambda name=name: self._is_shown_by(name, newest_s), f"{name} has all", PATIENCE_S)  # type: ignore[misc]
            shown = {boundary_s: self._shown_by(name, boundary_s) for boundary_s in self._expected}
            assert shown == self._expected, (name, shown, self._expected)
        self._consortium.check_agreement(*names)
        blocks = self._consortium.blocks(names[-1], range(1, self._consortium.certified(names[-1]) + 1))
        sent = [one for block in blocks for one in block["transactions"] if one["kind"] == ReadingBatch.kind]
        accepted = [one["id"] for one in sent if one["name"] == "ACCEPTED"]
        assert len(accepted) == len(set(accepted)) == len(self._expected), sent

    async def _flow(self) -> None:
        async with meter() as (fleet, port):
            with self._agent(port):
                while not self._stopped.is_set():
                    await self._boundary(fleet)
                    await asyncio.sleep(PAUSE_S)

    async def _boundary(self, fleet: MeterFleet) -> None:
        boundary_s = FIRST_S + SLOT_S * len(self._expected)
        import_wh = STEP_WH * (len(self._expected) + 1)
        fleet.set_registers([import_wh], [0])
        await asyncio.to_thread(self._consortium.advance, boundary_s)
        self._expected[boundary_s] = import_wh
        await until(lambda: asyncio.to_thread(self._is_shown_by, "grid", boundary_s), PATIENCE_S)

    @contextmanager
    def _agent(self, port: int) -> Iterator[None]:
        """The grid company's agent as a process, which reads the meter at ``port``; it ends with nothing left to send."""
        folder = self._consortium.folder / "grid"
        file = folder / "edge-1.toml"
        file.write_text(re.sub(r"^port = 5020$", f"port = {port}", file.read_text(), flags=re.MULTILINE))
        with (folder / "edge.log").open("wb") as log:
            command = [sys.executable, "-m", "gridledger", "edge", "run", "--config", file.name]
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            try:
                yield
            finally:
                process.terminate()
                assert process.wait(30) == 0

    def _is_shown_by(self, name: str, boundary_s: int) -> bool:
        """Whether a node answers, and has the meter's registers at a boundary."""
        try:
            return self._shown_by(name, boundary_s) is not None
        except Exception:
            return False

    def _shown_by(self, name: str, boundary_s: int) -> int | None:
        """The meter's import register at a boundary, Wh, as a node has it; None where it has none."""

        async def ask(client: Client) -> Any:
            return await client.query(f"areas/{AREA}/registers", boundary_s=boundary_s)

        (shown,) = self._consortium.ask(name, ask)["registers"]
        import_wh: int | None = shown["import_wh"]
        return import_wh
