"""``/blocks/<height>``: the header of a block, who has signed it, and what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from quart import Blueprint

from gridweb.access import READS_ALL, requires
from gridweb.i18n import N_, _
from gridweb.site import source
from gridweb.source import Source, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page

ROWS_SHOWN_MAX: Final = 500
"""Transactions on a page; CSV and JSON have all of them."""

KIND_TITLES: Final[Mapping[str, str]] = {
    "clock/advance": N_("clock advance"),
    "clock/accept": N_("accepted step of the clock"),
    "metering/open_epoch": N_("new epoch of a gateway"),
    "metering/approve": N_("approved register"),
    "metering/reading_batch": N_("reading batch"),
    "metering/interval_import": N_("imported energies"),
    "settlement/payment": N_("payment"),
    "settlement/dispute": N_("dispute"),
    "settlement/dispute_document": N_("dispute of a document"),
    "settlement/dispute_answer": N_("answer to a dispute"),
    "settlement/dispute_decision": N_("decision of a dispute"),
    "settlement/dispute_withdrawal": N_("withdrawal of a dispute"),
    "registry/register": N_("registration"),
    "registry/approve": N_("approved registration"),
    "governance/propose": N_("proposal"),
    "governance/vote": N_("vote"),
    "market/cancel": N_("withdrawn order"),
    "market/order": N_("order"),
    "market/profile": N_("standing rule"),
    "market/profile_end": N_("end of a standing rule"),
    "market/order_batch": N_("batch of orders"),
}

pages = Blueprint("block", __name__)

TRANSACTION_COLUMNS: Final = (
    Column("number", N_("No."), "count"),
    Column("kind", N_("Kind"), words=KIND_TITLES),
    Column("signer", N_("Signer")),
    Column("code", N_("Code"), "count"),
    Column("name", N_("Result")),
    Column("id", N_("Transaction"), "digest"),
)
SIGNER_COLUMNS: Final = (
    Column("name", N_("Signer")),
    Column("signed", N_("Signed"), words={"yes": N_("yes"), "no": N_("no")}),
    Column("power", N_("Power"), "count"),
    Column("public_key", N_("Public key"), "digest"),
)


@serves_table("/blocks/<height>/transactions", *READS_ALL)
async def transactions_table(source: Source, height: int) -> Table:
    """The transactions of a block in their decided order, each with its code."""
    pages = await source.pages(f"blocks/{height}")
    return table_of_transactions(one for page in pages for one in page["transactions"])


@serves_table("/blocks/<height>/signers", *READS_ALL)
async def signers_table(source: Source, height: int) -> Table:
    """Who may sign a block's header, and who has."""
    return table_of_signers(await source.cached(f"blocks/{height}"))


def table_of_transactions(transactions: Iterable[Mapping[str, Any]]) -> Table:
    """Transactions as a table; bytes that are no transaction have neither kind nor signer."""
    rows = [
        (number, one["kind"], one["signer"], one["code"], one["name"], one["id"])
        for number, one in enumerate(transactions)
    ]
    return Table("transactions", TRANSACTION_COLUMNS, rows, title=_("Transactions"))


def table_of_signers(block: Mapping[str, Any]) -> Table:
    """Signers as a table, with their voting power."""
    rows = [
        (one["name"], "yes" if one["signed"] else "no", one["power"], one["public_key"]) for one in block["signers"]
    ]
    return Table("signers", SIGNER_COLUMNS, rows, title=_("Certificate"))


def powers(signers: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Voting power that has signed, and all of it."""
    return sum(one["power"] for one in signers if one["signed"]), sum(one["power"] for one in signers)


def _cut(table: Table, *, is_whole: bool) -> Table:
    """The table no longer than a page bears, its note saying so. ``is_whole``: the block has no other rows."""
    if is_whole and len(table.rows) <= ROWS_SHOWN_MAX:
        return table
    rows = table.rows[:ROWS_SHOWN_MAX]
    return replace(table, rows=rows, note=_("The first %(shown)s rows; CSV and JSON have all.", shown=len(rows)))


@pages.get("/blocks/<int:height>")
@requires(*READS_ALL)
async def show_block(height: int) -> str:
    """The page."""
    as_of = await part_of(source().as_of())
    block = await part_of(source().cached(f"blocks/{height}"))
    values: dict[str, Any] = {"as_of": as_of.value, "height": height, "block": block}
    if block.value is not None:
        transactions = table_of_transactions(block.value["transactions"])
        values |= {
            "transactions": _cut(transactions, is_whole=block.value["next"] is None),
            "transactions_url": table_url(transactions_table, height=height),
            "signers": table_of_signers(block.value),
            "signers_url": table_url(signers_table, height=height),
            "powers": powers(block.value["signers"]),
        }
    return await render_page("block/block.html", **values)
