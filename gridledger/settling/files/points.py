"""``points.csv``: where energy is measured, who is billed for it, in which area."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from gridcore.errors import excerpt
from gridcore.forms import NAME
from gridcore.registry.installation import MODULUS_WH_MAX
from gridledger.settling.dataset import LIMIT_WH_MAX, InputFile, PointRow
from gridledger.settling.files.fault import fault
from gridledger.settling.files.fields import Names, decimals
from gridledger.settling.files.table import Block, Fields, Header, Table
from ledger.contract import Contract

POINTS_MAX: Final = 100_000
_HEADER: Final = Header(("point", "party", "area"), ("limit_kw", "modulus_kwh"))
_PLACES: Final = 3


class PointsRead(NamedTuple):
    """Points by the bytes of their names, and the file."""

    points: list[PointRow]
    input_file: InputFile


def read_points(path: Path, slot_s: int, contract: Contract) -> PointsRead:
    """Read the file; FilesError at the first fault, and where a party is named as an account of the contract."""
    table = Table(path, _HEADER)
    accounts = Names(list(contract.accounts))
    rows: dict[str, PointRow] = {}
    row_of: dict[str, int] = {}
    area_of: dict[str, str] = {}
    for block in table.blocks():
        _check_parties(block.columns["party"], accounts, contract.contract_id)
        for row, point in zip(block.row.tolist(), _points_of(block, slot_s), strict=True):
            if point.point in rows:
                what = f"the point {point.point} stands in row {row_of[point.point]} already"
                other = rows[point.point]
                if other.area != point.area:
                    what += f", in the area {other.area}"
                raise fault(table.name, what, "give each point once, in one area", row=row, column="point")
            area = area_of.setdefault(point.party, point.area)
            if area != point.area:
                what = f"the party {point.party} has points of the area {area} already"
                raise fault(table.name, what, "give it one name for each area", row=row, column="party")
            rows[point.point], row_of[point.point] = point, row
        if len(rows) > POINTS_MAX:
            raise fault(table.name, f"holds more than {POINTS_MAX} points", "settle fewer at once")
    if not rows:
        raise fault(table.name, "holds no points", "give at least one")
    return PointsRead([rows[name] for name in sorted(rows, key=str.encode)], table.input_file())


def _check_parties(fields: Fields, accounts: Names, contract_id: str) -> None:
    is_account = accounts.codes_if_known(fields)[1]
    if is_account.any():
        at = int(np.argmax(is_account))
        raise fields.fault(at, f"{fields.text(at)!r} is an account of {contract_id}", "give the party another name")


def _points_of(block: Block, slot_s: int) -> list[PointRow]:
    count = len(block.row)
    limit_wh = np.full(count, LIMIT_WH_MAX)
    modulus_wh = np.zeros(count, dtype=np.int64)
    names = []
    for column in _HEADER.required:
        fields = block.columns[column]
        texts = fields.texts()
        for index, text in enumerate(texts):
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
    return [PointRow(*row) for row in zip(*names, limit_wh.tolist(), modulus_wh.tolist(), strict=True)]
