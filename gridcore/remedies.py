"""What helps where a reading batch or a row of it was not used, by its code: one line for whoever runs the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gridcore.codes import Code

ROW_REMEDIES: Final[Mapping[Code, str]] = {
    Code.ROW_CORRECTION_CANDIDATE: "another value stands; if this one is right, its organisation approves it (gridledger metering approve)",
    Code.ROW_UNKNOWN_METER: "register the installation, or take the meter out of the agent's configuration",
    Code.ROW_GOES_BACK: "register the exchange or the reset with the registers before and after; or approve the register",
    Code.ROW_EXCEEDS_LIMIT: "if the energy is true, approve the register and register a larger limit_wh; else look at the meter",
    Code.ROW_TWICE: "the agent's configuration reads one meter twice: take one line out",
    Code.ROW_OTHER_GATEWAY: "register this gateway for the installation, or let the other one read it",
    Code.ROW_QUALITY: "the gateway itself doubts this register: look at the meter and its log; the slot is estimated by itself",
    Code.ROW_NOT_AT_BOUNDARY: "the meter answers too late after the boundary: look at its line and time-outs",
    Code.ROW_CLOCK: "mend the gateway's clock; registers of the past are approved, the next ones come by themselves",
    Code.ROW_FIRST_VALUE: "register the right first_registers of the installation; a meter that was booting is read right next time",
    Code.ROW_FINAL: "the slot is final: nothing changes it any more",
}
BATCH_REMEDIES: Final[Mapping[Code, str]] = {
    Code.KEY_PROTECTION: "the chain takes nothing more of a key kept as this one is: make one in a TPM, enrol it (gridledger edge enrol), open a new epoch",
}


def code_name(code: int) -> str:
    """The name of a code; its number where this program does not know it."""
    known = {int(one): one.name for one in Code}
    return known.get(code, str(code))


def remedy_of(code: int) -> str:
    """What helps, "" where nobody knows."""
    return next((words for known, words in {**ROW_REMEDIES, **BATCH_REMEDIES}.items() if known == code), "")
