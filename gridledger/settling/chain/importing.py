"""A dataset becomes blocks: a day of ledger time a block, with the energies of the days that are over, and the orders of the next.

Whatever the ledger has already is left out, so that the same call begins a ledger, ends one that was interrupted, and brings newer data
onto one: then what differs is imported again, and settled again as a correction run.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Final

import numpy as np

from gridcore.clock import WallClock
from gridcore.codes import Code
from gridcore.errors import GridError
from gridcore.genesis import Genesis
from gridcore.registry.balance_terms import BALANCE_TERMS
from gridcore.registry.grid_connection import GRID_CONNECTION
from gridcore.registry.party import PARTY
from gridcore.registry.price_series import PRICE_SERIES
from gridcore.registry.reactive_energy import REACTIVE_ENERGY
from gridcore.registry.row import Row
from gridcore.registry.signer import SIGNER
from gridcore.registry.tariff import TARIFF
from gridcore.signers import open_signer
from gridcore.sm import Signer, SigningKey
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.content import Content, sign_content
from gridcore.transactions.interval_import import FILES_MAX, ROWS_MAX, ImportedFile, IntervalImport
from gridcore.transactions.registry_register import SEED_BYTES, AttachedRows, RegistryRegister
from gridledger.beside import done_beside
from gridledger.founding.folder import save_key_and_password
from gridledger.freed_memory import give_back_memory
from gridledger.settling.chain.amending import amendments
from gridledger.settling.chain.balance import WORD as BALANCE
from gridledger.settling.chain.days import Day, Energies, days_of, given_energies, known_energies
from gridledger.settling.chain.fitting import check_fits, instant, numbers_of, rows_of
from gridledger.settling.chain.founding import (
    IMPORTER,
    OPERATOR,
    ZONE_NAME,
    check_chain,
    check_one_block,
    found_chain,
    is_large,
    timeline_of,
)
from gridledger.settling.chain.gates import GateByGate
from gridledger.settling.chain.orders import PlacedOrders, Placing, order_rounds
from gridledger.settling.chain.registrations import in_blocks, parts_of
from gridledger.settling.chain.tariffs import SERIES
from gridledger.settling.chain.validity import Validity
from gridledger.settling.dataset import Dataset
from ledger.application import Examined
from ledger.leaves.columns import CHUNK_ROWS, Int64
from ledger.leaves.intervals import DAY_S, INTERVALS, narrow_intervals
from ledger.leaves.progress import PROGRESS, Correction
from ledger.registry.columns import AllRegistered
from ledger.registry.entries import ENTRIES_MAX
from ledger.state.interval_columns import IntervalColumns
from ledger.state.intervals import IMPORTS_OF_DAY_MAX
from ledger.state.run_dates import corrections_of
from ledger.store.directory import found_columns, found_ledger
from ledger.store.ledger import Ledger, Produced
from settlement.catalogue import CONTRACTS, pins

_OF_MONTHS: Final = (
    f"{TARIFF.kind}/", f"{PARTY.kind}/", f"{BALANCE_TERMS.kind}/", f"{GRID_CONNECTION.kind}/", f"{REACTIVE_ENERGY.kind}/", f"{SIGNER.kind}/", *(f"{PRICE_SERIES.kind}/{word}-" for word in (BALANCE, SERIES)),
)  # fmt: skip
"""Begin the keys of rows on which no slot rests."""
AGENT: Final = "gridledger settle files"
LEDGER: Final = "ledger"
KEYS: Final = "keys"
REFUSALS: Final[Mapping[Code, str]] = {
    Code.BATCHES_AT_BOUNDARY: f"readings.csv: a day has been brought {IMPORTS_OF_DAY_MAX} times, and no ledger takes more of it",
    Code.REGISTRY_CONFLICT: f"points.csv, prices.csv, keys.csv, rules.toml: the ledger does not take this change of them; a price, or a point, changes at most {ENTRIES_MAX} times, and who has orders in a slot stays billed in it",
    Code.REGISTRY_NOT_AHEAD: "points.csv, prices.csv, keys.csv, rules.toml: they would change slots that are final ([timeline] final_after_s), or prices that a series has folded; begin newer data behind them",
    Code.GATE_CLOSED: "orders.csv: the ledger has passed the gate of a slot: orders come with the readings of their slot, not later",
}
"""Why the ledger refuses what a reader of files could not know."""
ENERGY_BYTES: Final = 17
"""Of a slot of a point in a leaf of imported energies: quality, import and export."""
CACHED_MORE_MAX: Final = 2 * 1024**3
"""So many bytes of a day's leaves are kept in memory, as ``narrow_intervals`` makes them: of a million points and quarter hours, all of them."""
WIRES_OF_BLOCK: Final = 16
"""Imports in a block of a large dataset: making one takes about 120 bytes of memory a value. Orders of a slot are a block of their own, or several
(``order_rounds``).
"""
Progress = Callable[[int, int], None]
"""Called with slots that are settled, and slots in all."""


@contextmanager
def settled_ledger(
    dataset: Dataset, folder: Path, progress: Progress | None = None, when_founded: Callable[[], None] | None = None
) -> Iterator[Ledger]:
    """The ledger in ``folder``, made where there is none, with all that a dataset says imported and settled; open meanwhile.

    when_founded: called when it is there, before it is opened. GridError: what does not fit together, or not onto what the ledger has.
    """
    is_new = not (folder / LEDGER).exists()
    if is_new:
        if dataset.rules.runs is not None:
            check_one_block(dataset)
        _make(dataset, folder)
        give_back_memory()
    if when_founded is not None:
        when_founded()
    operator, importer = (_load_key(folder / KEYS, name) for name in (OPERATOR, IMPORTER))
    ledger = Ledger.open(folder / LEDGER, CONTRACTS, operator, WallClock(), pins=pins())
    try:
        more_bytes = min(_bytes_of_day(dataset), CACHED_MORE_MAX)
        ledger.application.state.cache_more(INTERVALS.prefix, more_bytes, narrow_intervals)
        if not is_new:
            check_fits(ledger, dataset)
        _Importer(ledger, dataset, importer, progress).run(is_new=is_new)
        ledger.application.state.cache_more("", 0)
        yield ledger
    finally:
        ledger.close()


def _bytes_of_day(dataset: Dataset) -> int:
    """About how many bytes the leaves have that hold the energies of one UTC day: its slots are settled from them one after the other."""
    return DAY_S // dataset.slot_s * (len(dataset.points) + CHUNK_ROWS) * ENERGY_BYTES


def _make(dataset: Dataset, folder: Path) -> None:
    """Keys first: a ledger without them would be of no use. Of many points the check of what they are founded on takes as long as the rest: it is done beside.

    The ledger has its name when it is whole: what a kill leaves of a founding is begun anew.
    """
    founding = folder / f"{LEDGER}.new"
    for left in (founding, folder / KEYS):
        shutil.rmtree(left, ignore_errors=True)
    keys = {name: SigningKey.generate() for name in (OPERATOR, IMPORTER)}
    genesis = found_chain(dataset, {name: key.public_key for name, key in keys.items()})
    try:
        with _checked(genesis, is_beside=is_large(dataset)):
            registered = _found(folder / KEYS, founding, keys, genesis)
        found_columns(founding, registered)  # when the check is done: both together hold more than anything else does
    except GridError:
        for made in (founding, folder / KEYS):
            shutil.rmtree(made, ignore_errors=True)
        raise
    founding.rename(folder / LEDGER)


@contextmanager
def _checked(genesis: Genesis, *, is_beside: bool) -> Iterator[None]:
    """The check of a genesis, done when the block is left."""
    if is_beside:
        with done_beside(lambda: check_chain(genesis)):
            yield
        return
    check_chain(genesis)
    yield


def _found(folder: Path, data_dir: Path, keys: Mapping[str, SigningKey], genesis: Genesis) -> AllRegistered:
    folder.mkdir(mode=0o700)
    for name, key in keys.items():
        save_key_and_password(folder, name, key)
    return found_ledger(data_dir, genesis)


def _load_key(folder: Path, name: str) -> Signer:
    return open_signer(f"file:{folder / name}.pem", f"file:{folder / name}.password")


class _Importer:
    """Brings a ledger up to a dataset that fits it."""

    def __init__(self, ledger: Ledger, dataset: Dataset, key: Signer, progress: Progress | None) -> None:
        self._ledger = ledger
        self._dataset = dataset
        self._key = key
        self._progress = progress
        self._timeline = timeline_of(dataset)
        self._validity = Validity(ledger)
        self._placing = Placing.of(ledger, dataset, self._validity)
        self._by_gate = None if dataset.tell_gate is None else GateByGate(self._placing)
        self._is_large = is_large(dataset)
        self._has_parts = self._is_large and dataset.rules.runs is None and self._waits_a_day()
        if not self._has_parts:
            check_one_block(dataset)
        self._rows = rows_of(ledger, dataset)
        self._numbers = numbers_of(ledger, self._rows)
        self._changed: list[Correction] = []
        self._files = [ImportedFile(file.name[:64], file.sm3) for file in dataset.inputs[:FILES_MAX]]

    def _waits_a_day(self) -> bool:
        """Whether the ledger settles a slot a day after it is all there, as ``timeline_of`` founds large ones."""
        deadline_s = self._ledger.registry.zone(ZONE_NAME).timeline.metering_deadline_s
        return deadline_s >= self._timeline.metering_deadline_s

    def run(self, *, is_new: bool) -> None:
        """Import, order and settle until every slot of the dataset is settled. is_new: the ledger was founded from the dataset just now."""
        days, now_s, height = days_of(self._dataset), self._ledger.ledger_time_s, self._ledger.height
        amended = not is_new and self._amend()
        if self._by_gate is not None and not is_new:
            self._finish(self._ledger.make_block([]))  # gates that had fallen due are cleared, and can be told
        # Orders first: where they come too late, nothing has been imported either.
        self._block(now_s, orders=[day for day in days if self._noon_s(day) <= now_s])
        for day in days:
            if day.end_s <= now_s:
                self._block(now_s, imports=[day])
        if amended or self._is_behind():
            self._finish(self._ledger.make_block([]))
        while self._next_run_s() <= int(self._dataset.slot_start_s[-1]):
            before_s, now_s = now_s, self._next_s(now_s)
            self._block(
                now_s,
                imports=[day for day in days if before_s < day.end_s <= now_s],
                orders=[day for day in days if before_s < self._noon_s(day) <= now_s],
            )
        end_s = self._end_s()
        while (now_s := self._ledger.ledger_time_s) < end_s:
            self._block(min(self._noon_after_s(now_s), end_s))
        if self._ledger.height > height:
            self._ledger.make_block([])  # a bundle needs a header above all that it rests on

    def _amend(self) -> bool:
        """Register what the files say otherwise than the ledger; whether there was anything. What follows from it is settled with what is imported."""
        rows = amendments(self._ledger, self._dataset)
        blocks = list(in_blocks([self._registration(part) for part in parts_of(rows)]))
        if len(blocks) > 1:
            self._foreseen([wire for wires in blocks for wire in wires])  # all of it is taken, or nothing
        for wires in blocks:
            self._make_block(wires)
        if rows:
            of_slots = [row.from_s for row in rows if not row.key.startswith(_OF_MONTHS)]
            if of_slots:
                self._note_change(min(of_slots), self._next_run_s())
        return bool(rows)

    def _registration(self, rows: Sequence[Row]) -> bytes:
        attached = AttachedRows(secrets.token_bytes(SEED_BYTES), [row.encode() for row in rows])
        content = RegistryRegister(
            client_id=secrets.token_bytes(16),
            valid_until_s=self._validity.next_s(self._ledger.ledger_time_s),
            rows=len(rows),
            rows_root=attached.root,
        )
        return self._sign(content, attached.encode())

    def _note_change(self, first_slot_s: int, end_s: int) -> None:
        """Note when settled slots in [first_slot_s, end_s) that are changed now are settled again."""
        zone, slot_s = self._ledger.registry.zone(ZONE_NAME), self._dataset.slot_s
        first_s = max(first_slot_s // slot_s * slot_s, zone.timeline.first_slot_start_s)
        if zone.timeline.run_calendar is not None:
            agenda = corrections_of(zone.timeline, slot_s, self._ledger.ledger_time_s)
            self._changed += agenda.spans(first_s, min(end_s, self._next_run_s()))

    def _end_s(self) -> int:
        """Up to where ledger time goes behind the last initial run: until all that was changed is settled again, and as far as the files say."""
        runs, slot_s = self._dataset.rules.runs, self._dataset.slot_s
        if runs is None:
            return self._ledger.ledger_time_s
        waiting = [
            span
            for span in PROGRESS.must(self._ledger, ZONE_NAME).corrections
            if span.due_s < span.first_slot_s + slot_s + runs.calendar.final_run_after_s
        ]
        dues_s = [span.due_s + span.end_s - slot_s - span.first_slot_s for span in [*waiting, *self._changed]]
        return max([runs.as_of_s or 0, *dues_s])

    def _is_behind(self) -> bool:
        """Whether runs are due that a call which was interrupted did not come to."""
        spans = PROGRESS.must(self._ledger, ZONE_NAME).corrections
        return any(span.due_s <= self._ledger.ledger_time_s for span in spans)

    def _finish(self, produced: Produced) -> None:
        """Make blocks until nothing is left that has fallen due."""
        while produced.work_pending:
            produced = self._ledger.make_block([])
            self._tell()

    def _tell(self) -> None:
        """Say how far it is, after each block."""
        if self._progress is not None:
            settled = np.searchsorted(self._dataset.slot_start_s, self._next_run_s())
            self._progress(int(settled), len(self._dataset.slot_start_s))

    def _next_run_s(self) -> int:
        return PROGRESS.must(self._ledger, ZONE_NAME).run_slot_start_s

    def _noon_s(self, day: Day) -> int:
        """When the orders of a day come: all its gates are open, none is closed."""
        return day.start_s - self._timeline.gate_before_start_s - 1

    def _next_s(self, now_s: int) -> int:
        """Where ledger time goes next: to the next noon, at most as far as the last slot's run needs."""
        end_s, runs = int(self._dataset.slot_start_s[-1]) + self._dataset.slot_s, self._dataset.rules.runs
        due_s = end_s + self._timeline.metering_deadline_s
        if runs is not None and now_s >= due_s:  # the run waits for measured values, until its last date
            due_s = end_s + runs.calendar.initial_last_after_s
        gate_s = None if self._by_gate is None else self._by_gate.next_gate_s()
        return min(self._noon_after_s(now_s), due_s if gate_s is None else gate_s)

    def _noon_after_s(self, now_s: int) -> int:
        return now_s + DAY_S - (now_s - self._timeline.noon_s) % DAY_S

    def _block(self, now_s: int, *, imports: Sequence[Day] = (), orders: Sequence[Day] = ()) -> None:
        """Make a block at ledger time ``now_s``, one for each further part of ``order_rounds``, and others until nothing is left that has fallen due."""
        if self._by_gate is not None:
            self._finish_blocks(self._parted(self._wires(now_s, imports)))
            self._finish_blocks(self._signed(placed) for placed in self._by_gate.rounds())
            return
        slots = [slot for day in orders for slot in range(day.slots.start, day.slots.stop)]
        if self._is_large:
            by_slot = (order_rounds(self._placing, [slot], now_s) for slot in slots)
            of_orders = (self._signed(placed) for placed in chain.from_iterable(by_slot))
            self._finish_blocks(chain(self._parted(self._wires(now_s, imports)), of_orders))
            return
        rounds = order_rounds(self._placing, slots, now_s)
        first = chain(self._wires(now_s, imports), self._signed(next(rounds, ())))
        self._finish_blocks(chain([first], (self._signed(placed) for placed in rounds)))

    def _finish_blocks(self, rounds: Iterable[Iterable[bytes]]) -> None:
        """Make a block of the transactions of each round that has some, and others until nothing is left that has fallen due."""
        produced = None
        for wires in map(list, rounds):
            produced = self._make_block(wires) if wires else produced
        if self._is_large:
            give_back_memory()  # settling needs less than these blocks did
        if produced is not None:
            self._finish(produced)

    def _wires(self, now_s: int, imports: Sequence[Day]) -> Iterator[bytes]:
        """The transactions that bring ledger time to ``now_s``, then energies."""
        if now_s != self._ledger.ledger_time_s:
            yield self._step(now_s)
        for day in imports:
            yield from self._imports(day, now_s)

    def _signed(self, placed: Iterable[PlacedOrders]) -> Iterator[bytes]:
        yield from (self._sign(one.content, one.attachment, one.signer) for one in placed)

    def _parted(self, wires: Iterator[bytes]) -> Iterator[Sequence[bytes]]:
        """The transactions of the next blocks: all in one, unless the ledger leaves time for several."""
        while taken := list(islice(wires, WIRES_OF_BLOCK if self._has_parts else None)):
            yield taken

    def _make_block(self, wires: Sequence[bytes]) -> Produced:
        produced = self._ledger.make_block(self._foreseen(wires))
        self._tell()
        for result in produced.results:
            if result.code != Code.ACCEPTED:
                raise GridError(f"orders.csv: an order that is all or none is refused: {Code(result.code).name}")
            for refused in result.rows:
                party, word = self._ledger.registry.parties[refused.meter], Code(refused.code).name
                raise GridError(f"orders.csv: an order of {party} is refused: {word} ({len(result.rows)} of its slot)")
        return produced

    def _foreseen(self, wires: Sequence[bytes]) -> Sequence[Examined]:
        """What a block of these transactions is made of; GridError where one of them would be refused."""
        examined = self._ledger.examine(wires)
        for code in self._ledger.foresee(examined):
            if code is not Code.ACCEPTED:
                raise GridError(REFUSALS.get(code, f"the ledger refuses what the files say: {code.name}"))
        return examined

    def _step(self, to_s: int) -> bytes:
        valid_until_s = self._validity.next_s(self._ledger.ledger_time_s)
        return self._sign(ClockAdvance(client_id=secrets.token_bytes(16), valid_until_s=valid_until_s, to_s=to_s))

    def _sign(self, content: Content, attachment: bytes = b"", signer: str = IMPORTER) -> bytes:
        """Sign in the name of ``signer``: the importer's key is that of each."""
        name, sign = self._ledger.chain, self._key.sign
        return sign_content(content, chain=name, signer=signer, sign=sign, attachment=attachment).wire

    def _imports(self, day: Day, now_s: int) -> Iterator[bytes]:
        """Imports of a day: of each point of which the ledger has anything else, all of it that is not final."""
        day = self._not_final(day, now_s)
        known = known_energies(self._ledger, day, self._dataset.slot_s, self._rows)
        given = given_energies(self._dataset, day).completed(known)
        points = given.differing(known)
        if not len(points):
            return
        self._note_change(day.first_slot_s, day.end_s)
        points = points[np.argsort(self._numbers[points], kind="stable")]
        most = ROWS_MAX // (day.slots.stop - day.slots.start)
        for first in range(0, len(points), most):
            yield self._import(day, points[first : first + most], given, now_s)

    def _not_final(self, day: Day, now_s: int) -> Day:
        """The slots of a day that may change; GridError where a final one would."""
        timeline, slot_s = self._ledger.registry.zone(ZONE_NAME).timeline, self._dataset.slot_s
        final = [at for at in range(day.first_slot_s, day.end_s, slot_s) if timeline.is_final(at + slot_s, now_s)]
        if not final:
            return day
        slots = day.slots.start + len(final)
        closed = day._replace(end_s=final[-1] + slot_s, slots=slice(day.slots.start, slots))
        known = known_energies(self._ledger, closed, slot_s, self._rows)
        if len(given_energies(self._dataset, closed).completed(known).differing(known)):
            what = f"[timeline] final_after_s has passed for the slots before {instant(closed.end_s)}"
            raise GridError(f"readings.csv: {what}: nothing changes them any more; leave their changes out")
        return day._replace(first_slot_s=closed.end_s, slots=slice(slots, day.slots.stop))

    def _import(self, day: Day, points: Int64, given: Energies, now_s: int) -> bytes:
        slot_s = self._dataset.slot_s
        columns = IntervalColumns(secrets.token_bytes(32), self._numbers[points], *given.columns_of(points))
        content = IntervalImport(
            client_id=secrets.token_bytes(16),
            valid_until_s=self._validity.next_s(now_s),
            agent=AGENT,
            estimates=self._dataset.rules.estimate.method,
            files=self._files,
            first_slot_s=day.first_slot_s,
            meters=len(points),
            rows_root=columns.rows_root(day.first_slot_s, slot_s),
            slot_s=slot_s,
            slots=len(columns.quality),
        )
        return self._sign(content, columns.encode())
