"""From a sample to a signed batch: the one place where a gateway's key meets readings (docs/spec/batch.md)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge.outbox_file import QueuedBatch
from edge.progress import Progress
from edge.samples import MeterSample
from gridcore.envelope import decode_transaction
from gridcore.quality import FLAG_LATE
from gridcore.sm import Signer
from gridcore.transactions.content import sign_content
from gridcore.transactions.reading_batch import ClockState, ReadingBatch
from gridcore.transactions.readings import SEED_BYTES, Reading, attach


@dataclass(frozen=True, slots=True)
class BatchMaker:
    """Everything in a batch that does not change between boundaries.

    ``agent``: name and version, at most 64 characters; ``configuration`` and ``profiles``: digests of 32 bytes.
    """

    gateway: str
    chain: str
    signer: Signer
    agent: str
    configuration: bytes
    profiles: bytes

    def make(
        self,
        boundary_s: int,
        readings: Sequence[Reading],
        progress: Progress,
        clock: ClockState,
        observations: bytes = b"",
    ) -> QueuedBatch:
        """Sign ``readings`` (1 to 4,096, any order) as the batch after ``progress``; nothing is stored or sent here.

        ``observations``: encoded (``gridcore.observations``); they ride along and bill nothing.
        """
        rows = sorted(readings, key=lambda reading: reading.meter)
        attached = attach(secrets.token_bytes(SEED_BYTES), rows, observations)
        content = ReadingBatch(
            agent=self.agent,
            boundary_s=boundary_s,
            clock=clock,
            configuration=self.configuration,
            counter=progress.counter + 1,
            epoch=progress.epoch,
            previous=progress.previous,
            profiles=self.profiles,
            rows=attached.rows,
            rows_root=attached.rows_root,
            observations=attached.observations,
            receipt=progress.receipt,
        )
        return self._signed(content, attached.attachment)

    def remake(self, wire: bytes, progress: Progress) -> QueuedBatch:
        """Sign the content of an earlier batch anew, as the batch after ``progress``: another epoch, the same readings.

        It names what the new outbox has verified: after a lost history that is what the organisation has accepted.
        """
        old = decode_transaction(wire)
        content = replace(
            ReadingBatch.decode(old),
            counter=progress.counter + 1,
            epoch=progress.epoch,
            previous=progress.previous,
            receipt=progress.receipt,
        )
        return self._signed(content, old.attachment)

    def _signed(self, content: ReadingBatch, attachment: bytes) -> QueuedBatch:
        signed = sign_content(
            content, chain=self.chain, signer=self.gateway, sign=self.signer.sign, attachment=attachment
        )
        return QueuedBatch(content.counter, signed.id, content.boundary_s, content.rows, signed.wire)


def readings_of(meters: Sequence[MeterSample], *, simulated: bool) -> list[Reading]:
    """Rows of accepted readings. On simulated time the clock stands still while meters are read: offset 0, never late."""
    return [
        Reading(
            meter=meter.number,
            offset_ms=0 if simulated else meter.offset_ms,
            quality=meter.quality | (meter.flags & ~FLAG_LATE if simulated else meter.flags),
            import_wh=meter.registers_wh[0],
            export_wh=meter.registers_wh[1],
        )
        for meter in meters
    ]


def after(progress: Progress, made: QueuedBatch) -> Progress:
    """The progress of an outbox that holds ``made`` as its newest batch."""
    return replace(
        progress,
        counter=made.counter,
        previous=made.id,
        last_boundary_s=max(progress.last_boundary_s, made.boundary_s),
    )
