"""A week (in make soak a year) of a grid of 113 households, settled from files whose data come late and are corrected three times.

In the middle the levy changes, and some households go to another supplier. Some are delivered as registers, which roll over; of these some meters are exchanged. Each week households contest lines, slots
and readings, before the final run and after it (``tests.worlds.contested_grid``): what is upheld is corrected, behind the final run as a dispute run where that is material. What the files of results say
over all runs is what the last data alone would have given, and what the slow reference makes of them.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcore.quality import CORRECTED, MISSING
from gridcore.registry.run_calendar import CorrectionDate, RunCalendar
from gridledger.settling.chain import settled_ledger
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.dataset import Dataset, InvoiceTerms, PointRow, RunTerms, SeriesRows
from gridledger.settling.files.grid import Place
from gridledger.settling.files.layout import OWN
from gridledger.settling.files.readings import Reading
from gridledger.settling.files.registers import read_registers
from gridledger.settling.participants import read_participants
from gridledger.settling.settled_folder import Progress, Settled, settle, settle_onto
from ledger.leaves.positions import POSITIONS
from ledger.leaves.progress import PROGRESS
from ledger.leaves.runs import RUNS
from ledger.store.ledger import Ledger
from tests.slow.invoices import invoice
from tests.twin.contracts import Member
from tests.twin.markets import MARKETS
from tests.worlds.contested_grid import CASES, FINAL, Contested, Quarrels, contested
from tests.worlds.datasets import SLOT_S, community

HOUSEHOLDS = 113
AREAS = 3
SLOTS_OF_DAY = 86_400 // SLOT_S
MISSING_SHARE = 0.03
CORRECTED_BY_WH = 250
CORRECTED_SHARE = 0.002
LATE_RUNS = 3
"""Two corrections and the final run; what disputes bring after it is a fourth delivery."""
DISPUTE_MATERIAL_NANO = 1_000_000_000
TO_ANSWER_S = 40 * 86_400
"""From the final run of the last slot until the first one is final: a dispute that nobody answers takes ten days."""
REGISTERS_EVERY = 9
"""Each ninth household is delivered as registers, and of these each second gets another meter."""
MODULUS_WH, LIMIT_WH, FIRST_REGISTER_WH = 100_000, 2_000, 99_000
EXCHANGE_COMES_WITH = 2
"""What flowed in the slot of an exchange is in no register: this delivery brings it."""
TAX_PPM = 130_000
QUANTUM_NANO = 10_000_000
LEVY, RETAIL = "levy_micro_per_kwh", "residual_price_micro_per_kwh"
NEW_LEVY, NEW_RETAIL = 37_000, 433_000
"""From the middle on: the one for all, the other of those who change their supplier."""
LEAVE_EVERY = 10
"""Each tenth household changes it."""
SILENT = Progress(lambda done, of: None, lambda done, of: None)
Energies = NDArray[np.int64]


class Books(NamedTuple):
    """What the files come to over all runs. paid_nano int64[parties, slots]; versions: by party and slot of those that were asked for, what each run posted; lines: by party, month and kind; runs: their names.

    accounts: what each is debited less what it is credited; unbalanced_nano int64[slots]: debits less credits.
    """

    paid_nano: Energies
    versions: dict[tuple[str, int], dict[str, int]]
    lines: dict[tuple[str, str], dict[str, int]]
    runs: set[str]
    accounts: dict[str, int]
    unbalanced_nano: Energies


def register_rows(points: Sequence[PointRow], slot_start_s: Energies, energy_wh: Energies) -> Iterator[list[str]]:
    """Of each point and boundary what the meter shows. energy_wh int64[2, slots, points]: import and export.

    The meter of each second point is exchanged inside the slot in the middle: the new one shows less than the old one did.
    """
    middle = len(slot_start_s) // 2
    shown_wh = np.concatenate((np.zeros_like(energy_wh[:, :1]), energy_wh.cumsum(axis=1)), axis=1) + FIRST_REGISTER_WH
    shown_wh[:, middle + 1 :, ::2] -= MODULUS_WH // 2
    shown_wh %= MODULUS_WH
    boundaries_s = [*slot_start_s.tolist(), int(slot_start_s[-1]) + SLOT_S]
    for boundary_s, (imported, exported) in zip(boundaries_s, shown_wh.transpose(1, 0, 2).tolist(), strict=True):
        time = datetime.fromtimestamp(boundary_s, UTC).isoformat()
        for point, import_wh, export_wh in zip(points, imported, exported, strict=True):
            yield [time, point.point, f"{import_wh / 1000:.3f}", f"{export_wh / 1000:.3f}"]


def through_registers(truth: Dataset, folder: Path) -> tuple[Dataset, NDArray[np.bool_]]:
    """The data with some households read from registers, and bool[slots, points]: where these tell nothing."""
    points, at = list(truth.points), np.arange(0, HOUSEHOLDS, REGISTERS_EVERY)
    for place in at.tolist():
        points[place] = points[place]._replace(modulus_wh=MODULUS_WH, limit_wh=LIMIT_WH)
    own = [points[place] for place in at.tolist()]
    true_wh = np.stack((truth.import_wh[:, at], truth.export_wh[:, at])).astype(np.int64)
    path = folder / "registers.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "point", "import_kwh", "export_kwh"])
        writer.writerows(register_rows(own, truth.slot_start_s, true_wh))
    how = Reading(OWN, [point.point for point in own], None, SLOT_S, has_carry=False)
    read = read_registers(path, how, Place((), "time", own))
    is_silent = read.grid.quality == MISSING
    assert np.argwhere(is_silent).tolist() == [[len(true_wh[0]) // 2, place] for place in range(0, len(own), 2)]
    metered = [truth.import_wh.copy(), truth.export_wh.copy()]
    for column, registered in zip(metered, (read.grid.import_wh, read.grid.export_wh), strict=True):
        column[:, at] = np.where(is_silent, column[:, at], registered)
    is_untold = np.zeros(truth.quality.shape, dtype=np.bool_)
    is_untold[:, at] = is_silent
    return truth._replace(points=points, import_wh=metered[0], export_wh=metered[1]), is_untold


class Editions(NamedTuple):
    """The same days as they are known at first and after each later delivery; settled: what runs say in the end, of which nothing is missing."""

    delivered: Sequence[Dataset]
    settled: Dataset


def calendar_of(days: int) -> RunTerms:
    """Every slot has an initial run before anything is delivered anew, and all have the next run before the next delivery, at least eleven days later."""
    span_s = (days + 4) * 86_400
    dates = [CorrectionDate(number * span_s, 0) for number in range(1, LATE_RUNS)]
    final_s = LATE_RUNS * span_s
    calendar = RunCalendar(dates, DISPUTE_MATERIAL_NANO, final_s, 2 * 86_400, 0)
    return RunTerms(calendar, final_s + span_s + TO_ANSWER_S)


def editions(days: int, folder: Path, contested: Sequence[Contested]) -> Editions:
    """See the record. A contested reading is too high until the delivery after the end of its dispute."""
    drawn = community(days * SLOTS_OF_DAY, HOUSEHOLDS, areas=AREAS, seed=days)
    truth, is_untold = through_registers(drawn, folder)
    assert np.array_equal(truth.import_wh, drawn.import_wh)
    assert np.array_equal(truth.export_wh, drawn.export_wh)
    terms = calendar_of(days)
    rules = truth.rules._replace(invoice=InvoiceTerms("CNY", TAX_PPM, QUANTUM_NANO), runs=terms)
    all_final_s = int(truth.slot_start_s[-1]) + SLOT_S + terms.calendar.final_run_after_s
    middle_s = truth.slot_start_s[[len(truth.slot_start_s) // 2]]
    series = [SeriesRows(LEVY, None, None, middle_s, np.array([NEW_LEVY]))]
    leaving = [point.point for point in truth.points[::LEAVE_EVERY]]
    series += [SeriesRows(RETAIL, None, name, middle_s, np.array([NEW_RETAIL])) for name in leaving]
    random = np.random.default_rng(days)
    shape = truth.quality.shape
    comes_with = np.where(random.random(shape) < MISSING_SHARE, random.integers(1, LATE_RUNS + 1, shape), 0)
    comes_with[is_untold] = EXCHANGE_COMES_WITH
    corrected_with = np.where(random.random(shape) < CORRECTED_SHARE, random.integers(1, LATE_RUNS + 1, shape), 0)
    too_high_wh = np.full(shape, CORRECTED_BY_WH)
    for one in contested:
        at, case = (one.slot, one.place), one.case
        comes_with[at], corrected_with[at], too_high_wh[at] = 0, (case.closed + 1) * (case.wrong_wh > 0), case.wrong_wh
    found = []
    for edition in range(LATE_RUNS + 2):
        is_missing, is_wrong = comes_with > edition, corrected_with > edition
        is_corrected = (corrected_with > 0) & ~is_wrong
        quality = np.where(is_missing, MISSING, np.where(is_corrected, CORRECTED, truth.quality)).astype(np.uint8)
        import_wh = np.where(is_missing, 0, truth.import_wh + too_high_wh * is_wrong)
        export_wh = np.where(is_missing, 0, truth.export_wh)
        of_edition = rules._replace(runs=terms._replace(as_of_s=all_final_s if edition == FINAL else None))
        found.append(
            truth._replace(rules=of_edition, series=series, quality=quality, import_wh=import_wh, export_wh=export_wh)
        )
    settled = found[-1]._replace(import_wh=found[-1].import_wh.copy(), quality=found[-1].quality.copy())
    for one in contested:
        if not one.case.is_made:
            settled.import_wh[one.slot, one.place] += one.case.wrong_wh
            settled.quality[one.slot, one.place] = truth.quality[one.slot, one.place]
    return Editions(found, settled)


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


def books_of(out: Path, dataset: Dataset, asked: Collection[tuple[str, int]] = ()) -> Books:
    """Read the files of a settled folder, row by row. asked: of which party and slot the versions are wanted."""
    zone, first_s = ZoneInfo(dataset.timezone), int(dataset.slot_start_s[0])
    months = [datetime.fromtimestamp(start_s, zone).strftime("%Y-%m") for start_s in dataset.slot_start_s.tolist()]
    place = {point.party: at for at, point in enumerate(dataset.points)}
    paid = np.zeros((len(place), len(months)), dtype=np.int64)
    lines: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    versions: dict[tuple[str, int], dict[str, int]] = {key: defaultdict(int) for key in asked}
    runs = set()
    for row in rows_of(out / "statements.csv"):
        start_s, nano = int(row["slot_start_s"]), int(row["amount_nano"])
        slot = (start_s - first_s) // SLOT_S
        paid[place[row["party"]], slot] += nano
        lines[row["party"], months[slot]][row["line_kind"]] += nano
        runs.add(row["run"])
        if (row["party"], start_s) in versions:
            versions[row["party"], start_s][row["run"]] += nano
    accounts: dict[str, int] = defaultdict(int)
    unbalanced = np.zeros(len(months), dtype=np.int64)
    for row in rows_of(out / "postings.csv"):
        nano = int(row["debit_nano"]) - int(row["credit_nano"])
        accounts[row["account"]] += nano
        unbalanced[(int(row["slot_start_s"]) - first_s) // SLOT_S] += nano
    return Books(
        paid, versions, {key: dict(of_kind) for key, of_kind in lines.items()}, runs, dict(accounts), unbalanced
    )


def participants_of(out: Path) -> list[dict[str, str]]:
    """All that stands of each household but where the settled slots end: with the final runs ledger time has gone on."""
    return [{name: text for name, text in row.items() if name != "end_s"} for row in rows_of(out / "participants.csv")]


class Slowly(NamedTuple):
    """What the slow reference says of each household in a slot: what it pays, and what the supplier alone would have cost."""

    pays_nano: list[int]
    supplier_only_nano: list[int]


def slowly_settled(dataset: Dataset) -> Iterator[Slowly]:
    """Slot after slot, by the twin of the contract."""
    market: Any = MARKETS[dataset.rules.contract]
    columns = [market.position_columns.index(name) for name in Slowly._fields]
    places = defaultdict(list)
    for at, point in enumerate(dataset.points):
        places[point.area].append(at)
    slots = len(dataset.slot_start_s)
    for slot in range(slots):
        prices: dict[str, int] = dict(dataset.rules.prices)
        own: dict[str, int] | None = None
        if slot >= slots // 2:
            prices[LEVY] = NEW_LEVY
            own = {**prices, RETAIL: NEW_RETAIL}
        import_wh, export_wh = dataset.import_wh[slot].tolist(), dataset.export_wh[slot].tolist()
        found = Slowly([0] * HOUSEHOLDS, [0] * HOUSEHOLDS)
        for of_area in places.values():
            members = [Member(import_wh[at], export_wh[at], 0, 0, None if at % LEAVE_EVERY else own) for at in of_area]
            positions = market.settle(members, 0, prices, {}).positions
            for at, position in zip(of_area, positions, strict=True):
                for column, place in zip(found, columns, strict=True):
                    column[at] = position[place]
        yield found


@pytest.mark.parametrize("days", [7, pytest.param(365, marks=pytest.mark.soak)])
def test_runs_with_late_and_corrected_data_come_to_what_the_last_data_alone_give(tmp_path: Path, days: int) -> None:
    places = [place for place in range(HOUSEHOLDS) if place % REGISTERS_EVERY]
    cases = contested(days, places)
    delivered, last = editions(days, tmp_path, cases)
    missing_share = (delivered[0].quality == MISSING).mean()
    assert abs(missing_share - MISSING_SHARE) < MISSING_SHARE / 5
    out, alone = tmp_path / "out", tmp_path / "alone"
    quarrels = Quarrels(cases, last.points, last.slot_start_s.tolist())
    out.mkdir()
    for edition, newer in enumerate(delivered[:-1]):
        with settled_ledger(newer, out) as ledger:
            quarrels.go_on(ledger, out, edition)
    settled = settle_onto(delivered[-1], out, SILENT)
    at_once = settle(last, alone, SILENT)
    asked = {(quarrels.party(one), quarrels.start_s(one)) for one in cases}
    runs, once = books_of(out, last, asked), books_of(alone, last)
    assert runs.runs == {"initial", *(f"correction-{number}" for number in range(1, LATE_RUNS)), "final", "dispute-1"}
    assert once.runs == {"initial"}
    check_the_same(runs, once)
    with settled_ledger(delivered[-1], out) as ledger:
        check_disputes(ledger, quarrels, runs)
    check_documents(out, runs, settled)
    assert participants_of(out) == participants_of(alone)
    assert settled.results.energy_shared_wh == at_once.results.energy_shared_wh
    saved_nano = [0] * HOUSEHOLDS
    for slot, slowly in enumerate(slowly_settled(last)):
        assert runs.paid_nano[:, slot].tolist() == slowly.pays_nano, slot
        for at, (alone_nano, pays_nano) in enumerate(zip(slowly.supplier_only_nano, slowly.pays_nano, strict=True)):
            saved_nano[at] += alone_nano - pays_nano
    assert [party.saving_nano for party in read_participants(out).values()] == saved_nano


def check_the_same(runs: Books, once: Books) -> None:
    """All runs together are the one run, line by line and account by account, and every slot's book balances."""
    assert np.array_equal(runs.paid_nano, once.paid_nano)
    assert runs.lines == once.lines
    assert runs.accounts == once.accounts
    assert not runs.unbalanced_nano.any()
    assert not once.unbalanced_nano.any()


def check_disputes(ledger: Ledger, quarrels: Quarrels, books: Books) -> None:
    """What was frozen is what the files say of the contested run, which stands beside the run that corrects it; no run follows where nothing is material or wrong."""
    followed, expected, unmade, lower, unchanged = [], [], [], [], []
    for kept, leaf in quarrels.leaves(ledger):
        one, start_s = kept.contested, quarrels.start_s(kept.contested)
        case, posted = one.case, books.versions[quarrels.party(one), start_s]
        names = [name for name, _ in RUNS.must(ledger, start_s, ZONE_NAME).runs]
        by_then = names[: names.index(kept.run) + 1]
        version = POSITIONS.must(ledger, start_s, ZONE_NAME, kept.run, 0).columns["pays_nano"][one.place]
        assert leaf.amount_nano == version == sum(posted[name] for name in by_then)
        assert [step.outcome for step in leaf.steps] == list(case.outcomes)
        is_after_final = case.closed >= FINAL
        followed.append([name for name in names if name.startswith("dispute-")])
        expected.append(["dispute-1"] if is_after_final and case.is_made and case.wrong_wh else [])
        assert not followed[-1] or posted["dispute-1"] < 0
        if case.wrong_wh and case.is_made:
            lower.append(sum(posted.values()) < leaf.amount_nano)
        elif case.opened == FINAL:
            unchanged.append(sum(posted.values()) == leaf.amount_nano)
        unmade += [] if case.is_made else [start_s]
    assert followed == expected
    weeks = len(quarrels.kept) // len(CASES)
    assert expected.count(["dispute-1"]) == 2 * weeks
    assert lower == [True] * 4 * weeks
    assert unchanged == [True] * 2 * weeks
    assert sorted(change.slot_start_s for change in PROGRESS.must(ledger, ZONE_NAME).immaterial) == sorted(unmade)
    assert quarrels.outcomes == Counter(outcome for kept in quarrels.kept for outcome in kept.contested.case.outcomes)


def check_documents(out: Path, books: Books, settled: Settled) -> None:
    """Each month's invoice and credit notes together are the invoice of what its lines came to in the end."""
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    count = 0
    for row in rows_of(out / "invoices.csv"):
        of_month = found[row["party"], row["month"]]
        for at, name in enumerate(("net", "tax", "gross", "rounding")):
            of_month[at] += int(row[name])
        count += 1
    assert count == settled.results.documents
    assert found.keys() == books.lines.keys()
    for key, lines in books.lines.items():
        assert found[key] == list(invoice(lines, [], TAX_PPM, QUANTUM_NANO, "half_up_away").values()), key
