"""Money per account and the control total: what parties owe is what accounts received, or something is wrong.

The ledger keeps both sides net, from the first slot on. A positive amount debits the party and credits the account, so that
the sum of what parties owe less the sum of what accounts received must be 0, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gridweb.access import READS_ALL
from gridweb.contract_words import account_titles
from gridweb.i18n import N_, _
from gridweb.source import AreaInfo, Source
from gridweb.tables import Column, Table, serves_table

PARTIES: Final = "parties"
CONTROL: Final = "control_total"
OWN_TITLES: Final[Mapping[str, str]] = {
    PARTIES: N_("parties (minus: they owe)"),
    CONTROL: N_("Control total"),
    "payments": N_("payments (minus: received from parties)"),
    "written_off": N_("written off (minus: given up)"),
}
"""Message ids of the rows that are no account, and of accounts that payments post to; the other accounts' titles are their contracts'."""


@dataclass(frozen=True)
class Accounts:
    """Both sides of the book, in nano, over some areas. ``unbalanced``: areas whose own control total is not 0."""

    received_nano: Mapping[str, int]
    owed_nano: int
    parties: int
    unbalanced: Mapping[str, int]

    @property
    def control_nano(self) -> int:
        """What parties owe less what accounts received: 0, or something is wrong."""
        return self.owed_nano - sum(self.received_nano.values())

    @property
    def is_balanced(self) -> bool:
        """Whether every area's book balances, not only the sum of all."""
        return not self.unbalanced and self.control_nano == 0


def accounts_of(books: Iterable[Mapping[str, Any]]) -> Accounts:
    """Both sides of the book out of some areas' entries of ``accounts/sums``."""
    received: dict[str, int] = {}
    unbalanced: dict[str, int] = {}
    owed = parties = 0
    for area in books:
        own = {entry["account"]: entry["received_nano"] for entry in area["accounts"]}
        for name, nano in own.items():
            received[name] = received.get(name, 0) + nano
        owed += area["owes_nano"]
        parties += area["parties"]
        if area["owes_nano"] != sum(own.values()):
            unbalanced[area["area"]] = area["owes_nano"] - sum(own.values())
    return Accounts(received, owed, parties, unbalanced)


async def read_accounts(source: Source, areas: Sequence[AreaInfo]) -> Accounts:
    """Both sides of the book of ``areas``. SourceAway."""
    own = {area.area for area in areas}
    answer = await source.cached("accounts/sums")
    return accounts_of(entry for entry in answer["areas"] if entry["area"] in own)


@serves_table("/accounts", *READS_ALL)
async def accounts_table(source: Source, *, area: str | None = None) -> Table:
    """What each account has received, and what the parties owe, since the first slot; of one area or of all."""
    as_of = await source.as_of()
    areas = await source.areas() if area is None else [await source.area(area)]
    return table_of_accounts(await read_accounts(source, areas), areas, as_of.currency)


def table_of_accounts(accounts: Accounts, areas: Iterable[AreaInfo], currency: str) -> Table:
    """Accounts, then the parties on the other side with a minus; the last row sums up to the control total."""
    words = {**account_titles(area.contract for area in areas), **OWN_TITLES}
    columns = (
        Column("account", N_("Account"), words=words),
        Column("received_nano", N_("Received"), "amount_nano"),
    )
    rows = [*sorted(accounts.received_nano.items()), (PARTIES, -accounts.owed_nano)]
    return Table(
        "accounts",
        columns,
        rows,
        title=_("Money per account since the first slot"),
        totals=[CONTROL, 0 - accounts.control_nano],
        currency=currency,
    )
