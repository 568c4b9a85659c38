"""A settlement run made again (``gridledger settle replay``): the chain is replayed from its blocks alone up to the run, and compared.

What decides a run is the state before its block, which the header of that height names by its root: the same run id gives the
same leaves, bit by bit, on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from gridcore import cbor
from gridcore.errors import UsageError
from gridcore.header import decode_header
from gridcore.registry.area import AREA
from gridcore.sm3 import sm3
from ledger.contract import Contract
from ledger.leaves.chain import CHAIN
from ledger.leaves.columns import chunks
from ledger.leaves.money import join_amount
from ledger.leaves.positions import POSITIONS
from ledger.leaves.results import RESULTS
from ledger.leaves.run import RUN, RunLeaf
from ledger.leaves.runs import RUNS
from ledger.registry.bodies import newest
from ledger.run_due import WantedRun, why_not_made
from ledger.signatures import SignatureChecker
from ledger.state.state import State
from ledger.store.archive import Archive
from ledger.store.block_log import LOG_NAME, BlockLog
from ledger.store.derived import derive, records, replay_into, snapshot_to_begin_with
from ledger.store.directory import load_genesis, locked
from ledger.store.opening import check_contracts
from ledger.store.state_db import DB_NAME, StateDb


class RunName(NamedTuple):
    """A run of the slot of an area; ``run`` None: the last one."""

    area: str
    slot_start_s: int
    run: str | None

    @property
    def words(self) -> str:
        """How a message names it: as the command line does."""
        return f"--slot {self.slot_start_s}" + ("" if self.run is None else f" --run {self.run}")


class Rerun(NamedTuple):
    """A run made again, beside what the data directory keeps of it.

    run_id: ``run_id``; height: of its block; state_root: of the header before it, from which the run follows; received_nano: by account,
    over all areas of the zone, as made again; differing: keys of leaves that are not the same, bit by bit; compared: how many were.
    """

    leaf: RunLeaf
    run_id: bytes
    height: int
    state_root: bytes
    received_nano: Mapping[str, int]
    compared: int
    differing: tuple[str, ...]


def run_id(chain: str, leaf: RunLeaf, state_root: bytes) -> bytes:
    """What names a run for good: chain, zone, slot, run, the height and state root that it rests on, and the contract's pin (SM3)."""
    return sm3(
        cbor.encode(
            [
                "run-id/1",
                chain,
                leaf.zone,
                leaf.slot_start_s,
                leaf.run,
                leaf.as_of_height,
                state_root,
                leaf.contract_pin,
            ]
        )
    )


def rerun(
    data_dir: Path,
    name: RunName,
    contracts: Mapping[str, Contract],
    *,
    pins: Mapping[str, bytes] | None = None,
    archive: Archive | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Rerun:
    """Replay a data directory's blocks up to a run and compare every leaf of the run. Nothing is changed.

    progress: called with blocks done and blocks in all. UsageError: no such ledger, area, slot or run, the directory is in use, or a
    contract is missing or has other code.
    """
    with ExitStack() as resources:
        resources.enter_context(locked(data_dir))
        genesis = load_genesis(data_dir)
        checker = SignatureChecker()
        resources.callback(checker.close)
        if not (data_dir / DB_NAME).exists():
            raise UsageError(f"{data_dir / DB_NAME}: missing; start the node once, it makes it again")
        kept = StateDb.open(data_dir / DB_NAME, genesis.digest)
        resources.callback(kept.close)
        application = replay_into(kept, contracts, pins, checker).application
        zone, run, height = _find(application.state, name, application.tip.ledger_time_s)
        begin = None if archive is not None else snapshot_to_begin_with(data_dir)
        if begin is not None and begin.manifest.height >= height:
            raise UsageError(
                f"{data_dir}: blocks before {begin.manifest.height + 1} are not here; give --archive with an archive that has them"
            )
        derived = derive(data_dir, genesis, begin, resources)
        replay = replay_into(derived, contracts, pins, checker)
        check_contracts(replay.application.state, contracts, pins)
        blocks = BlockLog.inspect(data_dir / LOG_NAME)
        resources.callback(blocks.close)
        for record in records(blocks, archive, derived.height()):
            replay.advance(record.block())
            progress(record.height, height)
            if record.height == height:
                break
        state = replay.application.state
        leaf = RUN.load(state, name.slot_start_s, zone, run)
        if leaf is None:
            raise UsageError(
                f"{data_dir}: its blocks make no run {run!r} of slot {name.slot_start_s}; check it: gridledger node check"
            )
        before = decode_header(derived.load_header(leaf.as_of_height) or b"").state_root
        keys = _keys(leaf)
        return Rerun(
            leaf=leaf,
            run_id=run_id(genesis.chain, leaf, before),
            height=height,
            state_root=before,
            received_nano=_received(state, leaf),
            compared=len(keys),
            differing=tuple(key for key in keys if _body(derived, key) != _body(kept, key)),
        )


def _find(state: State, name: RunName, now_s: int) -> tuple[str, str, int]:
    """Zone, name and block of a run that the ledger keeps. UsageError."""
    area = newest(state, AREA, name.area)
    if area is None:
        raise UsageError(f"--area {name.area}: is no area of this chain")
    zone = area.record.zone
    runs = RUNS.load(state, name.slot_start_s, zone)
    heights = {} if runs is None else dict(runs.runs)
    run = next(reversed(heights), None) if name.run is None else name.run
    if run is None or run not in heights:
        raise UsageError(f"{name.words} of area {name.area}: {_why_absent(state, zone, name, [*heights], now_s)}")
    return zone, run, heights[run]


def _why_absent(state: State, zone: str, name: RunName, names: Sequence[str], now_s: int) -> str:
    timeline = next(one.timeline for one in state.registry.zones if one.name == zone)
    wanted = WantedRun(name.slot_start_s, CHAIN.must(state).slot_s, name.run, names)
    return why_not_made(timeline, wanted, now_s)


def _keys(leaf: RunLeaf) -> list[str]:
    """The keys of all leaves that a run has written for itself."""
    of_run = (leaf.slot_start_s, leaf.zone, leaf.run)
    return [
        RUN.key(*of_run),
        *(POSITIONS.key(*of_run, chunk) for chunk, _, _ in chunks(leaf.rows)),
        *(RESULTS.key(*of_run, chunk) for chunk, _, _ in chunks(leaf.areas)),
    ]


def _body(db: StateDb, key: str) -> bytes | None:
    found = db.leaves.load_leaf(key)
    return None if found is None else found[1]


def _received(state: State, leaf: RunLeaf) -> dict[str, int]:
    received: dict[str, int] = {}
    for chunk, _, _ in chunks(leaf.areas):
        results = RESULTS.must(state, leaf.slot_start_s, leaf.zone, leaf.run, chunk)
        for account, units in results.totals.items():
            amounts = zip(units.tolist(), results.totals_nano[account].tolist(), strict=True)
            received[account] = received.get(account, 0) + sum(join_amount(*amount) for amount in amounts)
    return received
