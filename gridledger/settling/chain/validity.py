"""Until when what the importer signs is valid: a ledger keeps so many ids of a signer that end in one hour, and its time stands still during an import."""

from __future__ import annotations

from typing import Final

from gridcore.errors import GridError
from gridledger.settling.chain.founding import IMPORTER, VALID_S
from ledger.leaves.seen import BUCKETS, SEEN
from ledger.state.client_ids import IDS_PER_HOUR_MAX, VALID_S_MAX
from ledger.store.ledger import Ledger

_HOUR_S: Final = 3_600


class Validity:
    """Gives each transaction with an id of its own a time until which it is valid: an hour ahead, later ones where that hour has all the ids that it takes."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._used: dict[int, int] = {}
        """How many ids end in an hour, those of transactions that are signed and in no block yet among them."""

    def next_s(self, now_s: int) -> int:
        """For a transaction of ledger time ``now_s``. GridError where no hour of the next day takes another one."""
        for hour in range((now_s + VALID_S) // _HOUR_S, (now_s + VALID_S_MAX) // _HOUR_S + 1):
            if self._used_in(hour) < IDS_PER_HOUR_MAX:
                self._used[hour] += 1
                return max(now_s + VALID_S, hour * _HOUR_S)
        what = f"the ledger takes {IDS_PER_HOUR_MAX} transactions an hour of its importer, and all hours of a day are used up"
        raise GridError(f"orders.csv: {what}; give fewer moments (arrival, cancelled_at)")

    def _used_in(self, hour: int) -> int:
        if hour not in self._used:
            self._used = {other: used for other, used in self._used.items() if abs(other - hour) < BUCKETS}
            seen = SEEN.load(self._ledger, hour)
            ids = seen.ids if seen is not None and seen.hour == hour else ()
            self._used[hour] = sum(one.signer == IMPORTER for one in ids)
        return self._used[hour]
