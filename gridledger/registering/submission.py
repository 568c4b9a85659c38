"""Rows of a file on the ledger: a node is asked first what it would say, then what is new is signed and submitted."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gridcore.codes import Code
from gridcore.errors import GridError
from gridcore.sm import Signer
from gridcore.transactions.content import CLIENT_ID_BYTES, sign_content
from gridcore.transactions.registry_approve import RegistryApprove
from gridcore.transactions.registry_register import SEED_BYTES, AttachedRows, RegistryRegister
from gridledger.registering.accounts import unknown_account
from gridledger.registering.parts import split_rows
from gridledger.registering.rows_file import FileRow
from ledger.client import Answer, Client

VALID_S: Final = 3600


@dataclass
class Registered:
    """What became of the rows of a file. standing: stood already; heights: of the blocks that recorded the others; refused:
    why the first that may not be registered is refused, with its place in the file; "" where all may; waiting: ids (hex digits) of the
    transactions that other organisations have to approve.
    """

    rows: int
    standing: int = 0
    new: int = 0
    refused: str = ""
    heights: tuple[int, ...] = ()
    waiting: tuple[str, ...] = ()


async def register(
    client: Client,
    signer_id: str,
    signer: Signer,
    rows: Sequence[FileRow],
    *,
    is_dry: bool,
    accounts: Sequence[str] = (),
) -> Registered:
    """Submit what is new of ``rows``, transaction by transaction, up to the first that is refused. is_dry: only ask.

    accounts: of one's own, that tariffs may charge to; where one charges to an account that nobody knows, nothing is submitted.
    A dry run asks about each transaction as if those before it were not there.
    """
    done = Registered(len(rows), refused=await unknown_account(client, rows, accounts))
    if done.refused:
        return done
    for part in split_rows(rows):
        answer = await client.query_about("registry/check", AttachedRows(bytes(SEED_BYTES), _encoded(part)).encode())
        standing = set(answer["standing"])
        done.standing += len(standing)
        if answer["fault"] is not None:
            done.refused = _refusal(part, answer["fault"])
            return done
        new = [row for place, row in enumerate(part) if place not in standing]
        done.new += len(new)
        if new and not is_dry:
            decided = await _submit(client, signer_id, signer, new)
            done.heights = (*done.heights, decided.height or 0)
            done.waiting = (*done.waiting, decided.id.hex()) if answer["approvals"] else done.waiting
    return done


def _encoded(rows: Sequence[FileRow]) -> list[bytes]:
    return [row.row.encode() for row in rows]


def _refusal(part: Sequence[FileRow], fault: Any) -> str:
    where = (
        f"{part[fault['row']].where}, {fault['key']}"
        if fault["row"] is not None
        else f"{part[0].where}: {fault['key']}"
    )
    return f"{where}: {fault['words']} ({fault['code']} {fault['name']})"


async def _submit(client: Client, signer_id: str, signer: Signer, rows: Sequence[FileRow]) -> Answer:
    """What the ledger says to the rows. GridError where it refuses them all the same."""
    status = await client.status()
    attached = AttachedRows(secrets.token_bytes(SEED_BYTES), _encoded(rows))
    content = RegistryRegister(
        client_id=secrets.token_bytes(CLIENT_ID_BYTES),
        valid_until_s=status.ledger_time_s + VALID_S,
        rows=len(rows),
        rows_root=attached.root,
    )
    signed = sign_content(content, chain=status.chain, signer=signer_id, sign=signer.sign, attachment=attached.encode())
    (answer,) = await client.submit([signed.wire])
    if answer.code not in (Code.ACCEPTED, Code.EXISTS) or answer.height is None:
        raise GridError(f"{rows[0].where}: refused together with those after it: {answer.code} {answer.name}")
    return answer


async def approve(client: Client, signer_id: str, signer: Signer, transaction: bytes) -> Answer:
    """Agree to rows that wait."""
    status = await client.status()
    content = RegistryApprove(
        client_id=secrets.token_bytes(CLIENT_ID_BYTES),
        valid_until_s=status.ledger_time_s + VALID_S,
        transaction=transaction,
    )
    signed = sign_content(content, chain=status.chain, signer=signer_id, sign=signer.sign)
    (answer,) = await client.submit([signed.wire])
    return answer
