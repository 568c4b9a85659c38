"""settlement/payment: what a point owes becomes less, or more, and an account of its area has the other side."""

from __future__ import annotations

from typing import Final

import numpy as np

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.errors import broken
from gridcore.registry.area import AREA
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT, Point
from gridcore.registry.signer import SIGNER
from gridcore.sm3 import sm3
from gridcore.transactions.payment import GROUNDS, Payment
from ledger.leaves.accounts import ACCOUNTS, NO_ACCOUNTS
from ledger.leaves.balance import BALANCE, no_balance
from ledger.leaves.columns import chunk_bounds, split_row
from ledger.leaves.intervals import DAY_S
from ledger.leaves.money import Money
from ledger.leaves.payments import PAYMENTS, Paid, PaymentsLeaf
from ledger.registry.bodies import OpenedEntity, in_force, open_entity
from ledger.registry.zones import Zone
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft

KEPT: Final = 64
"""Payments of a point that the state keeps; the blocks have all of them."""
OF_DAY_MAX: Final = 16
"""Payments of a point in a UTC day, of ledger time: so a reference stays known for four days at least."""


def take_payment(draft: Draft, transaction: Transaction, content: Payment) -> Code:
    """The first check that fails gives the code; else both sides are posted."""
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    party, who = draft.in_force(PARTY, content.party), draft.in_force(SIGNER, transaction.signer)
    if party is None or who is None or who.organisation != party.organisation:
        return Code.NOT_PERMITTED
    point = open_entity(draft, POINT, content.point)
    if point is None or point.leaf.number is None or not _was_billed(draft, point, content.party):
        return Code.NEVER_BILLED
    day = draft.ledger_time_s // DAY_S
    before = PAYMENTS.load(draft, content.point) or PaymentsLeaf(day, [], 0, 0)
    of_day = before.of_day if before.day == day else 0
    if any((paid.ground, paid.reference) == (content.ground, content.reference) for paid in before.newest):
        return Code.PAID_ALREADY
    if of_day >= OF_DAY_MAX:
        return Code.TOO_MANY_PAYMENTS
    paid = Paid(
        amount_nano=content.amount_nano,
        ground=content.ground,
        height=draft.height,
        party=content.party,
        reference=content.reference,
        signer=transaction.signer,
        time_s=draft.ledger_time_s,
    )
    newest = [*before.newest, paid][-KEPT:]
    PAYMENTS.save(draft, PaymentsLeaf(day, newest, of_day + 1, before.recorded + 1), content.point)
    _post(draft, content, point.leaf.number, transaction.id)
    remember_client_id(draft, transaction, content)
    return Code.ACCEPTED


def _was_billed(draft: Draft, point: OpenedEntity[Point], party: str) -> bool:
    """Whether a point is billed to a party, or was at some time: also by an entry that one of the same instant has replaced since, for runs

    have billed by it, and what was paid for these goes back.
    """
    begun = (
        entry
        for entry in point.leaf.entries
        if entry.from_s <= draft.ledger_time_s and entry.recorded_height < draft.height
    )
    return any(point.open(draft, entry).record.party == party for entry in begun)


def _post(draft: Draft, content: Payment, row: int, transaction_id: bytes) -> None:
    """Both sides of a payment: the row of its point in the zone owes less, an account of the area has received less, or both more."""
    zone, area = _place(draft, content.point)
    effect = GROUNDS[content.ground]
    less = Money.of([-effect.sign * content.amount_nano])
    chunk, at = split_row(row)
    first, end = chunk_bounds(chunk)
    size = min(end, len(zone)) - first
    balance = BALANCE.load(draft, zone.name, chunk) or no_balance(size)
    balance = balance.add(_at(less, at, size))
    BALANCE.save(draft, balance._replace(seed=sm3(balance.seed + transaction_id)), zone.name, chunk)
    chunk, at = split_row(area)
    first, end = chunk_bounds(chunk)
    size = min(end, len(zone.areas)) - first
    accounts = (ACCOUNTS.load(draft, zone.name, chunk) or NO_ACCOUNTS).add({effect.account: _at(less, at, size)}, size)
    ACCOUNTS.save(draft, accounts._replace(seed=sm3(accounts.seed + transaction_id)), zone.name, chunk)


def _place(draft: Draft, point: str) -> tuple[Zone, int]:
    """The zone of a point that is registered, and the number of its area in it."""
    found = in_force(draft, POINT, point, draft.ledger_time_s, draft.height - 1)
    name = (found or broken(f"point {point} is in force where somebody was billed for it")).record.area
    area = in_force(draft, AREA, name, draft.ledger_time_s, draft.height - 1)
    zone = draft.registry.zone((area or broken(f"area {name} is registered where its points are")).record.zone)
    return zone, zone.areas.index(name)


def _at(money: Money, at: int, size: int) -> Money:
    """One amount at its place among ``size``, the others 0."""
    units, nano = np.zeros((2, size), dtype=np.int64)
    units[at], nano[at] = money.units[0], money.nano[0]
    return Money(units, nano)
