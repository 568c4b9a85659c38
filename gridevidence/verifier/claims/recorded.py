"""Claim 10: the ledger accepted what the bundle shows."""

from __future__ import annotations

from gridevidence.layout import ENROLMENT_KIND
from gridevidence.verifier.answers import hold, same
from gridevidence.verifier.examination import Examination


def check_recorded(of: Examination) -> str:
    """10: batches and orders were accepted (code 0) in blocks before the run; enrolments too, all in the header's history."""
    for transaction in of.bundle.transactions:
        block, what = transaction.block, transaction.what
        same(f"the chain of the block of {what}", block.chain, of.bundle.header.chain)
        hold(0 < block.height < of.bundle.header.height, f"the block of {what} is not before the header")
        hold(transaction.data_root == block.data_root, f"{what} was not accepted in its block")
        is_past = transaction.history_root == of.bundle.header.history_root
        hold(is_past, f"the block of {what} is not in the header's history")
        is_in_time = transaction.kind == ENROLMENT_KIND or block.height <= of.run["as_of_height"] + 1
        hold(is_in_time, f"{what} was recorded after the run")
    return "Readings and orders were accepted in blocks before the run, in the header's history."
