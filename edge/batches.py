"""From a sample to a signed batch: the one place where a gateway's key meets readings (docs/spec/batch.md)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge.outbox import Progress, QueuedBatch
from edge.sampling import MeterSample
from gridcore import batch
from gridcore.envelope import decode_transaction, encode_signed, encode_transaction
from gridcore.sm import Signer
from gridcore.sm3 import sm3

FLAGS_SHIFT = 4


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
        readings: Sequence[batch.Reading],
        progress: Progress,
        clock: Mapping[str, Any],
        observations: bytes = b"",
    ) -> QueuedBatch:
        """Sign ``readings`` (1 to 4,096, any order) as the batch after ``progress``; nothing is stored or sent here.

        ``observations``: encoded (``gridcore.observations``); they ride along and bill nothing.
        """
        rows = sorted(readings, key=lambda reading: reading.meter)
        seed = secrets.token_bytes(batch.SEED_BYTES)
        body = batch.encode_body(
            agent=self.agent,
            boundary_s=boundary_s,
            clock=clock,
            configuration=self.configuration,
            previous=progress.previous,
            profiles=self.profiles,
            rows=len(rows),
            root=batch.rows_root(seed, rows),
            receipt=progress.receipt,
            observations=observations,
        )
        return self._signed(body, progress, batch.encode_attachment(seed, rows, observations))

    def remake(self, wire: bytes, progress: Progress) -> QueuedBatch:
        """Sign the content of an earlier batch anew, as the batch after ``progress``: another epoch, the same readings."""
        old = decode_transaction(wire)
        body = {**old.body, "previous": progress.previous}
        return self._signed(body, progress, old.attachment)

    def _signed(self, body: Mapping[str, Any], progress: Progress, attachment: bytes) -> QueuedBatch:
        counter = progress.counter + 1
        signed = encode_signed(
            chain=self.chain,
            kind=batch.KIND,
            signer=self.gateway,
            identity={"counter": counter, "epoch": progress.epoch},
            body=body,
        )
        wire = encode_transaction(signed, self.signer.sign(signed), attachment)
        return QueuedBatch(counter, sm3(signed), body["boundary_s"], body["rows"], wire)


def readings_of(meters: Sequence[MeterSample], *, simulated: bool) -> list[batch.Reading]:
    """Rows of accepted readings. On simulated time the clock stands still while meters are read: offset 0, never late."""
    return [
        batch.Reading(
            meter=meter.number,
            offset_ms=0 if simulated else meter.offset_ms,
            quality=meter.quality | (meter.flags & ~batch.FLAG_LATE if simulated else meter.flags) << FLAGS_SHIFT,
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
