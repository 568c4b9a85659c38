"""``points.csv``: where energy is measured, who is billed for it, in which area."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from gridcore.errors import excerpt
from gridcore.forms import NAME
from gridcore.registry.installation import MODULUS_WH_MAX
from gridcore.registry.point import BORDER_ROLES, ENERGY_KINDS, GRID_PLACE_MAX, POINT, Point
from gridcore.registry.tariff import WORD
from gridledger.settling.dataset import LIMIT_WH_MAX, ROLE, InputFile, PointRow
from gridledger.settling.files.fault import fault
from gridledger.settling.files.fields import ABSENT, Names, decimals, integers
from gridledger.settling.files.instants import of_slot_starts
from gridledger.settling.files.stamps import Zone, to_iso
from gridledger.settling.files.table import Block, Fields, Header, Table
from gridledger.settling.partners import Partners
from ledger.contract import Contract

NAME_OF_FILE: Final = "points.csv"
POINTS_MAX: Final = 100_000
_BALANCE_PARTNERS: Final = ("balance_responsible_import", "balance_responsible_export")
_HEADER: Final = Header(
    ("point", "party", "area"),
    (
        "limit_kw",
        "modulus_kwh",
        "valid_from",
        "grid_place",
        "energy_kind",
        "role",
        "exchange_area",
        *_BALANCE_PARTNERS,
        "voltage_level",
        *Partners._fields,
    ),
)
_OF_KNOWN: Final = ("grid_place", "energy_kind", *_BALANCE_PARTNERS, "voltage_level", "partners")
"""What a row may say of a point whose party and area are known."""
_HEADER_OF_KNOWN: Final = Header(("point",), ("party", "valid_from", *_OF_KNOWN[:-1], *Partners._fields))
MOVES_MAX: Final = 50
"""Times at which somebody else is billed for a point: an entity keeps 64 entries."""
_PLACES: Final = 3


class PointsRead(NamedTuple):
    """Points by the bytes of their names, and the file."""

    points: list[PointRow]
    input_file: InputFile


def read_points(path: Path, slot_s: int, contract: Contract, zone: Zone | None) -> PointsRead:
    """Read the file; FilesError at the first fault, and where a party is named as an account of the contract.

    A row with ``valid_from`` says who is billed for a point from then on; ``zone``: of its local times.
    """
    table = Table(path, _HEADER)
    accounts = Names(list(contract.accounts))
    rows: dict[str, PointRow] = {}
    row_of: dict[str, int] = {}
    area_of: dict[str, str] = {}
    moves: list[tuple[int, int, PointRow]] = []
    for block in table.blocks():
        _check_parties(block.columns["party"], accounts, contract.contract_id)
        from_s = _starts_of(block, zone, slot_s)
        for row, point, at_s in zip(block.row.tolist(), _points_of(block, slot_s), from_s, strict=True):
            if at_s is None and point.point in rows:
                what = f"the point {point.point} stands in row {row_of[point.point]} already"
                other = rows[point.point]
                if other.area != point.area:
                    what += f", in the area {other.area}"
                right = "give each point once, in one area; a row of somebody else from a time on has a valid_from"
                raise fault(table.name, what, right, row=row, column="point")
            area = point.area if point.is_border else area_of.setdefault(point.party, point.area)
            if area != point.area:
                what = f"the party {point.party} has points of the area {area} already"
                raise fault(table.name, what, "give it one name for each area", row=row, column="party")
            if at_s is not None and point.is_border:
                what = f"{point.point} is a border: nobody is ever billed at it"
                raise fault(table.name, what, "leave valid_from empty", row=row, column="valid_from")
            if at_s is not None:
                moves.append((at_s, row, point))
                continue
            rows[point.point], row_of[point.point] = point, row
        if max(len(rows), len(moves)) > POINTS_MAX:
            raise fault(table.name, f"holds more than {POINTS_MAX} points or moves", "settle fewer at once")
    if all(point.is_border for point in rows.values()):
        raise fault(table.name, "holds no points", "give at least one at which somebody is billed")
    _check_areas(rows.values(), row_of)
    for at_s, row, point in sorted(moves, key=lambda move: move[:2]):
        rows[point.point] = _moved(rows.get(point.point), at_s, row, point)
    return PointsRead([rows[name] for name in sorted(rows, key=str.encode)], table.input_file())


def still_billed(points: Sequence[PointRow]) -> Sequence[str]:
    """A line where rows name who is billed before too: they take back moves that a ledger has, and say nothing else."""
    found = [
        f"{party} for {point.point} from {to_iso(from_s)} on"
        for point in points
        for from_s, party in point.later
        if point.party_at(from_s - 1) == party
    ]
    if not found:
        return []
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return [f"{NAME_OF_FILE}: billed as before, nobody moves in: {found[0]}{more}"]


def read_more_of_points(
    path: Path, points: Sequence[PointRow], slot_s: int, contract: Contract, zone: Zone
) -> PointsRead:
    """Read a file of points that are known already with their parties: what else is said of each, in one row at most, and in rows with ``valid_from`` who is
    billed from then on. FilesError at the first fault, and as ``read_points`` for a party.
    """
    table = Table(path, _HEADER_OF_KNOWN)
    known, row_of = {point.point: point for point in points}, dict[str, int]()
    area_of = {point.party: point.area for point in points}
    names, accounts = Names(list(known)), Names(list(contract.accounts))
    moves: list[tuple[int, int, PointRow]] = []
    for block in table.blocks():
        names.codes(block.columns["point"], "point of the scenario")
        if "party" in block.columns:
            _check_parties(block.columns["party"], accounts, contract.contract_id)
        columns = (
            _grid_places_of(block),
            _energy_kinds_of(block),
            *(_names_of(block, column) for column in _BALANCE_PARTNERS),
            _levels_of(block),
            _partners_of(block),
        )
        texts, parties = block.columns["point"].texts(), _names_of(block, "party")
        rows = zip(
            block.row.tolist(), texts, parties, _starts_of(block, zone, slot_s), zip(*columns, strict=True), strict=True
        )
        for row, name, party, at_s, said in rows:
            if at_s is not None:
                moves.append(
                    (at_s, row, _moving(known[name], row, party, area_of, dict(zip(_OF_KNOWN, said, strict=True))))
                )
                continue
            if name in row_of:
                what = f"the point {name} stands in row {row_of[name]} already"
                right = "give each point once; a row of somebody else from a time on has a valid_from"
                raise fault(table.name, what, right, row=row, column="point")
            if party is not None and party != known[name].party:
                what = f"{known[name].party} is billed for {name} at first"
                raise fault(table.name, what, "leave it empty, or give a valid_from", row=row, column="party")
            row_of[name] = row
            known[name] = known[name]._replace(**dict(zip(_OF_KNOWN, said, strict=True)))
    for at_s, row, point in sorted(moves, key=lambda move: move[:2]):
        known[point.point] = _moved(known[point.point], at_s, row, point)
    return PointsRead(list(known.values()), table.input_file())


def _moving(known: PointRow, row: int, party: str | None, area_of: dict[str, str], said: dict[str, Any]) -> PointRow:
    """A row of a known point from a time on. area_of: of each party, which is told it."""
    if party is None:
        what = f"nobody is named who is billed for {known.point} from then on"
        raise fault(NAME_OF_FILE, what, "give a party, or leave valid_from empty", row=row, column="party")
    if area_of.setdefault(party, known.area) != known.area:
        what = f"the party {party} has points of the area {area_of[party]} already"
        raise fault(NAME_OF_FILE, what, "give it one name for each area", row=row, column="party")
    return known._replace(party=party, later=(), **said)


def _starts_of(block: Block, zone: Zone | None, slot_s: int) -> list[int | None]:
    """When each row begins to hold; None for one that holds from the beginning."""
    starts: list[int | None] = [None] * len(block.row)
    if "valid_from" in block.columns:
        fields = block.columns["valid_from"]
        given = np.flatnonzero(fields.lengths() > 0)
        found = of_slot_starts(fields.some(given), zone, slot_s, "who is billed changes")
        for at, start_s in zip(given.tolist(), found.tolist(), strict=True):
            starts[at] = start_s
    return starts


def _moved(known: PointRow | None, at_s: int, row: int, point: PointRow) -> PointRow:
    """A point for which somebody else is billed from ``at_s`` on, or the same party still; the rows come in the order of their times."""
    column, right = "valid_from", "give one row of it without a valid_from: who is billed at first"
    if known is None:
        raise fault(NAME_OF_FILE, f"nobody is billed for {point.point} before", right, row=row, column=column)
    if known.area != point.area:
        right = "a point stays in its area"
        raise fault(NAME_OF_FILE, f"{point.point} is in the area {known.area}", right, row=row, column="area")
    if (point.limit_wh, point.modulus_wh) not in ((known.limit_wh, known.modulus_wh), (LIMIT_WH_MAX, 0)):
        what = f"{point.point} has other limits in its first row"
        raise fault(NAME_OF_FILE, what, "leave limit_kw and modulus_kwh empty here", row=row, column=column)
    if (point.grid_place, point.energy_kind) not in ((known.grid_place, known.energy_kind), (None, None)):
        what = f"{point.point} has another grid_place or energy_kind in its first row"
        raise fault(NAME_OF_FILE, what, "leave both empty here", row=row, column=column)
    if point.voltage_level not in (known.voltage_level, None):
        what = f"{point.point} has another voltage_level in its first row"
        raise fault(NAME_OF_FILE, what, "leave it empty here", row=row, column=column)
    if point.partners not in (known.partners, Partners()):
        what = f"{point.point} has another supplier, offtaker or grid_operator in its first row"
        raise fault(NAME_OF_FILE, what, "leave all three empty here", row=row, column=column)
    responsible = point.balance_responsible_import, point.balance_responsible_export
    if responsible not in ((known.balance_responsible_import, known.balance_responsible_export), (None, None)):
        what = f"{point.point} has other balance responsible parties in its first row"
        raise fault(NAME_OF_FILE, what, "leave both empty here", row=row, column=column)
    if known.is_border:
        raise fault(
            NAME_OF_FILE,
            f"{point.point} is a border: nobody is ever billed at it",
            "leave the row out",
            row=row,
            column=column,
        )
    if known.later and known.later[-1][0] == at_s:
        what = f"somebody is billed for {point.point} from {to_iso(at_s)} on already"
        raise fault(NAME_OF_FILE, what, "give one of the two rows another time", row=row, column=column)
    if len(known.later) == MOVES_MAX:
        what = f"who is billed for {point.point} changes more than {MOVES_MAX} times"
        raise fault(NAME_OF_FILE, what, "settle fewer slots at once", row=row, column="point")
    return known._replace(later=(*known.later, (at_s, point.party)))


def _check_parties(fields: Fields, accounts: Names, contract_id: str) -> None:
    is_account = accounts.codes_if_known(fields)[1]
    if is_account.any():
        at = int(np.argmax(is_account))
        raise fields.fault(at, f"{fields.text(at)!r} is an account of {contract_id}", "give the party another name")


def _points_of(block: Block, slot_s: int) -> list[PointRow]:
    count = len(block.row)
    limit_wh = np.full(count, LIMIT_WH_MAX)
    modulus_wh = np.zeros(count, dtype=np.int64)
    names, roles = [], _texts_of(block, "role")
    for column in _HEADER.required:
        fields = block.columns[column]
        texts = fields.texts()
        for index, text in enumerate(texts):
            if column == "party" and roles[index] is not None and not text:
                continue  # whether the role is a border's is judged below
            if not NAME.holds(text):
                what = f"{excerpt(text)} is no name" if text else "is empty"
                raise fields.fault(index, what, f"a name has {NAME.words}; use a code, never a person's name")
        names.append(texts)
    if "limit_kw" in block.columns:
        fields = block.columns["limit_kw"]
        found = decimals(fields, _PLACES)
        given_wh = np.minimum(found.value, LIMIT_WH_MAX * 12) * slot_s // 3600
        for at in np.flatnonzero(found.is_present & ((given_wh < 1) | (given_wh > LIMIT_WH_MAX))).tolist():
            right = f"give a limit of 1 Wh to {LIMIT_WH_MAX // 10**6} MWh a slot, or leave it empty"
            raise fields.fault(at, f"{fields.text(at)} kW over {slot_s} s is out of range", right)
        limit_wh = np.where(found.is_present, given_wh, limit_wh)
    if "modulus_kwh" in block.columns:
        fields = block.columns["modulus_kwh"]
        found = decimals(fields, _PLACES)
        for at in np.flatnonzero(found.value > MODULUS_WH_MAX).tolist():
            raise fields.fault(
                at, f"{fields.text(at)} is too large", f"a register starts again at {MODULUS_WH_MAX} Wh at most"
            )
        modulus_wh = found.value
    columns = (limit_wh.tolist(), modulus_wh.tolist(), [()] * count, _grid_places_of(block), _energy_kinds_of(block))
    others = (_names_of(block, column) for column in ("exchange_area", *_BALANCE_PARTNERS))
    rows = zip(
        *names, *columns, (role or ROLE for role in roles), *others, _levels_of(block), _partners_of(block), strict=True
    )
    points = [PointRow(*row) for row in rows]
    for index, point in enumerate(points):
        if point.role != ROLE or point.exchange_area is not None or not point.party:
            _check_border(block, index, point)
    return points


def _texts_of(block: Block, column: str) -> list[str | None]:
    """The texts of a column that may be absent; None where a field is empty."""
    return (
        [text or None for text in block.columns[column].texts()] if column in block.columns else [None] * len(block.row)
    )


def _names_of(block: Block, column: str) -> list[str | None]:
    """The same, of names."""
    found = _texts_of(block, column)
    for index, text in enumerate(found):
        if text is not None and not NAME.holds(text):
            raise block.columns[column].fault(index, f"{excerpt(text)} is no name", f"a name has {NAME.words}")
    return found


def _partners_of(block: Block) -> list[Partners]:
    """Whom each row's point names."""
    columns = (_names_of(block, column) for column in Partners._fields)
    return [Partners(*(name or "" for name in names)) for names in zip(*columns, strict=True)]


def _check_border(block: Block, index: int, point: PointRow) -> None:
    """A border is a feeder or an exchange with another area, and bills nobody."""
    if point.role not in (ROLE, *BORDER_ROLES):
        right = f"give {' or '.join(BORDER_ROLES)}, or leave it empty where somebody is billed"
        raise block.columns["role"].fault(index, f"{excerpt(point.role)} is no role", right)
    if point.is_border and point.party:
        raise block.columns["party"].fault(
            index, f"somebody is billed at a point whose role is {point.role}", "leave it empty"
        )
    if not point.is_border and not point.party:
        raise block.columns["party"].fault(index, "is empty", f"only {' and '.join(BORDER_ROLES)} bill nobody")
    record = Point(point.area, point.role, exchange_area=point.exchange_area)
    if words := POINT.fault_of(POINT.encode(record)):
        column = "exchange_area" if "exchange_area" in block.columns else "role"
        raise block.columns[column].fault(
            index, words.removeprefix("exchange_area: "), "docs/settle-files.md has an example"
        )


def _check_areas(points: Iterable[PointRow], row_of: Mapping[str, int]) -> None:
    """The area on the other side of a border is one of the file's."""
    areas = {point.area for point in points}
    for point in points:
        if point.exchange_area is not None and point.exchange_area not in areas:
            what = f"{point.exchange_area} is no area of {NAME_OF_FILE}"
            right = "borders to areas of others are feeders"
            raise fault(NAME_OF_FILE, what, right, row=row_of[point.point], column="exchange_area")


def _grid_places_of(block: Block) -> list[int | None]:
    """The place in its area's grid of each row; None where the field is empty."""
    if "grid_place" not in block.columns:
        return [None] * len(block.row)
    found = integers(block.columns["grid_place"], 1, GRID_PLACE_MAX, may_be_empty=True)
    return [None if place == ABSENT else place for place in found.tolist()]


def _levels_of(block: Block) -> list[str | None]:
    """The voltage level of each row's point; None where the field is empty."""
    found = _texts_of(block, "voltage_level")
    for index, text in enumerate(found):
        if text is not None and not WORD.holds(text):
            raise block.columns["voltage_level"].fault(
                index, f"{excerpt(text)} is no voltage level", f"give {WORD.words}"
            )
    return found


def _energy_kinds_of(block: Block) -> list[str | None]:
    """What each row's point generates from; None where the field is empty."""
    if "energy_kind" not in block.columns:
        return [None] * len(block.row)
    fields = block.columns["energy_kind"]
    texts = fields.texts()
    for index, text in enumerate(texts):
        if text and text not in ENERGY_KINDS:
            raise fields.fault(index, f"{excerpt(text)} is no kind of energy", f"give one of {', '.join(ENERGY_KINDS)}")
    return [text or None for text in texts]
