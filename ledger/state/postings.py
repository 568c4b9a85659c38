"""Postings: what a run moves on accounts and balances. A later run posts only what it changes (``difference_posting/1``).

The sum of all postings of an account is therefore always the last run alone, however many runs there were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gridcore.errors import require
from gridcore.sm3 import sm3
from ledger.leaves.accounts import ACCOUNTS, NO_ACCOUNTS
from ledger.leaves.balance import BALANCE, no_balance
from ledger.leaves.columns import Int64, chunks
from ledger.leaves.money import NO_MONEY, Money
from ledger.leaves.positions import POSITIONS
from ledger.leaves.results import RESULTS, ResultsLeaf
from ledger.registry.zones import Zone
from ledger.state.draft import Draft

_POINTS: Final = "points"
"""The account under which what points pay is compared."""


def difference_posting(before: Mapping[str, Money], after: Mapping[str, Money]) -> dict[str, Money]:
    """What the run ``after`` posts on top of ``before``: {account: amounts}, without accounts of which no amount differs.

    Amounts are columns, one amount an area or a point; where a run has fewer, or does not name an account, they are 0 there.
    The first run posts against nothing. Accounts in ``after`` come first, in its order.
    """
    accounts = (*after, *(account for account in before if account not in after))
    size = max((len(amounts.units) for amounts in (*before.values(), *after.values())), default=0)
    differences = {
        account: after.get(account, NO_MONEY).padded(size).less(before.get(account, NO_MONEY).padded(size))
        for account in accounts
    }
    return {account: amounts for account, amounts in differences.items() if amounts.is_anything}


def post_run(
    draft: Draft, zone: Zone, slot_start_s: int, pays_nano: Int64, results: ResultsLeaf, before: str | None
) -> None:
    """Post what a run of a slot changes against the run ``before`` it (None: there is none). Double entry, to the nano.

    pays_nano: int64[rows]; results: of all areas of the zone.
    """
    owed_nano = _post_points(draft, zone, slot_start_s, pays_nano, results.seed, before)
    received_nano = _post_accounts(draft, zone, slot_start_s, results, before)
    require(owed_nano == received_nano, f"debits equal credits in zone {zone.name}")


def _post_points(draft: Draft, zone: Zone, slot_start_s: int, pays_nano: Int64, seed: bytes, before: str | None) -> int:
    """What the points owe more; the sum in nano."""
    owed_nano = 0
    for chunk, first, end in chunks(len(zone)):
        old = None if before is None else POSITIONS.load(draft, slot_start_s, zone.name, before, chunk)
        paid = {} if old is None else {_POINTS: Money.of_column(old.columns["pays_nano"])}
        posted = difference_posting(paid, {_POINTS: Money.of_column(pays_nano[first:end])})
        balance = BALANCE.load(draft, zone.name, chunk) or no_balance(end - first)
        more = posted.get(_POINTS, NO_MONEY).padded(end - first)
        balance = balance.add(more)
        owed_nano += more.total_nano
        BALANCE.save(draft, balance._replace(seed=sm3(balance.seed + seed)), zone.name, chunk)
    return owed_nano


def _post_accounts(draft: Draft, zone: Zone, slot_start_s: int, results: ResultsLeaf, before: str | None) -> int:
    """What the accounts of the areas receive more; the sum in nano."""
    received_nano = 0
    for chunk, first, end in chunks(len(zone.areas)):
        old = None if before is None else RESULTS.load(draft, slot_start_s, zone.name, before, chunk)
        posted = difference_posting({} if old is None else old.received, results.take(slice(first, end)).received)
        accounts = (ACCOUNTS.load(draft, zone.name, chunk) or NO_ACCOUNTS).add(posted, end - first)
        ACCOUNTS.save(draft, accounts._replace(seed=sm3(accounts.seed + results.seed)), zone.name, chunk)
        received_nano += sum(amounts.total_nano for amounts in posted.values())
    return received_nano
