"""XLSX, for whoever goes on calculating: a sheet as people read it, a sheet of exact values, and where both come from.

A number that a spreadsheet could not hold exactly (15 digits) is written as text: it is never rounded.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from gridweb import format as shown
from gridweb.exports.format import Format, Provenance
from gridweb.exports.readable import Readable, local_time, readable_of
from gridweb.i18n import _, translate
from gridweb.tables import TABLE_ROWS_MAX, Column, Table

EXACT_MAX: Final = 10**15 - 1
"""Numbers of at most 15 digits are exact in a spreadsheet."""
_WIDTH: Final = {"text": 26, "run": 26, "name": 30, "digest": 20, "instant": 27, "slot": 27, "amount_nano": 20}
_DECIMALS_SHOWN: Final = {"share": 6, "voltage_milli": 3}
"""Of kinds whose exact value is what CSV has: a spreadsheet shows per cent and volts, as the pages do."""
_WIDTH_OF_NUMBERS: Final = 16
_OPTIONS: Final = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}


def to_xlsx(table: Table, provenance: Provenance) -> bytes:
    """A table as a workbook; the same bytes for the same rows."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, _OPTIONS) as book:
        book.set_properties(
            {
                "title": table.title,
                "created": datetime.fromtimestamp(provenance.ledger_time_s, UTC).replace(tzinfo=None),
            }
        )
        _write_readable(book, table)
        _write_exact(book, table)
        _write_about(book, table, provenance)
    return file.getvalue()


def _write_readable(book: Any, table: Table) -> None:
    sheet = book.add_worksheet(_("Table"))
    columns = [(column, readable_of(column, table)) for column in table.columns]
    formats = [_format_of(book, column, readable) for column, readable in columns]
    _write_head(book, sheet, [_title(column, table) for column in table.columns])
    for place, column in enumerate(table.columns):
        sheet.set_column(place, place, _WIDTH.get(column.kind, _WIDTH_OF_NUMBERS), formats[place])
    for number, row in enumerate(table.rows, start=1):
        _write_row(sheet, number, row, columns, formats)
    if table.totals is not None:
        bold = [_format_of(book, column, readable, is_total=True) for column, readable in columns]
        last = len(table.rows) + 1
        totals: Sequence[object] = table.totals
        _write_row(sheet, last, totals, columns, bold)
        if table.totals[0] is None:
            sheet.write_string(last, 0, _("Sum"), bold[0])


def _write_row(
    sheet: Worksheet,
    number: int,
    row: Sequence[object],
    columns: Sequence[tuple[Column, Readable | None]],
    formats: Sequence[Any],
) -> None:
    for place, (value, (column, readable), cell) in enumerate(zip(row, columns, formats, strict=True)):
        if value is None:
            sheet.write_blank(number, place, None, cell)
        elif not isinstance(value, int):
            sheet.write_string(number, place, str(column.shown(value)), cell)
        elif readable is not None and (readable.decimals is None or abs(value) > EXACT_MAX):
            sheet.write_string(number, place, readable.text(value), cell)
        elif abs(value) > EXACT_MAX:
            sheet.write_string(number, place, str(value), cell)
        else:
            sheet.write_number(number, place, _scaled(value, column, readable), cell)


def _scaled(value: int, column: Column, readable: Readable | None) -> float:
    decimals = _DECIMALS_SHOWN.get(column.kind, 0) if readable is None else readable.decimals or 0
    return float(value / 10**decimals)


def _write_exact(book: Any, table: Table) -> None:
    sheet = book.add_worksheet(_("Exact values"))
    _write_head(book, sheet, [column.key for column in table.columns])
    sheet.set_column(0, len(table.columns) - 1, _WIDTH_OF_NUMBERS)
    for number, row in enumerate(table.rows, start=1):
        for place, value in enumerate(row):
            if isinstance(value, int) and abs(value) <= EXACT_MAX:
                sheet.write_number(number, place, value)
            elif value is not None:
                sheet.write_string(number, place, str(value))


def _write_about(book: Any, table: Table, provenance: Provenance) -> None:
    sheet = book.add_worksheet(_("About"))
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 90)
    facts = [
        (_("Table"), table.title),
        (_("Chain"), provenance.chain),
        (_("Up to block"), str(provenance.height)),
        (_("Ledger time"), local_time(provenance.ledger_time_s, table.tz)),
        (_("Time zone"), table.tz),
        (_("Currency"), table.currency),
        (_("Note"), " ".join(part for part in (provenance.mark, table.note) if part)),
        (_("Exact units"), "Wh, 1e-9 {0}, 1e-6 {0}/kWh, UTC s".format(table.currency or "1")),
    ]
    for number, (name, value) in enumerate(fact for fact in facts if fact[1]):
        sheet.write_string(number, 0, name)
        sheet.write_string(number, 1, value)


def _write_head(book: Any, sheet: Worksheet, titles: Sequence[str]) -> None:
    bold = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    for place, title in enumerate(titles):
        sheet.write_string(0, place, title, bold)
    sheet.freeze_panes(1, 1)


def _title(column: Column, table: Table) -> str:
    unit = shown.unit(column.kind, table.currency)
    return f"{translate(column.title)} [{unit}]" if unit else translate(column.title)


def _format_of(book: Any, column: Column, readable: Readable | None, *, is_total: bool = False) -> Any:
    # Each digit that is not zero is shown: what is shown adds up to the sum.
    numbers = {
        "energy_wh": "#,##0.000",
        "amount_nano": "#,##0.0000#####",
        "price_micro": "0.0000##",
        "count": "#,##0",
        "share": "0.0###%",
        "voltage_milli": '0.0## "V"',
    }
    wanted = {"num_format": numbers.get(column.kind, "General")} if column.is_number else {"num_format": "@"}
    if readable is not None and readable.decimals is None:
        wanted = {"num_format": "@"}
    return book.add_format({**wanted, **({"bold": True, "top": 1} if is_total else {})})


XLSX: Final = Format(
    "xlsx",
    "XLSX",
    ".xlsx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    TABLE_ROWS_MAX,
    True,
    to_xlsx,
)
