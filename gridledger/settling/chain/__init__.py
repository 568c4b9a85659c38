"""A chain of its own for data that exist already: founded from a dataset, fed day by day, read run by run."""

from __future__ import annotations

from gridledger.settling.chain.frame import (
    Scope,
    billed_in,
    files_scope,
    frame_of_ledger,
    is_any_settled,
    settled_slots,
    timezone_of,
)
from gridledger.settling.chain.importing import settled_ledger
from gridledger.settling.chain.partners import PartnersOfRuns
from gridledger.settling.chain.payments import payments_of_month, payments_of_span
from gridledger.settling.chain.proof import write_proof
from gridledger.settling.chain.reading import billed_points, read_runs, read_slots
from gridledger.settling.chain.tariffs import named_tariffs, named_terms, tariffs_of_ledger, with_ways

__all__ = [
    "PartnersOfRuns", "Scope", "billed_in", "billed_points", "files_scope", "frame_of_ledger", "is_any_settled", "named_tariffs", "named_terms", "payments_of_month", "payments_of_span", "read_runs", "read_slots",
    "settled_ledger", "settled_slots", "tariffs_of_ledger", "timezone_of", "with_ways", "write_proof",
]  # fmt: skip
