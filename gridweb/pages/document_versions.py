"""A contested line of a month's documents, as of the block before the dispute and as of now: both follow from the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gridcore.transactions.dispute_document import LINE, stated_nano
from gridweb import format as shown
from gridweb.i18n import N_, _
from gridweb.pages.documents import NOTHING
from gridweb.points import find_point
from gridweb.source import AreaInfo, Source, SourceMissing
from gridweb.tables import Column, Table

PART_TITLES: Final[Mapping[str, str]] = {LINE: N_("Line"), "tax": N_("Tax"), "total": N_("Total")}
COLUMNS: Final = (
    Column("as_of", N_("Version")),
    Column("energy_wh", N_("Energy"), "energy_wh"),
    Column("exact_nano", N_("Exact amount"), "amount_nano"),
    Column("amount_nano", N_("Contested amount"), "amount_nano"),
    Column("tax_nano", N_("Tax of the month"), "amount_nano"),
    Column("gross_nano", N_("Gross amount of the month"), "amount_nano"),
)
_CONTESTED, _TAX, _GROSS = 3, 4, 5

Answer = Mapping[str, Any]


async def document_versions(source: Source, one: Answer) -> Table:
    """What a line comes to in the documents as of the block before its dispute, and as of the newest; what they differ by is the last row."""
    area = (await find_point(source, one["party"])).area
    before = await _documents(source, area, one, height=one["opened_height"] - 1)
    now = await _documents(source, area, one)
    then = _("when it was contested (block %(height)s)", height=shown.count(one["opened_height"] - 1))
    rows = [_row(then, before["documents"], one), _row(_("now"), now["documents"], one)]
    difference = [None if None in pair else pair[1] - pair[0] for pair in zip(rows[0][1:], rows[1][1:], strict=True)]
    return Table(
        "versions",
        COLUMNS,
        [*rows, (_("difference"), *difference)],
        title=_("The contested documents, and those of now"),
        note=" ".join([*_note(one, rows[0][_CONTESTED]), *_difference_note(before, now, difference[_GROSS - 1])]),
        tz=area.tz,
        currency=(await source.as_of()).currency,
    )


async def _documents(source: Source, area: AreaInfo, one: Answer, **as_of: int) -> Answer:
    """What the node says of the month of a dispute; nothing where it has no documents of it."""
    path = f"areas/{area.area}/months/{one['month']}/documents"
    try:
        answer: Answer = await source.cached(path, party=one["party"], **as_of)
    except SourceMissing:
        return NOTHING
    return answer


def _row(title: str, documents: Sequence[Answer], one: Answer) -> tuple[Any, ...]:
    """What the contested part comes to in all documents of the month; energy and exact amount are of a line alone."""
    lines = [line for document in documents for line in document["lines"] if line["line_kind"] == one["line_kind"]]
    of_line = [None, None]
    if one["part"] == LINE and lines:
        of_line = [sum(line["energy_wh"] for line in lines) or None, sum(line["amount_nano"] for line in lines)]
    parts = [stated_nano(documents, one["part"], one["line_kind"])]
    parts += [stated_nano(documents, part, "") for part in ("tax", "total")]
    return (title, *of_line, *parts)


def _note(one: Answer, then_nano: int | None) -> Iterator[str]:
    """Whether the party signed what its documents had."""
    if then_nano is None:
        yield _("The documents had no such line when it was contested.")
    elif then_nano != one["amount_nano"]:
        yield _("The party signed another amount than its documents had then.")


def _difference_note(before: Answer, now: Answer, gross_nano: int | None) -> Iterator[str]:
    """What the difference is: of a correction alone only where no slot of the month has been settled since."""
    then, since = before["slots_settled"], now["slots_settled"]
    if then != since:
        yield _(
            "The month went on: %(then)s slots of it were settled then, %(now)s are now. The difference has these in it.",
            then=shown.count(then),
            now=shown.count(since),
        )
    elif gross_nano:
        yield (
            _("The documents of now come to less: the difference is a credit note.")
            if gross_nano < 0
            else _("The documents of now come to more: the difference is a further debit.")
        )
    yield _("Both are computed from the ledger, as of their blocks.")
