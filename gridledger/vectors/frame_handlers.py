"""The handler about frames of meters on a serial line: the edge's decoder."""

from __future__ import annotations

from edge.dlt645 import decode_frame
from gridledger.vectors.cases import CaseInput, rational


def dlt645_frame(case: CaseInput) -> dict[str, object]:
    """``dlt645_frame/1``."""
    frame = decode_frame(case.data("frame"))
    output: dict[str, object] = {"address": frame.address, "control": frame.control}
    if frame.data_id is not None:
        output["data_id"] = frame.data_id.hex()
    if frame.reading is not None:
        output.update(value=rational(frame.reading.value), unit=frame.reading.unit)
    if frame.error is not None:
        output["error"] = frame.error
    return output
