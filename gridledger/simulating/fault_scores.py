"""What a ledger made of the faults of a simulated run: its labels (``events.csv``) against the readings that the ledger holds, kind by kind.

Each kind has one sign that the ledger must show at the readings concerned, and nowhere else. A reading that is not as counted outside of
every label speaks against the event that concerned its meter last.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.envelope import decode_transaction
from gridcore.errors import EncodingError, UsageError
from gridcore.observations import decode_observations
from gridcore.transactions.reading_batch import ReadingBatch
from gridcore.transactions.readings import split_attachment
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from simulators.scenarios.schema import (
    AREA_KINDS,
    CLOCK_DRIFT,
    CUT_FROM_NODE,
    DEAD_BROKER,
    DUPLICATED,
    FRAUD_KINDS,
    METER_CLOCK,
    METER_KINDS,
    REBOOT,
    REORDERED,
    ROLL_OVER,
    SLOT_S,
    STUCK,
    VALIDATOR_KINDS,
)

FAULT_KINDS: Final = (*METER_KINDS, CLOCK_DRIFT, *AREA_KINDS)
_OF_CLOCKS: Final = (METER_CLOCK, CLOCK_DRIFT)
ABSENT: Final = "no reading"
COUNTED: Final = "measured, as counted"
BEHIND: Final = "measured, behind what has flowed"
AS_IT_STOOD: Final = "measured, not `frozen`"
ROLLED: Final = "measured, flagged `rollover`"
UNSEEN: Final = "its devices are not observed"
CAUGHT_UP: Final = "its own ledger has these blocks"
_SIGNS: Final = {
    STUCK: BEHIND,
    ROLL_OVER: ROLLED,
    **dict.fromkeys(_OF_CLOCKS, AS_IT_STOOD),
    **dict.fromkeys((REBOOT, DUPLICATED, REORDERED, CUT_FROM_NODE, DEAD_BROKER), COUNTED),
}
"""Of every other kind: ABSENT."""

_NEEDED: Final = {
    "events.csv": ("kind", "target", "other", "from_s", "until_s"),
    "meters.csv": ("meter", "area", "start_import_wh", "start_export_wh", "resolution_wh", "modulus_wh"),
    "registers.csv": ("meter", "boundary_s", "import_wh", "export_wh"),
    "reported.csv": ("meter", "slot_start_s", "quality", "flags"),
    "truth.csv": ("meter", "slot_start_s", "import_wh", "export_wh"),
}
"""The files that are read, and of each the columns."""
_RIGHT: Final = "name a folder that gridledger simulate run has made, without --direct"

Cell = tuple[str, int]
"""A meter, and a boundary (UTC seconds)."""


@dataclass
class Score:
    """Of one kind. concerned: readings that its labels cover; so: of these, how many have the sign; elsewhere: readings that speak against it;
    qualities: of the energies around those concerned, quality and flags.
    """

    kind: str
    sign: str
    concerned: int = 0
    so: int = 0
    elsewhere: int = 0
    qualities: set[str] = field(default_factory=set)

    @property
    def recall_percent(self) -> float | None:
        """Of 100 readings concerned, those with the sign; None where none is concerned."""
        return 100 * self.so / self.concerned if self.concerned else None

    @property
    def precision_percent(self) -> float | None:
        """Of 100 readings that speak of the kind, those that it is the cause of; None where none does."""
        return 100 * self.so / (self.so + self.elsewhere) if self.so + self.elsewhere else None


class _Label(NamedTuple):
    kind: str
    meters: frozenset[str]
    from_s: int
    until_s: int

    def covers(self, cell: Cell) -> bool:
        """Whether a reading is concerned. A register rolls over inside a slot: the reading at its end says so."""
        late_s = SLOT_S if self.kind == ROLL_OVER else 0
        return cell[0] in self.meters and self.from_s + late_s <= cell[1] < self.until_s + late_s


def score_run(folder: Path) -> list[Score]:
    """Every kind of fault that a run through agents had, in the order of docs/scenarios.md. UsageError for another folder."""
    for name in _NEEDED:
        if not (folder / name).is_file():
            raise UsageError(f"{folder}: holds no {name}; {_RIGHT}")
    area_of = {row["meter"]: row["area"] for row in _rows(folder, "meters.csv")}
    labels = list(_labels(folder, area_of))
    stops = [row for row in _rows(folder, "events.csv") if row["kind"] in VALIDATOR_KINDS]
    if not labels and not stops:
        raise UsageError(f"{folder}: its scenario has no event that is a fault; there is nothing to score")
    devices = _score_devices(folder, [label for label in labels if label.kind == DEAD_BROKER])
    nodes = (_score_nodes(folder, kind, [row for row in stops if row["kind"] == kind]) for kind in VALIDATOR_KINDS)
    return [*_score_readings(folder, labels), *devices, *chain.from_iterable(nodes)]


def _score_readings(folder: Path, labels: Sequence[_Label]) -> list[Score]:
    """Of kinds of faults that readings show."""
    kinds = {label.kind for label in labels}
    scores = {kind: Score(kind, _SIGNS.get(kind, ABSENT)) for kind in FAULT_KINDS if kind in kinds}
    signs = _signs_of(folder)
    qualities = {(row["meter"], int(row["slot_start_s"])): row for row in _rows(folder, "reported.csv")}
    concerned = list(_concerned(labels, signs))
    for label, cell in concerned:
        score = scores[label.kind]
        score.concerned += 1
        score.so += score.sign in signs[cell]
        score.qualities |= set(_around(cell, label, qualities))
    for kind in _against(labels, signs, {cell for _, cell in concerned}):
        scores[kind].elsewhere += 1
    return list(scores.values())


def _concerned(labels: Sequence[_Label], signs: Mapping[Cell, AbstractSet[str]]) -> Iterator[tuple[_Label, Cell]]:
    """Every label with each reading that it concerns; a clock's without those whose energy another fault takes."""
    absent = [label for label in labels if _SIGNS.get(label.kind, ABSENT) == ABSENT]
    taken = {cell for label in absent for cell in filter(label.covers, signs)}
    for label in labels:
        for cell in filter(label.covers, signs):
            if label.kind not in _OF_CLOCKS or not _is_unmeasured(cell, taken):
                yield label, cell


def _against(
    labels: Sequence[_Label], signs: Mapping[Cell, AbstractSet[str]], concerned: AbstractSet[Cell]
) -> Iterator[str]:
    """The kind that a reading speaks against, for each that does.

    One that is not as counted, and that no label concerns: the kind that concerned its meter last. One that shows a wrong clock while none is
    wrong: the kinds of clocks that its meter has.
    """
    of_clocks = [label for label in labels if label.kind in _OF_CLOCKS]
    clocked = {cell for label in of_clocks for cell in filter(label.covers, signs)}
    for cell, said in signs.items():
        if cell not in concerned and COUNTED not in said and (cause := _last_before(labels, cell)) is not None:
            yield cause.kind
        if cell not in clocked and AS_IT_STOOD in said:
            yield from {label.kind for label in of_clocks if cell[0] in label.meters}


def _is_unmeasured(cell: Cell, taken: AbstractSet[Cell]) -> bool:
    """Whether another fault takes a reading at either end of the slot that ends here: how a clock stands cannot be told of its energy."""
    meter, boundary_s = cell
    return cell in taken or (meter, boundary_s - SLOT_S) in taken


def _labels(folder: Path, area_of: dict[str, str]) -> Iterator[_Label]:
    for row in _rows(folder, "events.csv"):
        if row["kind"] in FAULT_KINDS:
            meters = {meter for meter, area in area_of.items() if area == row["target"]} or {
                row["target"],
                row["other"],
            }
            yield _Label(row["kind"], frozenset(meters), int(row["from_s"]), int(row["until_s"]))


def _signs_of(folder: Path) -> dict[Cell, set[str]]:
    """What the ledger says at every boundary of every meter that nobody cheats at."""
    cheated = {
        meter
        for row in _rows(folder, "events.csv")
        if row["kind"] in FRAUD_KINDS
        for meter in (row["target"], row["other"])
    }
    told_of = {(row["meter"], int(row["slot_start_s"]) + SLOT_S): row for row in _rows(folder, "reported.csv")}
    freeze = {meter for (meter, _), row in told_of.items() if "frozen" in row["flags"]}
    freeze |= {row["target"] for row in _rows(folder, "events.csv") if row["kind"] in _OF_CLOCKS}
    shown = dict(_shown(folder))
    signs: dict[Cell, set[str]] = {}
    for row in _rows(folder, "registers.csv"):
        cell = row["meter"], int(row["boundary_s"])
        if row["meter"] in cheated or cell not in shown:  # a meter that came later has no truth of its own
            continue
        if row["import_wh"] == "":
            signs[cell] = {ABSENT}
        else:
            told = int(row["import_wh"]), int(row["export_wh"])
            signs[cell] = {COUNTED if told == shown[cell] else BEHIND}
            energy = told_of.get(cell, {"quality": "", "flags": ""})
            signs[cell] |= {ROLLED} if "rollover" in energy["flags"] else set()
            if row["meter"] in freeze and energy["quality"] == "measured" and "frozen" not in energy["flags"]:
                signs[cell].add(AS_IT_STOOD)
    return signs


def _shown(folder: Path) -> Iterator[tuple[Cell, tuple[int, int]]]:
    """What a meter in order shows at each boundary: what has flowed, down to its step, from 0 again at its modulus."""
    meters = {row["meter"]: row for row in _rows(folder, "meters.csv")}
    flowed = {meter: (int(row["start_import_wh"]), int(row["start_export_wh"])) for meter, row in meters.items()}
    first_s = None
    for row in _rows(folder, "truth.csv"):
        meter, slot_s = row["meter"], int(row["slot_start_s"])
        first_s = slot_s if first_s is None else first_s
        if slot_s == first_s:
            yield (meter, slot_s), _on_display(meters[meter], flowed[meter])
        before = flowed[meter]
        flowed[meter] = before[0] + int(row["import_wh"]), before[1] + int(row["export_wh"])
        yield (meter, slot_s + SLOT_S), _on_display(meters[meter], flowed[meter])


def _on_display(meter: dict[str, str], flowed_wh: tuple[int, int]) -> tuple[int, int]:
    step_wh, modulus_wh = int(meter["resolution_wh"]), int(meter["modulus_wh"])
    shown = [(wh % modulus_wh if modulus_wh else wh) // step_wh * step_wh for wh in flowed_wh]
    return shown[0], shown[1]


def _around(cell: Cell, label: _Label, qualities: dict[Cell, dict[str, str]]) -> Iterator[str]:
    """Quality and flags of the slots that end and begin at a reading; of a roll-over that of the first one alone."""
    meter, boundary_s = cell
    for slot_s in (boundary_s - SLOT_S,) if label.kind == ROLL_OVER else (boundary_s - SLOT_S, boundary_s):
        row = qualities.get((meter, slot_s))
        if row is not None:
            yield ", ".join([row["quality"], *row["flags"].split()])


def _last_before(labels: Sequence[_Label], cell: Cell) -> _Label | None:
    """The label that concerned a meter last before a boundary; the first one after it where there is none."""
    own = [label for label in labels if cell[0] in label.meters]
    before = [label for label in own if label.from_s <= cell[1]]
    return max(before, key=lambda label: label.until_s, default=min(own, key=lambda label: label.from_s, default=None))


def _score_devices(folder: Path, labels: Sequence[_Label]) -> Iterator[Score]:
    """Of a broker that was dead: whether the devices behind it were unobserved then, and only then."""
    if not labels:
        return
    score = Score(DEAD_BROKER, UNSEEN, qualities={"not billed"})
    for boundary_s, is_seen in _observed(folder / "ledger"):
        if any(label.from_s <= boundary_s < label.until_s for label in labels):
            score.concerned += 1
            score.so += not is_seen
        else:
            score.elsewhere += not is_seen
    yield score


def _score_nodes(folder: Path, kind: str, events: Sequence[dict[str, str]]) -> Iterator[Score]:
    """Of validators that were down or cut off: whether each has, in the end, every block that the ledger has of that time."""
    if not events:
        return
    score = Score(kind, CAUGHT_UP, qualities={"not billed"})
    with reading(folder / "ledger", CONTRACTS) as first:
        told = [(first.header(height).ledger_time_s, first.digest(height)) for height in range(1, first.height + 1)]
    for event, name in [(one, name) for one in events for name in one["target"].split()]:
        with reading(folder / name.replace("node", "ledger"), CONTRACTS) as node:
            own = [node.digest(height) for height in range(1, node.height + 1)]
        during = range(int(event["from_s"]), int(event["until_s"]))
        has = [height < len(own) and own[height] == digest for height, (_, digest) in enumerate(told)]
        score.concerned += sum(at_s in during for at_s, _ in told)
        score.so += sum(at_s in during and is_there for (at_s, _), is_there in zip(told, has, strict=True))
        score.elsewhere += sum(
            at_s not in during and not is_there for (at_s, _), is_there in zip(told, has, strict=True)
        )
    yield score


def _observed(data_dir: Path) -> Iterator[tuple[int, bool]]:
    """For each batch that says something of a device: its boundary, and whether there are values of the device."""
    with reading(data_dir, CONTRACTS) as reader:
        for height in range(1, reader.height + 1):
            for done in reader.transactions(height):
                try:
                    transaction = decode_transaction(done.wire)
                    batch = ReadingBatch.decode(transaction) if transaction.kind == ReadingBatch.kind else None
                except EncodingError:
                    continue
                if batch is not None and batch.observations is not None:
                    seen = decode_observations(split_attachment(transaction.attachment)[2])
                    there = {row.device for row in seen.rows}
                    yield from ((batch.boundary_s, device in there) for device in seen.names)


def _rows(folder: Path, name: str) -> Iterator[dict[str, str]]:
    """The rows of a file. UsageError where it is not as a run writes it."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        for column in _NEEDED[name]:
            if column not in (reader.fieldnames or ()):
                raise UsageError(f"{folder / name}, row 1: has no column {column!r}; {_RIGHT}")
        for row in reader:
            if any(row[column] is None for column in _NEEDED[name]):
                raise UsageError(f"{folder / name}, row {reader.line_num}: has too few fields; {_RIGHT}")
            yield row


def as_json(score: Score) -> dict[str, object]:
    """For programs."""
    shares = {"recall_percent": score.recall_percent, "precision_percent": score.precision_percent}
    return {**asdict(score), "qualities": sorted(score.qualities), **shares}


def table_text(scores: Iterable[Score]) -> str:
    """The table as Markdown."""
    lines = [
        "| kind | what the ledger must hold | readings | recall | precision | energies around them |",
        "|---|---|---|---|---|---|",
    ]
    for score in scores:
        shares = f"{_percent(score.recall_percent)} | {_percent(score.precision_percent)}"
        qualities = "; ".join(sorted(score.qualities)) or "-"
        lines.append(f"| `{score.kind}` | {score.sign} | {score.concerned} | {shares} | {qualities} |")
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0f} %"
