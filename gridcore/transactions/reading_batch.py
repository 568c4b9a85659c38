"""metering/reading_batch: one gateway, one slot boundary, one signature over the root of its readings (docs/spec/batch.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Self

from gridcore.envelope import Transaction
from gridcore.forms import DIGEST, Form, choice, exactly, integer, text
from gridcore.transactions.content import check_fields
from gridcore.transactions.readings import REGISTERS, ROWS_MAX

FIRST_PREVIOUS: Final = bytes(32)
"""``previous`` of the first batch in an epoch."""
AGENT_CHARACTERS_MAX: Final = 64
CLOCK_STATES: Final = ("synced", "holdover", "unsynced", "simulated")


def _is_receipt(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and integer().holds(value[0]) and DIGEST.holds(value[1])


_CLOCK: Final[Mapping[str, Form]] = {"offset_ms": integer(), "state": choice(*CLOCK_STATES)}
_IDENTITY: Final[Mapping[str, Form]] = {"counter": integer(1), "epoch": integer(1)}
_BODY: Final[Mapping[str, Form]] = {
    "agent": text(0, AGENT_CHARACTERS_MAX),
    "boundary_s": integer(),
    "clock": Form("a map", lambda value: isinstance(value, dict)),
    "configuration": DIGEST,
    "observations": DIGEST,
    "previous": DIGEST,
    "profiles": DIGEST,
    "receipt": Form("[height, header digest of 32 bytes]", _is_receipt),
    "registers": exactly(list(REGISTERS), f"[{', '.join(REGISTERS)}]"),
    "rows": integer(1, ROWS_MAX),
    "rows_root": DIGEST,
}
_OPTIONAL: Final = frozenset({"observations", "receipt"})


class ClockState(NamedTuple):
    """What a gateway says of its own clock. offset_ms: from true time, as far as it knows; state: one of ``CLOCK_STATES``."""

    offset_ms: int
    state: str


class VerifiedHeader(NamedTuple):
    """The newest header whose receipt a gateway verified: so gateways are witnesses against a rewritten history."""

    height: int
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class ReadingBatch:
    """The signed part of a batch; digests have 32 bytes.

    counter: from 1 in each epoch, without gaps; previous: id of the batch before, ``FIRST_PREVIOUS`` for the first;
    boundary_s: UTC seconds; agent: name and version of the program; configuration, profiles: digests of what it reads with;
    rows, rows_root, observations: see ``readings.attach``.
    """

    kind: ClassVar[str] = "metering/reading_batch"

    agent: str
    boundary_s: int
    clock: ClockState
    configuration: bytes
    counter: int
    epoch: int
    previous: bytes
    profiles: bytes
    rows: int
    rows_root: bytes
    observations: bytes | None = None
    receipt: VerifiedHeader | None = None

    def identity(self) -> Mapping[str, Any]:
        """See Content."""
        return {"counter": self.counter, "epoch": self.epoch}

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        body = {
            "agent": self.agent,
            "boundary_s": self.boundary_s,
            "clock": self.clock._asdict(),
            "configuration": self.configuration,
            "observations": self.observations,
            "previous": self.previous,
            "profiles": self.profiles,
            "receipt": self.receipt,
            "registers": REGISTERS,
            "rows": self.rows,
            "rows_root": self.rows_root,
        }
        return {name: item for name, item in body.items() if item is not None}

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content. The attachment is not looked at."""
        identity = check_fields(cls.kind, transaction.identity, _IDENTITY)
        body = check_fields(cls.kind, transaction.body, _BODY, _OPTIONAL)
        clock = check_fields(f"{cls.kind}: clock", body["clock"], _CLOCK)
        receipt = body.get("receipt")
        return cls(
            agent=body["agent"],
            boundary_s=body["boundary_s"],
            clock=ClockState(**clock),
            configuration=body["configuration"],
            counter=identity["counter"],
            epoch=identity["epoch"],
            previous=body["previous"],
            profiles=body["profiles"],
            rows=body["rows"],
            rows_root=body["rows_root"],
            observations=body.get("observations"),
            receipt=None if receipt is None else VerifiedHeader(*receipt),
        )
