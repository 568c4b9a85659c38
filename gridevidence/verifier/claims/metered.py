"""Claim 5: the registers are what the meter's gateway read at the slot's start and end."""

from __future__ import annotations

from gridevidence.layout import BATCH_KIND, INPUT_ROW, READING_ROW, SIGNED_BATCH
from gridevidence.verifier.answers import hold, same
from gridevidence.verifier.examination import Examination


def check_readings(of: Examination) -> str:
    """5: both readings, rows of signed batches of this chain, gateway, boundary and meter, show the input's registers."""
    number, *registers, end_quality = INPUT_ROW.unpack(of.bundle["input"]["row"])
    for when, part in of.bundle["batches"].items():
        batch = of.signed(part, SIGNED_BATCH, BATCH_KIND, f"the {when} batch")
        body, used = batch["body"], registers[when == "end" :: 2]
        same(f"the gateway of the {when} batch", batch["signer"], of.facts["gateway"])
        same(f"the boundary of the {when} batch", body["boundary_s"], of.facts[f"slot_{when}_s"])
        row = of.row(part["reading"], READING_ROW, body["rows_root"], f"{when} reading")
        same(f"the {when} reading of meter and registers", (row[0], *row[3:]), (number, *used))
        measured = row[2] & 0x2F == 0 and abs(row[1]) <= 500 * of.value["chain"]["slot_s"]  # within half a slot
        hold(measured, f"the {when} reading is not one measured at its boundary")
        hold(when == "start" or row[2] == end_quality, "the end reading's quality is not as the settlement noted")
        of.facts.update({f"{when}_registers_wh": used, f"{when}_clock": body["clock"]["state"]})
    return f"The registers are measured readings of meter {number} at the slot's start and end."
