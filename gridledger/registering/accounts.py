"""Accounts that tariffs of a file charge to. A ledger has no list of them, so a word that nobody has used is mostly a slip: it is asked about."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from http import HTTPStatus

from gridcore.errors import excerpt
from gridcore.registry.tariff import TARIFF
from gridledger.registering.rows_file import FileRow
from ledger.client import Client, NodeRefused


async def unknown_account(client: Client, rows: Sequence[FileRow], own: Sequence[str]) -> str:
    """What is wrong with the first account that no contract has, the tariff of this name never charged to, and nobody named: one line; "" without.

    own: accounts that who submits has named.
    """
    for row in rows:
        kind, _, name = row.row.key.partition("/")
        if kind == TARIFF.kind and not TARIFF.fault_of(row.row.value):
            fault = await _fault_of(client, name, row, own)
            if fault:
                return fault
    return ""


async def _fault_of(client: Client, name: str, row: FileRow, own: Sequence[str]) -> str:
    from settlement.tariffs.accounts import known_accounts

    known = known_accounts(own)
    stated = [component["account"] for component in row.row.value["components"]]
    if set(stated).issubset(known):
        return ""
    known = [*known, *await _charged_before(client, name)]
    for place, account in enumerate(stated, 1):
        if account not in known:
            near = difflib.get_close_matches(account, known, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            words = f"components, {place}: account {excerpt(account)} is no account of a contract, and the tariff never charged to it"
            return f"{row.where}, {row.row.key}: {words}; {hint}one of your own: --account NAME"
    return ""


async def _charged_before(client: Client, name: str) -> set[str]:
    """The accounts in all entries of a tariff; none of one that is not there."""
    try:
        found = await client.query(f"registry/{TARIFF.kind}/{name}")
    except NodeRefused as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return set()
        raise
    return {component["account"] for entry in found["entries"] for component in entry["value"]["components"]}
