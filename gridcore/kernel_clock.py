"""What the kernel says of this machine's clock: whether something disciplines it, and how far off it knows it to be."""

from __future__ import annotations

import ctypes
from typing import Final

from gridcore.transactions.reading_batch import ClockState

_TIME_ERROR: Final = 5
_STA_UNSYNC: Final = 0x0040
_STA_NANO: Final = 0x2000


class _Timex(ctypes.Structure):
    """``struct timex`` of Linux, as far as it is read (adjtimex(2)); the rest is room."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_byte * 512),
    ]


def kernel_clock_state() -> ClockState:
    """Ask the kernel whether something disciplines its clock (adjtimex, read only). "unsynced" where it cannot tell."""
    unsynced = ClockState(0, "unsynced")
    try:
        timex = _Timex()
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return unsynced
    if answer < 0 or answer == _TIME_ERROR or timex.status & _STA_UNSYNC:
        return unsynced
    per_ms = 1_000_000 if timex.status & _STA_NANO else 1000
    return ClockState(round(timex.offset / per_ms), "synced")
