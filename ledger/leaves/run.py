"""``run/<slot_start_s>/<zone>/<run>``: what one settlement run of one slot came to; written once."""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.leaves.family import Family


class RunLeaf(NamedTuple):
    """A settlement run of a zone.

    areas, rows: how many the zone has; points: rows that settled; areas_root, rows_root, totals_root: over salted rows of areas,
    points and account totals; as_of_height: of the block before the run's; contract, contract_pin: of what settled; run: its name.
    """

    areas: int
    areas_root: bytes
    as_of_height: int
    contract: str
    contract_pin: bytes
    points: int
    rows: int
    rows_root: bytes
    run: str
    slot_start_s: int
    totals_root: bytes
    zone: str


def _key(slot_start_s: int, zone: str, run: str) -> str:
    return f"run/{slot_start_s}/{zone}/{run}"


RUN: Final = Family("run", _key, RunLeaf, is_provable=True, is_followed=True)
