"""The client ids of one hour while a block is made: found at once, and written once, however many transactions bring theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ledger.leaves.family import WritableLeaves
from ledger.leaves.seen import SEEN, SeenId, SeenLeaf


class SeenIds:
    """The ids of accepted transactions that are valid until an hour, those of the block behind the others."""

    def __init__(self, hour: int, ids: Iterable[SeenId]) -> None:
        self.hour = hour
        self._ids: list[SeenId] = []
        self._of_signer: dict[str, dict[bytes, bytes]] = {}
        for seen in ids:
            self._add(seen)
        self._is_changed = False

    def of(self, signer: str) -> Mapping[bytes, bytes]:
        """The transactions of a signer, by their client ids."""
        return self._of_signer.get(signer, {})

    def remember(self, seen: SeenId) -> None:
        """Keep one more."""
        self._add(seen)
        self._is_changed = True

    def write(self, leaves: WritableLeaves) -> None:
        """Write the hour's leaf, where the block has changed it."""
        if self._is_changed:
            SEEN.save(leaves, SeenLeaf(self.hour, self._ids), self.hour)

    def _add(self, seen: SeenId) -> None:
        self._ids.append(seen)
        self._of_signer.setdefault(seen.signer, {})[seen.client_id] = seen.transaction_id
