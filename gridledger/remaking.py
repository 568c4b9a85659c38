"""Runs that the pages have made again: a copy of the ledger's blocks is brought up to date, and the run made from it, in a process of its own.

[replay]                             # of web.toml
archive = "archive"                  # certified blocks (gridledger node archive)
ledger = "ledger"                    # the node's data directory, where it is on this machine: the archive is brought up to it first
folder = "replica"                   # a standby out of the archive, no node's; made when a run is made again first

The same as by hand: ``gridledger node archive``, ``node restore`` and ``settle replay``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from gridcore.errors import GridError, UsageError
from gridcore.processes import end_with_parent
from gridweb.replays import Made, Progress, RunWanted

TIME_S_MAX: Final = 4 * 3600
"""A run that takes longer to be made again is given up on the pages: make it by the command."""
LINE_BYTES_MAX: Final = 64 * 1024
DIFFERING_SHOWN: Final = 20
BLOCKS_A_LINE: Final = 20
"""The process says how far it is after so many blocks."""
NICE: Final = 10
"""What a node on the same machine does goes first."""


@dataclass(frozen=True)
class ReplayConfig:
    """What runs are made again from; see the module."""

    archive: Path
    folder: Path = Path("replica")
    ledger: Path | None = None


class CannotRemake(GridError):  # noqa: N818 - the name says what happened
    """A run cannot be made again here; one line says why."""


async def remake(config: ReplayConfig, wanted: RunWanted, show: Callable[[Progress], None]) -> Made:
    """Make a run again in a process of its own. CannotRemake."""
    asked = json.dumps({**{name: value and str(value) for name, value in asdict(config).items()}, "wanted": wanted})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        asked,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
        start_new_session=True,
        preexec_fn=end_with_parent,
    )
    try:
        async with asyncio.timeout(TIME_S_MAX):
            return await _follow(process, show)
    except TimeoutError:
        raise CannotRemake(
            f"not done after {TIME_S_MAX // 3600} hours; make it with gridledger settle replay"
        ) from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _follow(process: asyncio.subprocess.Process, show: Callable[[Progress], None]) -> Made:
    if process.stdout is None:
        raise CannotRemake("the process has no output")
    async for line in process.stdout:
        said = json.loads(line)
        if "made" in said:
            return Made(**{**said["made"], "differing": tuple(said["made"]["differing"])})
        if "refused" in said:
            raise CannotRemake(said["refused"])
        show(Progress(**said))
    raise CannotRemake(f"the process that made it again ended with status {await process.wait()}; its log says why")


# ------------------------------------------------------------------------------------------------------ in that process


def main(asked: str) -> int:
    """Make the run again that was asked for; says on standard output how far it is, and in the last line what came out."""
    os.nice(NICE)
    told = json.loads(asked)
    ledger = Path(told["ledger"]) if told["ledger"] else None
    config = ReplayConfig(Path(told["archive"]), Path(told["folder"]), ledger)
    try:
        _say(made=_make(config, RunWanted(*told["wanted"])))
    except (GridError, OSError) as error:
        _say(refused=str(error))
    return 0


def _say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def _make(config: ReplayConfig, wanted: RunWanted) -> dict[str, Any]:
    from ledger.store.archive import Archive, archive_blocks
    from ledger.store.rerun import RunName, rerun
    from ledger.store.standby import restore
    from settlement.catalogue import CONTRACTS, pins

    if config.ledger is not None:
        _say(step="archive", done=0, of=wanted.height)
        archive_blocks(config.ledger, config.archive)
    archive = Archive(config.archive)
    if archive.height < wanted.height:
        raise UsageError(
            f"{config.archive}: ends with block {archive.height}, the run was made in block {wanted.height}; bring it up to date: "
            f"gridledger node archive --data DIR --out {config.archive}"
        )
    restore(archive, config.folder, CONTRACTS, pins=pins(), progress=_teller("restore", archive.height))
    name = RunName(wanted.area, wanted.slot_start_s, wanted.run)
    again = rerun(config.folder, name, CONTRACTS, pins=pins(), progress=lambda done, of: _teller("rerun", of)(done))
    return {
        "zone": again.leaf.zone,
        "run": again.leaf.run,
        "run_id": again.run_id.hex(),
        "height": again.height,
        "as_of_height": again.leaf.as_of_height,
        "state_root": again.state_root.hex(),
        "contract": again.leaf.contract,
        "contract_pin": again.leaf.contract_pin.hex(),
        "points": again.leaf.points,
        "rows_root": again.leaf.rows_root.hex(),
        "received_nano": dict(again.received_nano),
        "compared": again.compared,
        "differing": again.differing[:DIFFERING_SHOWN],
        "differing_total": len(again.differing),
    }


def _teller(step: str, of: int) -> Callable[[int], None]:
    def tell(done: int) -> None:
        if done % BLOCKS_A_LINE == 0 or done == of:
            _say(step=step, done=done, of=of)

    return tell


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
