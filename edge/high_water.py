"""The anti-rollback mark: a counter in the TPM that nothing sets back, raised with the outbox's own counter.

The gap-free counter lives in the outbox. A copy of the outbox that is put back later, with the node out of reach, would sign a
second batch under a used counter: its mark is lower than the TPM's, and the agent does not start. The TPM's memory wears, so
the mark rises at each start and every BATCHES_PER_MARK batches: a copy that is younger is found by the ledger alone.
"""

from __future__ import annotations

from typing import Final

from gridcore.errors import UsageError
from gridcore.signers.key_uri import parse_key_uri
from gridcore.signers.tpm import place_of
from gridcore.tpm import commands
from gridcore.tpm.wire import Tpm, TpmError

BATCHES_PER_MARK: Final = 64
BEHIND_MAX: Final = 16
"""By how much the TPM may be behind the outbox: raises that a power cut, or a TPM that did not answer, has kept back."""
INDEX_MIN, INDEX_MAX = 0x01800000, 0x01BFFFFF
"""NV indices of the owner (TCG registry of reserved handles)."""


class HighWater:
    """The counter of a ``tpm2:INDEX`` URI. UsageError for another URI; TpmError when the TPM does not answer."""

    def __init__(self, uri: str) -> None:
        parsed = parse_key_uri(uri, "counter_mark", ("tpm",))
        self._index = parsed.number(parsed.place, INDEX_MIN, INDEX_MAX, "NV index")
        self._place = place_of(parsed)
        self.where = f"counter_mark {uri!r}"

    def read(self) -> int:
        """Its value, at least 1; it is made when it is not there."""
        with Tpm(self._place) as tpm:
            try:
                return commands.read_counter(tpm, self._index)
            except TpmError as error:
                if error.code != commands.NO_SUCH_INDEX:
                    raise
            commands.define_counter(tpm, self._index)
            return commands.read_counter(tpm, self._index)

    def raise_to(self, mark: int) -> None:
        """Count up to ``mark``, where it is not there yet. UsageError when that is too far: another TPM."""
        with Tpm(self._place) as tpm:
            value = commands.read_counter(tpm, self._index)
            if mark - value > BEHIND_MAX:
                raise UsageError(f"{self.where}: counts {value}, the outbox {mark}: this is another TPM than before")
            for _ in range(mark - value):
                commands.increment(tpm, self._index)
