"""A settlement run made again (``gridledger settle replay``): the chain is replayed from its blocks alone up to the run, and compared.

What decides a run is the state before its block, which the header of that height names by its root: the same run id gives the
same leaves, bit by bit, on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from gridcore import cbor
from gridcore.errors import UsageError
from gridcore.header import decode_header
from gridcore.registry.area import AREA, Area
from gridcore.sm3 import sm3
from ledger.contract import Contract
from ledger.leaves.chain import CHAIN
from ledger.leaves.columns import chunks
from ledger.leaves.money import join_amount
from ledger.leaves.positions import POSITIONS
from ledger.leaves.progress import PROGRESS
from ledger.leaves.results import RESULTS
from ledger.leaves.run import RUN, RunLeaf
from ledger.leaves.runs import RUNS
from ledger.registry.bodies import newest
from ledger.registry.calendars import must_calendar
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


class RunSpan(NamedTuple):
    """Runs of an area's slots. times: of the area's time zone from when on, and before when, they start, UTC seconds; run: None for every run of
    each slot.
    """

    area: str
    times: Callable[[str], tuple[int, int]]
    run: str | None = None


class DifferingRun(NamedTuple):
    """A run that is kept otherwise than blocks make it. height: of its block; keys: of its leaves that are not the same."""

    slot_start_s: int
    run: str
    height: int
    keys: tuple[str, ...]


class SpanRerun(NamedTuple):
    """Runs made again. slots: how many have any; compared: leaves; differing: how many runs; height: of the last block that was made again."""

    zone: str
    slots: int
    runs: int
    compared: int
    differing: int
    height: int


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
        again = _Again(data_dir, contracts, pins, resources)
        zone, run, height = _find(again.kept_state, name, again.now_s)
        for _ in again.heights([height], archive, progress):
            pass
        leaf = RUN.load(again.state, name.slot_start_s, zone, run)
        if leaf is None:
            raise UsageError(
                f"{data_dir}: its blocks make no run {run!r} of slot {name.slot_start_s}; check it: gridledger node check"
            )
        before = decode_header(again.derived.load_header(leaf.as_of_height) or b"").state_root
        keys = _keys(leaf)
        return Rerun(
            leaf=leaf,
            run_id=run_id(again.genesis.chain, leaf, before),
            height=height,
            state_root=before,
            received_nano=_received(again.state, leaf),
            compared=len(keys),
            differing=again.differing(keys),
        )


def rerun_span(
    data_dir: Path,
    span: RunSpan,
    contracts: Mapping[str, Contract],
    tell: Callable[[DifferingRun], None],
    *,
    pins: Mapping[str, bytes] | None = None,
    archive: Archive | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> SpanRerun:
    """Replay a data directory's blocks once, up to the last of some runs, and compare every leaf of each as its block is made. As ``rerun``.

    tell: called with each run that differs, in the order of their blocks; of the runs no more is held than their names.
    """
    with ExitStack() as resources:
        again = _Again(data_dir, contracts, pins, resources)
        zone, wanted = _find_all(again.kept_state, span, again.height)
        compared = differing = 0
        for height in again.heights(sorted(wanted), archive, progress):
            for slot_start_s, run in wanted[height]:
                leaves = [RUN.load(state, slot_start_s, zone, run) for state in (again.state, again.kept_state)]
                keys = list(dict.fromkeys(key for leaf in leaves if leaf is not None for key in _keys(leaf)))
                compared += len(keys)
                if found := again.differing(keys):
                    differing += 1
                    tell(DifferingRun(slot_start_s, run, height, found))
        slots = {slot_start_s for runs in wanted.values() for slot_start_s, _ in runs}
        return SpanRerun(zone, len(slots), sum(map(len, wanted.values())), compared, differing, max(wanted))


class _Again:
    """A data directory, and its chain made again from blocks alone beside it. UsageError: see ``rerun``."""

    def __init__(
        self,
        data_dir: Path,
        contracts: Mapping[str, Contract],
        pins: Mapping[str, bytes] | None,
        resources: ExitStack,
    ) -> None:
        resources.enter_context(locked(data_dir))
        self._data_dir, self._contracts, self._pins, self._resources = data_dir, contracts, pins, resources
        self.genesis = load_genesis(data_dir)
        self._checker = SignatureChecker()
        resources.callback(self._checker.close)
        if not (data_dir / DB_NAME).exists():
            raise UsageError(f"{data_dir / DB_NAME}: missing; start the node once, it makes it again")
        self._kept = StateDb.open(data_dir / DB_NAME, self.genesis.digest)
        resources.callback(self._kept.close)
        application = replay_into(self._kept, contracts, pins, self._checker).application
        self.kept_state, tip = application.state, application.tip
        self.now_s, self.height = tip.ledger_time_s, tip.height

    def heights(
        self, heights: Sequence[int], archive: Archive | None, progress: Callable[[int, int], None]
    ) -> Iterator[int]:
        """Make the blocks again up to the last of some heights, which ascend; each of them once it stands."""
        data_dir, wanted, last = self._data_dir, set(heights), heights[-1]
        begin = None if archive is not None else snapshot_to_begin_with(data_dir)
        if begin is not None and begin.manifest.height >= heights[0]:
            raise UsageError(
                f"{data_dir}: blocks before {begin.manifest.height + 1} are not here; give --archive with an archive that has them"
            )
        self.derived = derive(data_dir, self.genesis, begin, self._resources)
        replay = replay_into(self.derived, self._contracts, self._pins, self._checker)
        check_contracts(replay.application.state, self._contracts, self._pins)
        blocks = BlockLog.inspect(data_dir / LOG_NAME)
        self._resources.callback(blocks.close)
        for record in records(blocks, archive, self.derived.height()):
            replay.advance(record.block())
            progress(record.height, last)
            self.state = replay.application.state
            if record.height in wanted:
                yield record.height
            if record.height == last:
                return

    def differing(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Those of some leaves that are kept otherwise than they were made again."""
        return tuple(key for key in keys if _body(self.derived, key) != _body(self._kept, key))


def _find_all(state: State, span: RunSpan, at_height: int) -> tuple[str, dict[int, list[tuple[int, str]]]]:
    """The zone, and slots and names of the runs of a span by the heights of their blocks. UsageError where there is none."""
    area = _area(state, span.area)
    zone, (from_s, until_s) = area.zone, span.times(must_calendar(state, area.calendar, at_height).tz)
    slot_s, timeline = CHAIN.must(state).slot_s, next(one.timeline for one in state.registry.zones if one.name == zone)
    first_s = max(-(-from_s // slot_s) * slot_s, timeline.first_slot_start_s)
    wanted: dict[int, list[tuple[int, str]]] = {}
    for slot_start_s in range(first_s, min(until_s, PROGRESS.must(state, zone).run_slot_start_s), slot_s):
        runs = RUNS.load(state, slot_start_s, zone)
        for run, height in () if runs is None else runs.runs:
            if span.run in (None, run):
                wanted.setdefault(height, []).append((slot_start_s, run))
    if not wanted:
        what = "run" if span.run is None else f"run {span.run}"
        raise UsageError(f"area {span.area}: no slot from {from_s} to before {until_s} has a {what}")
    return zone, wanted


def _area(state: State, name: str) -> Area:
    found = newest(state, AREA, name)
    if found is None:
        raise UsageError(f"--area {name}: is no area of this chain")
    return found.record


def _find(state: State, name: RunName, now_s: int) -> tuple[str, str, int]:
    """Zone, name and block of a run that the ledger keeps. UsageError."""
    zone = _area(state, name.area).zone
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
