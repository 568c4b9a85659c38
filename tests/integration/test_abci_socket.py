"""Whatever comes over the engine's socket, cut in whatever way: the server answers in order or closes that connection, and goes on."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.framing import MESSAGE_BYTES_MAX, FrameReader, frame
from ledger.engines.cometbft.machine import Machine
from ledger.engines.cometbft.server import AbciServer
from tests.worlds.feeders import START_S, batches, clock_advance
from tests.worlds.validators import open_consortium

TIMEOUT_S = 20


@dataclass
class Connection:
    """One connection of an engine."""

    end: socket.socket

    def __post_init__(self) -> None:
        self._reader = FrameReader()
        self._answers: list[bytes] = []

    def send(self, *requests: abci.Request) -> None:
        self.end.sendall(frame(request.SerializeToString() for request in requests))

    def answer(self) -> abci.Response:
        """The next answer; EOFError where the server has closed."""
        while not self._answers:
            data = self.end.recv(1 << 16)
            if not data:
                raise EOFError
            self._answers += self._reader.feed(data)
        return abci.Response.FromString(self._answers.pop(0))

    def is_closed(self) -> bool:
        try:
            self.answer()
        except (EOFError, ConnectionError):
            return True
        return False


@dataclass
class Served:
    """A server with a real machine. stopped: what made the machine stop."""

    path: Path
    stopped: list[BaseException]

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        with socket.socket(socket.AF_UNIX) as end:
            end.settimeout(TIMEOUT_S)
            end.connect(str(self.path))
            yield Connection(end)

    def check_serves(self) -> None:
        """It takes a new connection and answers on it, and nothing has stopped."""
        with self.connected() as connection:
            connection.send(echo("still there"))
            assert connection.answer().echo.message == "still there"
        assert self.stopped == []


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with closing(open_consortium(tmp_path / "node")) as ledger:
        found = Served(tmp_path / "abci.sock", [])
        server = AbciServer(Machine(ledger), f"unix://{found.path}", found.stopped.append)
        server.start()
        yield found
        server.close()


def echo(message: str) -> abci.Request:
    return abci.Request(echo=abci.Echo(message=message))


def check(wire: bytes) -> abci.Request:
    return abci.Request(check_tx=abci.CheckTxRequest(tx=wire))


INFO = abci.Request(info=abci.InfoRequest(version="0.38.25"))
FLUSH = abci.Request(flush=abci.Flush())


def test_a_request_that_comes_in_two_reads_is_answered_wherever_it_is_cut(served: Served) -> None:
    request = frame([check(clock_advance(START_S + 10)).SerializeToString()])
    assert request[0] & 0x80, "a length of two bytes is cut too"
    with served.connected() as connection:
        for place in range(1, len(request)):
            connection.end.sendall(frame([echo("before").SerializeToString()]) + request[:place])
            assert connection.answer().echo.message == "before"  # so what was sent has been read
            connection.end.sendall(request[place:])
            assert connection.answer().check_tx.code == 0
    served.check_serves()


def test_several_requests_in_one_read_are_answered_one_by_one_in_order(served: Served) -> None:
    wires = [clock_advance(START_S + 10), b"no transaction", *batches("gw-1", 2)]
    with served.connected() as connection:
        connection.send(echo("a"), INFO, *map(check, wires), FLUSH, echo("b"), FLUSH)
        answers = [connection.answer() for _ in range(len(wires) + 5)]
    kinds = [answer.WhichOneof("value") for answer in answers]
    assert kinds == ["echo", "info", *["check_tx"] * len(wires), "flush", "echo", "flush"]
    assert [answer.check_tx.code != 0 for answer in answers[2 : 2 + len(wires)]][:2] == [False, True]


def test_requests_byte_by_byte_are_answered(served: Served) -> None:
    with served.connected() as connection:
        for byte in frame([INFO.SerializeToString(), FLUSH.SerializeToString()]):
            connection.end.sendall(bytes([byte]))
        assert [connection.answer().WhichOneof("value") for _ in range(2)] == ["info", "flush"]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", id="a length of 2^64"),
        pytest.param(b"\x80\xc2\xd7\x2f" + bytes(1_000), id="100 MB announced"),
        pytest.param(frame([b"\xff" * 40]), id="no message"),
        pytest.param(frame([b""]), id="an empty message"),
        pytest.param(frame([bytes.fromhex("ba0100")]), id="a method of another version"),
        pytest.param(frame([abci.Response(flush=abci.Flush()).SerializeToString()[:1] + b"\x05ab"]), id="cut inside"),
    ],
)
def test_what_is_no_request_closes_its_connection_and_no_other(served: Served, sent: bytes) -> None:
    with served.connected() as good, served.connected() as bad:
        bad.end.sendall(sent)
        assert bad.is_closed()
        good.send(INFO)
        assert good.answer().WhichOneof("value") == "info"
    served.check_serves()


def test_a_message_as_long_as_may_be_is_read_and_one_byte_more_is_not() -> None:
    longest = MESSAGE_BYTES_MAX.to_bytes(4, "little")
    assert len(longest) == 4
    assert FrameReader(100).feed(frame([bytes(100)])) == [bytes(100)]
    with pytest.raises(Exception, match="101 bytes"):
        FrameReader(100).feed(frame([bytes(101)])[:2])


@pytest.mark.parametrize("half", [b"", b"\x80", frame([INFO.SerializeToString()])[:-1]])
def test_an_engine_that_is_gone_in_the_middle_of_a_request_leaves_a_server_that_goes_on(
    served: Served, half: bytes
) -> None:
    with served.connected() as gone, served.connected() as silent:
        gone.end.sendall(half)
        gone.end.shutdown(socket.SHUT_WR)
        assert gone.is_closed()
        silent.end.sendall(half)
        served.check_serves()


def test_four_connections_are_answered_each_in_its_own_order_however_they_take_turns(served: Served) -> None:
    rng = random.Random(18)
    with served.connected() as one, served.connected() as two, served.connected() as three, served.connected() as four:
        connections: Sequence[Connection] = [one, two, three, four]
        due: dict[int, list[str]] = {number: [] for number in range(4)}
        for count in range(400):
            number = rng.randrange(4)
            connections[number].send(echo(f"{number}/{count}"), INFO)
            due[number] += [f"{number}/{count}", "info"]
        told: dict[int, list[str]] = {}
        for number in rng.sample(range(4), 4):
            answers = [connections[number].answer() for _ in due[number]]
            told[number] = [answer.echo.message or str(answer.WhichOneof("value")) for answer in answers]
    assert told == due


def test_mutated_requests_are_answered_or_close_their_connection(served: Served) -> None:
    rng = random.Random(38)
    whole = frame(request.SerializeToString() for request in (echo("a" * 20), INFO, check(clock_advance(START_S + 10))))
    for _ in range(150):
        mutant = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            mutant[rng.randrange(len(mutant))] = rng.randrange(256)
        with served.connected() as connection:
            connection.end.sendall(mutant)
            connection.end.shutdown(socket.SHUT_WR)
            while not connection.is_closed():
                pass
    served.check_serves()
