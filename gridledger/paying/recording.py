"""The movements of a bank's file and a node: what of them is recorded already, what cannot be recorded, and sending the rest."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gridcore.codes import Code
from gridcore.transactions.content import CLIENT_ID_BYTES, sign_content
from gridcore.transactions.payment import Payment
from gridledger.paying.rows import EARLIEST_CLOCK, Movement, MovementKey, RowFault

if TYPE_CHECKING:
    from gridcore.sm import Signer
    from ledger.client import Answer, Client

VALID_S: Final = 3_600
OF_DAY_MAX: Final = 16
"""Payments that a point takes in a UTC day of ledger time (docs/spec/state.md)."""
_DAY_S: Final = 86_400


class Recorded(NamedTuple):
    """What a node says of a movement that is recorded. time_s: ledger time, UTC seconds."""

    party: str
    amount_nano: int
    height: int
    time_s: int


class Checked(NamedTuple):
    """open: to be recorded; known: recorded already, as the file says it; faults: of the others."""

    open: list[Movement]
    known: list[Movement]
    faults: list[RowFault]


class Sent(NamedTuple):
    """A movement, and what became of it."""

    movement: Movement
    answer: Answer


class _Named(NamedTuple):
    """What the registry says of a point: who was ever billed for it, and its area now; of a party: its organisation."""

    parties: Sequence[str]
    area: str


Progress = Callable[[str], None]


async def check(client: Client, signer_id: str, movements: Sequence[Movement], progress: Progress) -> Checked:
    """Ask a node about all movements; nothing is sent. NodeRefused where the signer may not ask."""
    status = await client.status()
    organisation = await _organisation(client, "signer", signer_id)
    points: dict[str, _Named | None] = {}
    owners: dict[str, str | None] = {}
    for place, one in enumerate(movements):
        progress(f"row {place + 1} of {len(movements)}")
        if one.point not in points:
            points[one.point] = await _point(client, one.point, status.ledger_time_s)
        if one.party not in owners:
            owners[one.party] = await _organisation(client, "party", one.party)
    recorded = await _recorded(client, movements, [one for one in points.values() if one], status.ledger_time_s)
    today = status.ledger_time_s // _DAY_S
    of_day = Counter(key.point for key, one in recorded.items() if one.time_s // _DAY_S == today)
    found = Checked([], [], [])
    for one in movements:
        known = recorded.get(one.key)
        words = _fault(one, points[one.point], owners[one.party], organisation) or _contradiction(one, known)
        if not words and known is None:
            of_day[one.point] += 1
            if of_day[one.point] > OF_DAY_MAX:
                words = f"{one.point} takes {OF_DAY_MAX} payments a day, and this is one more: import it tomorrow, or join some"
        if words:
            found.faults.append(RowFault(one.number, words))
        else:
            (found.open if known is None else found.known).append(one)
    return found


async def send(client: Client, signer_id: str, signer: Signer, movements: Sequence[Movement]) -> list[Sent]:
    """Record movements, in their order. A call that breaks off is repeated: what is recorded already is found then."""
    status = await client.status()
    wires = [
        sign_content(
            Payment(
                client_id=secrets.token_bytes(CLIENT_ID_BYTES),
                valid_until_s=status.ledger_time_s + VALID_S,
                amount_nano=one.amount_nano,
                ground=one.ground,
                party=one.party,
                point=one.point,
                reference=one.key.reference,
            ),
            chain=status.chain,
            signer=signer_id,
            sign=signer.sign,
        ).wire
        for one in movements
    ]
    answers = await client.submit(wires)
    return [Sent(one, answer) for one, answer in zip(movements, answers, strict=True)]


def is_recorded(answer: Answer) -> bool:
    """Whether a movement is on the ledger, by this call or before it."""
    return answer.code in (Code.ACCEPTED, Code.EXISTS, Code.PAID_ALREADY)


def _fault(one: Movement, point: _Named | None, owner: str | None, organisation: str | None) -> str:
    """Why the registry does not let a movement be recorded, "" where it does."""
    if point is None:
        return f"point: {one.point} is not registered"
    if owner is None:
        return f"party: {one.party} is not registered"
    if one.party not in point.parties:
        return f"party: {one.point} was never billed to {one.party}, but to {', '.join(point.parties) or 'nobody'}"
    if owner != organisation:
        return f"party: {one.party} is of {owner}, whose own utility records its payments"
    return ""


def _contradiction(one: Movement, known: Recorded | None) -> str:
    """Where the same movement is recorded otherwise, "" where it is not."""
    if known is None or (known.party, known.amount_nano) == (one.party, one.amount_nano):
        return ""
    return f"{one.ground} with this reference is recorded for {one.point} in block {known.height} with another amount or party"


async def _entries(client: Client, kind: str, name: str) -> Sequence[Mapping[str, Any]]:
    """What was registered of an entity, oldest first; nothing where it is not there."""
    from ledger.client import NodeRefused

    try:
        answer: Mapping[str, Any] = await client.query(f"registry/{kind}/{name}")
    except NodeRefused as refused:
        if refused.status == _NOT_FOUND:
            return []
        raise
    found: Sequence[Mapping[str, Any]] = answer["entries"]
    return found


_NOT_FOUND: Final = 404


async def _point(client: Client, name: str, at_s: int) -> _Named | None:
    begun = [one["value"] for one in await _entries(client, "point", name) if one["from_s"] <= at_s]
    if not begun:
        return None
    parties = [value["party"] for value in begun if value.get("party")]
    return _Named(list(dict.fromkeys(parties)), begun[-1]["area"])


async def _organisation(client: Client, kind: str, name: str) -> str | None:
    entries = await _entries(client, kind, name)
    return str(entries[-1]["value"]["organisation"]) if entries else None


async def _recorded(
    client: Client, movements: Sequence[Movement], points: Sequence[_Named], until_s: int
) -> dict[MovementKey, Recorded]:
    """All that was recorded for the areas of the points since the bank booked the first movement: a movement is not recorded before that."""
    first = min((one.day for one in movements), default=None)
    found: dict[MovementKey, Recorded] = {}
    if first is None:
        return found
    from_s = int((datetime.combine(first, time(), UTC) - EARLIEST_CLOCK).timestamp())
    today_s = until_s - until_s % _DAY_S
    for area in sorted({point.area for point in points}):
        start: int | None = 0
        while start is not None:
            span = {"from_s": max(0, min(from_s, today_s)), "until_s": until_s + 1, "start": start}
            answer = await client.query(f"areas/{area}/payments", **span)
            for one in answer["payments"]:
                key = MovementKey(one["point"], one["ground"], bytes.fromhex(one["reference"]))
                found[key] = Recorded(one["party"], one["amount_nano"], one["height"], one["time_s"])
            start = answer["next"]
    return found
