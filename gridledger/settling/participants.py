"""``participants.csv``: what a settled folder came to for each party. One file tells all that two settlements are compared by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.column import I64_MAX
from gridcore.errors import UsageError
from gridcore.forms import NAME as FORM
from gridledger.settling.files.fault import FilesError, fault
from gridledger.settling.files.fields import integers
from gridledger.settling.files.points import POINTS_MAX
from gridledger.settling.files.table import Block, Header, Table

NAME: Final = "participants.csv"
CURRENCY_CHARACTERS_MAX: Final = 16


class Participant(NamedTuple):
    """A party by what the last runs of all slots say. points: how many it has; first_slot_start_s, end_s: of all slots, UTC seconds.

    bought_wh, sold_wh: shared energy. net, tax, gross: all its invoices and credit notes together. saving: what the supplier
    alone would have asked for the same energy, less what the contract's lines come to; exact, before tax.
    """

    party: str
    points: int
    first_slot_start_s: int
    end_s: int
    currency: str
    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int
    net_nano: int
    tax_nano: int
    gross_nano: int
    saving_nano: int


_TEXTS: Final = ("party", "currency")


def read_participants(out: Path) -> Mapping[str, Participant]:
    """The parties of a settled folder by their names, in the file's order. FilesError for what ``settle files`` does not write."""
    path = out / NAME
    if not path.is_file():
        raise UsageError(f"{out}: holds no {NAME}; name a folder that gridledger settle files has made")
    try:
        return _read(path)
    except FilesError as error:
        raise FilesError(f"{out}/{error}") from None


def _read(path: Path) -> Mapping[str, Participant]:
    table = Table(path, Header(Participant._fields))
    found: dict[str, Participant] = {}
    for block in table.blocks():
        for row, participant in zip(block.row.tolist(), _of_block(block), strict=True):
            if participant.party in found:
                what = f"the party {participant.party} stands there twice"
                raise fault(NAME, what, "settle the folder again", row=row, column="party")
            found[participant.party] = participant
        if len(found) > POINTS_MAX:
            raise fault(NAME, f"holds more than {POINTS_MAX} parties", "settle fewer at once")
    if not found:
        raise fault(NAME, "holds no party", "settle the folder again")
    return found


def _of_block(block: Block) -> Iterator[Participant]:
    columns: dict[str, list[str] | list[int]] = {}
    for name in Participant._fields:
        fields = block.columns[name]
        if name not in _TEXTS:
            columns[name] = integers(fields, -I64_MAX, I64_MAX).tolist()
            continue
        texts = columns[name] = fields.texts()
        for at, text in enumerate(texts):
            fits = FORM.holds(text) if name == "party" else 1 <= len(text) <= CURRENCY_CHARACTERS_MAX
            if not fits or not text.isprintable():
                raise fields.fault(at, f"is no {name}", "settle the folder again")
    for of_row in zip(*(columns[name] for name in Participant._fields), strict=True):
        yield Participant._make(of_row)
