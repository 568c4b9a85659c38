"""What can be wrong with a meter, and with the way to it: named data, each kind seen in the field.

A fault is over by itself after so many requests or so much time, as in life; ``NO_FAULT`` is a meter in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Shows = Literal["", "no_value", "zero", "ones", "words_swapped"]
"""What billing registers show in place of a value: what their coding has for "no value" (all ones where it has nothing), all zeros, all ones, (Modbus) its words in reverse."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a meter. Times in milliseconds."""

    silent: bool = False
    """It never answers."""
    exception: int = 0
    """It answers every request with this exception code (Modbus) or error byte (DL/T 645)."""
    late_ms: int = 0
    """It answers this much later."""
    shows: Shows = ""
    """Its billing registers show this, as a meter that boots."""
    lower_wh: int = 0
    """Its registers show this much less than it has counted."""
    back_wh: int = 0
    """Its import register goes back by this much at every request."""
    stuck: bool = False
    """Its registers stand still from now on, whatever it counts."""
    requests: int = -1
    """The fault is over after so many requests; -1: it stays."""
    lasts_ms: int = -1
    """The fault is over after so much time; -1: it stays."""


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong with the way to the meters of a line: gateway, device server, adapter, cable. Times in milliseconds."""

    gateway_timeout_ms: int = 0
    """So long a Modbus TCP gateway waits for a silent meter, and serves nobody meanwhile, before it answers exception 11."""
    answers_per_connection: int = 0
    """It closes the connection after so many answers; 0: it never does."""
    gap_ms: int = 0
    """It drops a request that comes sooner than this after its last answer."""
    pause_after_connect_ms: int = 0
    """It drops what comes sooner than this after a connection was accepted."""
    noise: bytes = b""
    """These bytes come before each answer: interference, or the 00 byte of a driver that switches direction."""
    damaged: bool = False
    """A bit of each answer is flipped, in the checksum of those that have one."""
    twice: bool = False
    """Each answer comes twice."""
    overtaken_every: int = 0
    """One of so many answers comes only behind the next one; 0: they keep their order."""
    echo: bool = False
    """Each request comes back before the answer, as of an RS-485 adapter that hears itself."""
    transaction_id_off: int = 0
    """Answers carry a transaction id that is off by this much."""
    unit_id_off: int = 0
    """Answers carry a unit id that is off by this much."""


NO_FAULT: Final = Fault()
NO_LINE_FAULT: Final = LineFault()
