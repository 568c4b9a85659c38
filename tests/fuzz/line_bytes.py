"""What a line of meters may bring after a request, in each framing of the agent."""

from __future__ import annotations

from edge.dlt645 import ANSWER, ERROR_ANSWER, encode_frame
from edge.lines import Framing
from edge.readers.dlt645 import Dlt645Framing
from edge.readers.modbus_frames import Asked, RtuFraming, SocketFraming, crc16
from tests.fuzz.findings import FindingError


def read_line_answer(data: bytes) -> None:
    """One byte says by which framing, then what a line brings: taken is an answer to the question, and nothing else."""
    asked = Asked(7, 4, 0x48, 4)
    item = bytes.fromhex("00010000")
    socket, rtu, dlt645 = SocketFraming(), RtuFraming(), Dlt645Framing()
    socket.frame(asked)
    rtu.frame(asked)
    dlt645.frame("000000000007", item, 0)
    framing: Framing = (socket, rtu, dlt645)[int.from_bytes(data[:1], "big") % 3]
    answer = framing.take(bytearray(data[1:]))
    is_modbus = answer is not None and framing is not dlt645
    if answer is not None and is_modbus and (answer[0], len(answer)) not in ((4, 10), (0x84, 2)):
        raise FindingError("no answer to the question")
    if answer is not None and not is_modbus and answer[0] not in (ANSWER, ERROR_ANSWER):
        raise FindingError("no answer to the question")


def line_answers() -> list[bytes]:
    """A right answer in each framing."""
    words = bytes.fromhex("449a51ec42b3fae1")
    body = b"\x07\x04\x08" + words
    return [
        b"\0" + b"\0\1\0\0" + (len(body)).to_bytes(2, "big") + body,
        b"\1" + body + crc16(body),
        b"\2" + encode_frame("000000000007", 0x91, bytes.fromhex("0000010078563412")),
    ]
