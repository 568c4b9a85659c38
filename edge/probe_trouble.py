"""What a probe says of a meter that is out of reach: one line with what happened and where to look for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge.lines import LineConfig
from edge.links import Down
from edge.readers import DeviceRefusedError, HungUpError, LineDownError, LineError, WrongAnswerError

UNANSWERED_MAX: Final = 2
"""So many requests without an answer before the first one that has one: the meter is out of reach."""
LOOK_AT: Final = {
    Down.NO_HOST: "no name service here knows this host: is it written right?",
    Down.SILENT_HOST: "this host does not answer: is its address right, is it on, does a route or firewall stand between?",
    Down.REFUSED: "the host is there and nothing listens at this port: Modbus TCP has 502, with TLS 802, a device server one of its own",
    Down.NO_TLS: "is this the port of Modbus security, and is ca of the authority that its certificate is by?",
    Down.NO_DEVICE: "is the adapter plugged in? 'ls /dev/serial/by-id' shows those that are",
    Down.NO_RIGHT: "its group, often dialout, may use it",
    Down.IN_USE: "stop the agent, or who else has it open",
    Down.OTHER: "look at the place of the line",
}
"""Of a link that does not open."""


class UnreachedError(LineError):
    """A meter that is out of reach; the line names where to look. ``is_line_down``: so are the others of its line."""

    def __init__(self, message: str, *, is_line_down: bool) -> None:
        super().__init__(message)
        self.is_line_down = is_line_down


def out_of_reach(troubles: Sequence[LineError], requests: int) -> LineError | None:
    """What to raise when none of the requests so far brought a value; None: go on.

    ``troubles``: of each of them; ``requests``: how many there are in all.
    """
    is_nobody = all(not isinstance(error, DeviceRefusedError) or error.is_silence for error in troubles)
    return troubles[0] if is_nobody and len(troubles) >= min(UNANSWERED_MAX, requests) else None


def unreached(error: LineError, config: LineConfig) -> UnreachedError:
    """The error of a meter that is out of reach, with where to look."""
    return UnreachedError(f"{error}; {_look_at(error, config)}", is_line_down=isinstance(error, LineDownError))


def _look_at(error: LineError, config: LineConfig) -> str:
    place = "address" if config.framer == "dlt645" else "unit id"
    if isinstance(error, LineDownError):
        return LOOK_AT[error.down]
    if isinstance(error, HungUpError):
        return "who listens there ends each connection at once: has it other clients already, and does it speak Modbus?"
    if isinstance(error, WrongAnswerError):
        return f"somebody else answers: are port and framing right, and is one device alone at this {place}?"
    if isinstance(error, DeviceRefusedError):
        if error.is_silence:
            return "the gateway is there and the meter behind it silent: is the unit id right, is the bus wired?"
        return "the meter is there and has nothing of this profile: another model? 'gridledger edge scan' names those it knows"
    if config.serial is not None:
        set_up = f"{config.baud} baud, parity {config.parity}, {config.stop_bits} stop bits"
        return f"is the {place} right, are {set_up} the meter's, are A and B wired right?"
    framing = ", or is it a serial device server, framer rtu" if config.framer == "socket" else ""
    return f"the connection stands and this meter is silent: is the {place} right{framing}? 'gridledger edge scan' asks them all"
