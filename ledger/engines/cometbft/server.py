"""The socket that the consensus engine connects to: four connections, a thread for each, answers in the order of the questions.

Questions of the consensus and the snapshot connection are answered one at a time (one lock), and so is where we stand: an engine that is started
again asks that before its other questions, and the commit that the one before it asked for may still be under way. Those of the mempool are
answered beside them: the application reads under its own lock, and signatures are checked outside it. So are those by which peers read our
snapshots, one at a time: a peer that asks without pause delays no block.
"""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Protocol

from google.protobuf.message import DecodeError

from gridcore.errors import GridError, InvariantError, UsageError
from gridcore.logs import get_logger
from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.framing import FrameError, FrameReader, frame
from ledger.store.errors import StoreWriteError

READ_BYTES: Final = 1 << 18
RETRY_S: Final = 1.0
"""How often a block is tried to be kept while the disk refuses it."""
UNLOCKED: Final = frozenset({"check_tx", "query"})
"""Methods that any thread may call at any time."""
READING: Final = frozenset({"list_snapshots", "load_snapshot_chunk"})
"""Methods that read files which nothing else of the machine needs."""

log = get_logger(__name__)


class Answers(Protocol):
    """Who answers the engine: a method of the name of each message of ABCI, as ``machine.Machine`` has them, and this one."""

    def check_txs(self, requests: Sequence[abci.CheckTxRequest]) -> list[abci.CheckTxResponse]:
        """``check_tx`` of several."""
        ...


class AbciServer:
    """Serves a ``Machine`` on a Unix or TCP socket, between ``start`` and ``close``.

    address: "unix://PATH" or "tcp://HOST:PORT", as the engine's proxy_app has it. on_stop: called once, by a thread of the server, with what
    made the machine stop; the engine has been told by then.
    """

    def __init__(
        self, machine: Answers, address: str, on_stop: Callable[[BaseException], None], *, retry_s: float = RETRY_S
    ) -> None:
        self._machine = machine
        self._address = address
        self._on_stop = on_stop
        self._retry_s = retry_s
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closed = threading.Event()
        self.is_stalled = False
        """Whether a decided block waits for the disk."""

    def start(self) -> None:
        """Listen. UsageError for an address that cannot be had."""
        self._listener = _listen(self._address)
        self._begin(self._accept)

    def close(self) -> None:
        """End after the answers that are being made: who is connected finds the connection closed."""
        self._closed.set()
        for end in (self._listener, *self._connections):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        if self._listener is not None:
            self._listener.close()

    # ------------------------------------------------------------------------------------------------------ internal

    def _begin(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, name="abci", daemon=True)
        self._threads = [*(one for one in self._threads if one.is_alive()), thread]
        thread.start()

    def _accept(self) -> None:
        while not self._closed.is_set() and self._listener is not None:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.add(connection)
            self._begin(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        reader, buffer = FrameReader(), memoryview(bytearray(READ_BYTES))
        try:
            while size := connection.recv_into(buffer):
                requests = [abci.Request.FromString(message) for message in reader.feed(buffer[:size])]
                for answers in self._answers(requests):
                    connection.sendall(answers)
        except (FrameError, DecodeError) as error:
            log.error("abci_connection_closed", reason=str(error))
        except OSError as error:
            if not self._closed.is_set():
                log.warning("abci_connection_lost", reason=str(error))
        except BaseException as error:
            self._on_stop(error)  # a mistake of ours: the connection closes, and the engine stops
            raise
        finally:
            self._connections.discard(connection)
            connection.close()

    def _answers(self, requests: Sequence[abci.Request]) -> Iterator[bytes]:
        """Framed answers, in order; neighbouring transactions of the mempool are examined together."""
        for method, group in groupby(requests, key=lambda request: request.WhichOneof("value")):
            together = list(group)
            yield frame(answer.SerializeToString() for answer in self._answer(method, together))

    def _answer(self, method: str | None, requests: Sequence[abci.Request]) -> list[abci.Response]:
        if method is None:
            raise FrameError("a message of a kind that ABCI 2.0 does not have")
        if method in ("echo", "flush"):
            return [abci.Response(**{method: getattr(request, method)}) for request in requests]
        try:
            if method == "check_tx":
                checked = self._machine.check_txs([request.check_tx for request in requests])
                return [abci.Response(check_tx=answer) for answer in checked]
            return [abci.Response(**{method: self._call(method, getattr(request, method))}) for request in requests]
        except (
            GridError,
            InvariantError,
            OSError,
            sqlite3.Error,
        ) as error:  # of the disk: the socket is not touched here
            log.error("machine_stopped", method=method, reason=str(error), error=type(error).__name__)
            self._on_stop(error)
            return [abci.Response(exception=abci.Exception(error=str(error)))]

    def _call(self, method: str, request: Any) -> Any:
        call = getattr(self._machine, method)
        if method in UNLOCKED:
            return call(request)
        if method in READING:
            with self._reading:
                return call(request)
        with self._lock:
            while True:
                try:
                    answer = call(request)
                except StoreWriteError as error:
                    self._stall(error)
                else:
                    self.is_stalled = False
                    return answer

    def _stall(self, error: StoreWriteError) -> None:
        """The engine waits for the answer; nothing is acknowledged meanwhile."""
        if not self.is_stalled:
            log.error("store_cannot_write", reason=str(error))
        self.is_stalled = True
        if self._closed.wait(self._retry_s):
            raise error


def _listen(address: str) -> socket.socket:
    scheme, _, place = address.partition("://")
    if scheme not in ("unix", "tcp"):
        raise UsageError(f"address {address}: unix://PATH or tcp://HOST:PORT")
    try:
        return _listen_on_path(Path(place)) if scheme == "unix" else _listen_on_port(place)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"address {address}: {reason}; it is that of abci.sock in engine.home") from None


def _listen_on_path(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _listen_on_port(place: str) -> socket.socket:
    host, _, port = place.rpartition(":")
    return socket.create_server((host, int(port)))
