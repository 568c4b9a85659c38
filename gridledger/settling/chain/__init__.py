"""A chain of its own for data that exist already: founded from a dataset, fed day by day, read run by run."""

from __future__ import annotations

from gridledger.settling.chain.frame import frame_of_ledger, some_slots
from gridledger.settling.chain.importing import settled_ledger
from gridledger.settling.chain.proof import write_proof
from gridledger.settling.chain.reading import billed_points, read_runs, read_slots
from gridledger.settling.chain.tariffs import tariffs_of_ledger

__all__ = [
    "billed_points", "frame_of_ledger", "read_runs", "read_slots", "settled_ledger", "some_slots", "tariffs_of_ledger", "write_proof",
]  # fmt: skip
