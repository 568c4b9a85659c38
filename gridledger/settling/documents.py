"""The documents of a settled folder's months, made again from its ledger, and what its files say of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.errors import UsageError, excerpt
from gridledger.settling.chain import frame_of_ledger, read_runs, some_slots, tariffs_of_ledger
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.dataset import parties_of
from gridledger.settling.files.fault import FilesError, nearest
from gridledger.settling.files.table import Header, Table
from gridledger.settling.results.billing import Billing
from gridledger.settling.results.invoices import INVOICE_LINES, INVOICES, InvoiceLineRow, InvoiceRow
from gridledger.settling.results.months import months_of
from gridledger.settling.whole import LEDGER
from ledger.store.offline import StateBehindError, reading
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS

COLUMNS: Final[Mapping[str, Sequence[str]]] = {INVOICES: InvoiceRow._fields, INVOICE_LINES: InvoiceLineRow._fields}


class StatedRow(NamedTuple):
    """A row of a file as it stands there: its number, the header being row 1, and its fields."""

    number: int
    fields: tuple[str, ...]


@contextmanager
def settled_reader(out: Path) -> Iterator[LedgerReader]:
    """The ledger of a settled folder; UsageError where there is none that ``settle files`` has made."""
    if not (out / LEDGER).is_dir():
        raise UsageError(f"--settled {out}: holds no ledger; name a folder that settle files has made")
    with ExitStack() as resources:
        try:
            reader = resources.enter_context(reading(out / LEDGER, CONTRACTS))
        except StateBehindError:
            words = "the state of its ledger is behind its blocks; it catches up when files come onto it, the same ones will do"
            raise UsageError(f"--settled {out}: {words}: gridledger settle files DIR --onto {out}") from None
        if ZONE_NAME not in reader.registry.zone_place:
            raise UsageError(f"--settled {out}: its ledger was not made from files; only those have documents")
        yield reader


def stated_rows(out: Path, name: str, party: str | None = None, month: str | None = None) -> Iterator[StatedRow]:
    """The rows of a file of documents, of one party or month or of all. FilesError for what ``settle files`` does not write."""
    if not (out / name).is_file():
        raise UsageError(f"--settled {out}: holds no {name}; name a folder that settle files has made")
    try:
        for block in Table(out / name, Header(COLUMNS[name])).blocks():
            texts = [block.columns[column].texts() for column in COLUMNS[name]]
            for number, *fields in zip(block.row.tolist(), *texts, strict=True):
                if party in (None, fields[0]) and month in (None, fields[1]):
                    yield StatedRow(number, tuple(fields))
    except FilesError as error:
        raise FilesError(f"{out}/{error}") from None


def billings(reader: LedgerReader, *, month: str | None = None, party: str | None = None) -> Iterator[Billing]:
    """Month by month, or of one, what every run is to every party; ``party``: with the tariff of one party alone.

    UsageError for a month or party that the ledger has not; GridError where it does not say how somebody is invoiced.
    """
    frame = frame_of_ledger(reader)
    parties = sorted(parties_of(frame.points))
    if party is not None and party not in parties:
        raise UsageError(f"party {excerpt(party)}: none of that name is billed; {nearest(party, parties)}")
    months = months_of(frame)
    if month is not None and month not in months.names:
        raise UsageError(f"month {excerpt(month)}: the ledger has no slot of it; it has {', '.join(months.names)}")
    for place, name in enumerate(months.names):
        if month in (None, name):
            of_month = some_slots(frame, months.calendar.month == place)
            tariffs = tariffs_of_ledger(reader, of_month)
            wanted = tariffs if party is None else {party: tariffs[party]}
            yield Billing(of_month, read_runs(reader, of_month), wanted)
