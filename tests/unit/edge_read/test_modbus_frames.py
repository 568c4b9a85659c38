"""Modbus frames in a stream: whatever lies before an answer is passed over, and nothing else is ever taken for one."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.readers import WrongAnswerError
from edge.readers.modbus_frames import Asked, RtuFraming, SocketFraming, crc16
from simulators.meters import responder

ASKED = Asked(7, 4, 0x48, 4)
DATA = bytes.fromhex("449a51ec42b3fae1")


def _rtu(unit_id: int = 7, function_code: int = 4, data: bytes = DATA) -> bytes:
    body = bytes((unit_id, function_code, len(data))) + data
    return body + crc16(body)


def _socket(number: int, unit_id: int = 7, function_code: int = 4, data: bytes = DATA) -> bytes:
    body = bytes((unit_id, function_code, len(data))) + data
    return number.to_bytes(2, "big") + b"\0\0" + len(body).to_bytes(2, "big") + body


def test_checksum_is_the_one_of_the_standard_and_of_the_simulated_meters() -> None:
    assert crc16(bytes.fromhex("0207")) == bytes.fromhex("4112")  # Modbus over serial line 1.02, 6.2.2
    assert all(crc16(data) == responder.crc16(data) for data in (b"", b"\0", bytes(range(256))))


@given(st.binary(max_size=40), st.integers(0, 60))
@example(b"\0", 0)
@example(bytes.fromhex("0704004800"), 3)
def test_rtu_answer_is_found_behind_any_noise_however_it_is_cut(noise: bytes, cut: int) -> None:
    framing = RtuFraming()
    request = framing.frame(ASKED)
    stream = noise + request + _rtu()  # a line that hears itself
    buffer = bytearray()
    for part in (stream[:cut], stream[cut:]):
        buffer += part
        answer = framing.take(buffer)
        if answer is not None:
            break
    assert answer == _rtu()[1:-2]


def _taken(framing: RtuFraming | SocketFraming, data: bytes) -> bytes | None:
    """What is taken for an answer; None also where the bytes are refused."""
    framing.frame(ASKED)
    with suppress(WrongAnswerError):
        return framing.take(bytearray(data))
    return None


@given(st.binary(max_size=300))
def test_random_bytes_are_no_answer(data: bytes) -> None:
    assert _taken(RtuFraming(), data) is None
    assert _taken(SocketFraming(), data) is None


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (_socket(1, unit_id=8), "the answer is of unit 8, not of unit 7"),
        (_socket(1, function_code=3), "the answer has function code 03, not 04"),
        (_socket(1, data=DATA[:4]), "the answer of 2 registers does not fit the request"),
        (b"HTTP/1.1 400 Bad", "no Modbus TCP header but 48 54 54 50 2f 31 2e 31"),
        (_rtu(), "these are RTU frames, set framer = 'rtu'"),
    ],
)
def test_wrong_answer_of_modbus_tcp_is_named(frame: bytes, message: str) -> None:
    framing = SocketFraming()
    framing.frame(ASKED)
    with pytest.raises(WrongAnswerError) as caught:
        framing.take(bytearray(frame))
    assert message in str(caught.value)


def test_answer_to_a_request_that_was_given_up_is_owed_and_passed_over() -> None:
    framing = SocketFraming()
    framing.frame(ASKED)
    framing.give_up()
    framing.frame(ASKED)
    assert framing.owed == 1
    buffer = bytearray(_socket(1, data=bytes(8)) + _socket(2))
    assert framing.take(buffer) == bytes((4, 8)) + DATA
    assert (framing.owed, framing.stray) == (0, "")


def test_answer_under_a_number_that_nobody_used_is_named_and_the_right_one_taken() -> None:
    framing = SocketFraming()
    framing.frame(ASKED)
    buffer = bytearray(_socket(9) + _socket(1))
    assert framing.take(buffer) == bytes((4, 8)) + DATA
    assert framing.stray == "an answer under transaction id 9 was refused, 1 was asked"


def test_transaction_ids_begin_again_at_1() -> None:
    framing = SocketFraming()
    numbers = {framing.frame(ASKED)[:2] for _ in range(0x1_0001)}
    assert len(numbers) == 0xFFFF
    assert b"\0\0" not in numbers


def test_exception_of_the_device_is_an_answer_in_both_framings() -> None:
    socket, rtu = SocketFraming(), RtuFraming()
    socket.frame(ASKED)
    rtu.frame(ASKED)
    assert socket.take(bytearray(bytes.fromhex("000100000003078402"))) == b"\x84\x02"
    body = bytes.fromhex("078402")
    assert rtu.take(bytearray(body + crc16(body))) == b"\x84\x02"
