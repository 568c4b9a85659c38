"""Which registers that an organisation answered for are substitutes: nobody read them. Told by the reason of ``metering/approve``, for people; no rule of the ledger asks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gridcore.envelope import decode_transaction
from gridcore.quality import CODE_MASK, CORRECTED, SUBSTITUTED
from gridcore.transactions.approve_reading import ApproveReading
from ledger.store.reader import LedgerReader

APPROVALS_MAX: Final = 1 << 18
"""Registers of which it is kept in memory who answered for them, those answered for last: older substitutes are shown as corrected."""


class Substitutes:
    """The registers of a ledger that were answered for, read as its blocks come. Callable from several threads."""

    def __init__(self, reader: LedgerReader, most: int = APPROVALS_MAX) -> None:
        """most: registers that are kept."""
        self._reader, self._most, self._height = reader, most, 0
        self._answered: OrderedDict[tuple[int, int], list[tuple[int, bool]]] = OrderedDict()
        self._lock = threading.Lock()

    def told(
        self, quality: NDArray[np.uint8], installations: Sequence[int], boundary_s: int, height: int
    ) -> NDArray[np.uint8]:
        """Quality bytes as people are to read them: those of registers at a boundary, or of energies that end there, as of a height.

        installations: their numbers, one a byte. A corrected one whose newest answer is a substitute is SUBSTITUTED.
        """
        corrected = np.flatnonzero((quality & CODE_MASK) == CORRECTED).tolist()
        if not corrected:
            return quality
        with self._lock:
            self._read_on()
            found = quality.copy()
            for at in corrected:
                answers = self._answered.get((int(installations[at]), boundary_s), ())
                if next((is_one for since, is_one in reversed(answers) if since <= height), False):
                    found[at] |= SUBSTITUTED
            return found

    def _read_on(self) -> None:
        """What was answered for since the last time."""
        height = self._reader.height
        if height == self._height:
            return
        acts = self._reader.accepted_acts(ApproveReading.kind, height, self._height)
        for act in sorted(acts, key=lambda one: (one.height, one.position)):
            decided = self._reader.transaction(act.id)
            if decided is None:
                continue
            content = ApproveReading.decode(decode_transaction(decided.wire))
            place = content.installation, content.boundary_s
            self._answered.setdefault(place, []).append((act.height, content.is_substitute))
            self._answered.move_to_end(place)
            if len(self._answered) > self._most:
                self._answered.popitem(last=False)
        self._height = height
