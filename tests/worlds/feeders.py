"""One area of two feeder meters under a gateway each, begun inside one of its first slots: much to store and nothing to settle."""

from __future__ import annotations

from dataclasses import replace

from gridcore.master_data import Named
from gridcore.registry.calendar import Calendar
from gridcore.registry.signer import SIGNER, Signer
from ledger.kinds.reading_batch import LATE_BATCHES_MAX
from tests.worlds.consortium import SLOT_S, UTILITY, Consortium, area, feeder, gateway, zone
from tests.worlds.keys import key

START_S = 1_700_000_100
FIRST_SLOT_S = START_S // SLOT_S * SLOT_S
FEEDERS = Consortium(
    name="test",
    start_s=START_S,
    calendar=Calendar(days=[FIRST_SLOT_S], months=[FIRST_SLOT_S], tz="UTC", tz_version="1"),
    zones=[zone(first_slot_start_s=FIRST_SLOT_S - 8 * SLOT_S, metering_deadline_s=86_400)],
    areas=[area("A")],
    gateways=[gateway("gw-1"), gateway("gw-2")],
    roles={"admin": ["administrator"]},
    meters=[
        feeder(1, area="A", gateway="gw-1"),
        feeder(2, area="A", gateway="gw-2"),
    ],
)
ON_BLOCK_TIME = replace(FEEDERS, name="real", clock="block")
"""The same on a chain whose clock is that of the blocks."""


def batches(gateway: str, count: int, *, first_register_wh: int = 0, consortium: Consortium = FEEDERS) -> list[bytes]:
    """Batches 1 ... ``count`` of a gateway, chained, one row each: as many for the slot boundary before START_S as there may
    be, the others for those before it."""
    sender, meter = consortium.sender(), int(gateway[-1])
    earlier = [-(-max(0, number - LATE_BATCHES_MAX) // LATE_BATCHES_MAX) for number in range(count)]
    rows = [(meter, first_register_wh, 0)]
    return [sender.batch(gateway, FIRST_SLOT_S - slots * SLOT_S, rows) for slots in earlier]


def clock_advance(to_s: int) -> bytes:
    """Move ledger time to ``to_s``; the same bytes for the same instant."""
    return FEEDERS.sender().clock(to_s, valid_until_s=to_s)


def new_key(signer: str, number: int, from_s: int) -> bytes:
    """Enrol key ``number`` of a signer of the utility, in force from ``from_s``; the same bytes for the same key and instant."""
    roles = sorted(FEEDERS.signers[signer])
    row = Named(SIGNER, signer, Signer(UTILITY, key(f"{signer}+{number}").public_key, roles), from_s)
    return FEEDERS.sender().register([*row.rows()], valid_until_s=from_s)
