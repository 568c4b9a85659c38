"""``agreements.csv``: what parties have agreed between two of their points (docs/settle-files.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from gridcore.errors import excerpt
from gridcore.forms import NAME
from gridcore.registry.agreement import (
    AGREEMENT,
    AGREEMENTS_OF_POINT_MAX,
    BASES,
    SHARE_PPM_MAX,
    Agreement,
)
from gridcore.registry.price_series import PRICE_MICRO_PER_KWH_MAX
from gridledger.settling.dataset import AgreementRow, InputFile, PointRow, SeriesRows
from gridledger.settling.files.fault import fault
from gridledger.settling.files.fields import ABSENT, Names, decimals, integers
from gridledger.settling.files.instants import of_slot_starts
from gridledger.settling.files.prices import NAME as PRICES
from gridledger.settling.files.stamps import Zone, to_iso
from gridledger.settling.files.table import Block, Fields, Header, Table
from settlement.contract_kit_1 import Int64Column

FILE: Final = "agreements.csv"
AGREEMENTS_MAX: Final = 10_000
_TEXTS: Final = ("agreement", "basis", "series")
_PLACES: Final = 3
_HEADER: Final = Header(
    ("agreement", "seller_point", "buyer_point", "basis", "price_micro_per_kwh"),
    ("quantity_kwh", "share_ppm", "series", "valid_from", "valid_until"),
)


class AgreementsRead(NamedTuple):
    """Agreements by the bytes of their names; and the file."""

    agreements: list[AgreementRow]
    input_file: InputFile


def read_agreements(
    path: Path, points: Sequence[PointRow], zone: Zone | None, slot_s: int, known_by: str
) -> AgreementsRead:
    """Read the file; FilesError at the first fault."""
    table = Table(path, _HEADER)
    names = Names([point.point for point in points])
    found: dict[str, tuple[AgreementRow, int]] = {}
    for block in table.blocks():
        for row, number in zip(_rows_of(block, names, points, zone, slot_s, known_by), block.row.tolist(), strict=True):
            if row.name in found:
                what = f"the agreement {row.name} stands in row {found[row.name][1]} already"
                raise fault(table.name, what, "give each a name of its own", row=number, column="agreement")
            found[row.name] = row, number
            if len(found) > AGREEMENTS_MAX:
                raise fault(table.name, f"holds more than {AGREEMENTS_MAX} agreements", "settle fewer at once")
    ordered = [found[name] for name in sorted(found, key=str.encode)]
    _check_number_of_each(ordered, table.name)
    return AgreementsRead([row for row, _ in ordered], table.input_file())


def _rows_of(
    block: Block, names: Names, points: Sequence[PointRow], zone: Zone | None, slot_s: int, known_by: str
) -> list[AgreementRow]:
    columns, nothing = block.columns, np.full(len(block.row), ABSENT)
    sellers, buyers = (names.codes(columns[f"{side}_point"], f"point of {known_by}") for side in ("seller", "buyer"))
    bound = PRICE_MICRO_PER_KWH_MAX
    prices = integers(columns["price_micro_per_kwh"], -bound, bound)
    shares, quantities = nothing, nothing
    if "share_ppm" in columns:
        shares = integers(columns["share_ppm"], 1, SHARE_PPM_MAX, may_be_empty=True)
    if "quantity_kwh" in columns:
        told = decimals(columns["quantity_kwh"], _PLACES)
        quantities = np.where(told.is_present, told.value, ABSENT)
    texts = {name: columns[name].texts() if name in columns else [""] * len(nothing) for name in _TEXTS}
    begins, ends = (_instants(columns, name, zone, slot_s) for name in ("valid_from", "valid_until"))
    rows = []
    for at, (seller, buyer) in enumerate(zip(sellers.tolist(), buyers.tolist(), strict=True)):
        stated = {
            "basis": texts["basis"][at],
            "price_micro_per_kwh": int(prices[at]),
            "quantity_wh": int(quantities[at]),
            "series": texts["series"][at] or ABSENT,
            "share_ppm": int(shares[at]),
        }
        begin_s, end_s = (None if column[at] == ABSENT else int(column[at]) for column in (begins, ends))
        both = {"seller": points[seller], "buyer": points[buyer]}
        sides = {side: point._replace(party=point.party_at(begin_s or 0)) for side, point in both.items()}
        agreement = _agreement(block, at, {key: item for key, item in stated.items() if item != ABSENT}, sides)
        if begin_s is not None and end_s is not None and end_s <= begin_s:
            what = f"ends at {to_iso(end_s)}, not after it begins"
            raise columns["valid_until"].fault(at, what, f"give a time after {to_iso(begin_s)}")
        name = texts["agreement"][at]
        if not NAME.holds(name):
            raise columns["agreement"].fault(at, f"{excerpt(name)} is no name", f"a name has {NAME.words}")
        rows.append(AgreementRow(name, agreement, begin_s, end_s))
    return rows


def _agreement(block: Block, at: int, stated: dict[str, object], sides: Mapping[str, PointRow]) -> Agreement:
    """The agreement of a row, whose fields have their forms and go together."""
    columns = block.columns
    if stated["basis"] not in BASES:
        what = f"{excerpt(str(stated['basis']))} is no basis of an agreement"
        raise columns["basis"].fault(at, what, f"give one of {', '.join(BASES)}")
    if sides["seller"].area != sides["buyer"].area:
        what = f"{sides['buyer'].point} is in the area {sides['buyer'].area}, the seller in {sides['seller'].area}"
        raise columns["buyer_point"].fault(at, what, "both points of an agreement are of one area")
    for side, point in sides.items():
        stated |= {side: point.party, f"{side}_point": point.point}
    words = AGREEMENT.fault_of(stated).replace("quantity_wh", "quantity_kwh")
    if words:
        raise columns["basis"].fault(at, words, "docs/settle-files.md has what each basis needs")
    agreement: Agreement = AGREEMENT.shape.record(**stated)
    return agreement


def _instants(columns: Mapping[str, Fields], name: str, zone: Zone | None, slot_s: int) -> Int64Column:
    """int64[n]: UTC seconds, ABSENT where a field is empty or the column is not there."""
    if name not in columns:
        return np.full(len(columns["agreement"]), ABSENT)
    fields = columns[name]
    instants = np.full(len(fields), ABSENT)
    given = np.flatnonzero(fields.lengths() > 0)
    instants[given] = of_slot_starts(fields.some(given), zone, slot_s, "an agreement holds")
    return instants


def _check_number_of_each(rows: Sequence[tuple[AgreementRow, int]], file: str) -> None:
    """Refuse the row with which a point has more agreements at a time than it may have."""
    begun: dict[str, list[tuple[int, int | None]]] = {}
    for row, number in sorted(rows, key=lambda one: (one[0].valid_from_s or 0, one[1])):
        from_s = row.valid_from_s or 0
        for point in (row.agreement.seller_point, row.agreement.buyer_point):
            own = begun.setdefault(point, [])
            own[:] = [span for span in own if span[1] is None or span[1] > from_s]
            own.append((from_s, row.valid_until_s))
            if len(own) > AGREEMENTS_OF_POINT_MAX:
                what = f"{point} has more than {AGREEMENTS_OF_POINT_MAX} agreements at a time"
                raise fault(file, what, "end one of them before, or join some", row=number, column="agreement")


def references_of(
    agreements: Sequence[AgreementRow], series: Sequence[SeriesRows], slots: Int64Column
) -> list[SeriesRows]:
    """The prices for all that agreements name; FilesError where one is not there from the first slot on."""
    names = {
        row.agreement.series: f"the agreement {row.name}" for row in agreements if row.agreement.series is not None
    }
    return prices_named(names, series, slots, FILE)


def prices_named(
    names: Mapping[str, str], series: Sequence[SeriesRows], slots: Int64Column, file: str
) -> list[SeriesRows]:
    """The prices for all of some keys, by the bytes of the keys; FilesError where one is not there from the first slot on. names: by key what names it, in ``file``."""
    for_all = {rows.key: rows for rows in series if rows.area is None and rows.point is None}
    for rows in series:
        if rows.key in names and rows.key not in for_all:
            right = "give it with area and point empty"
            raise fault(PRICES, f"{rows.key}, which {names[rows.key]} names, has no price for all", right)
    for name, words in names.items():
        if name not in for_all or for_all[name].start_s[0] > slots[0]:
            what = f"{words} names the series {excerpt(name)}, which has no price from the first slot on"
            right = f"give {PRICES} rows with the key {name}, the first at {to_iso(int(slots[0]))} or before"
            raise fault(file, what, right)
    return [for_all[name] for name in sorted(names, key=str.encode)]
