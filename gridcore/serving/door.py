"""The listening socket of a server: how many connections it has at once, and which one goes when there is no room.

Every connection is a file descriptor, and a process that has none left can neither accept nor open a file. So there are fewer
connections than descriptors. Where one comes too many, the address with the most connections loses the one that has been
silent longest: whoever opens a thousand and says nothing keeps nobody else out.
"""

from __future__ import annotations

import errno
import ipaddress
import resource
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from gridcore.logs import get_logger

CONNECTIONS_MAX: Final = 8_192
AT_ONCE: Final = 32
"""Connections that are accepted in one go."""
CLOSING_MAX: Final = 256
"""Connections that were dropped and are not closed yet, beside those that are counted."""
QUEUE: Final = 1_024
"""Connections that wait in the kernel to be accepted."""
FILES: Final = 256
"""Descriptors kept free of connections, for the program's own files."""
WRITE_TIMEOUT_S: Final = 30
"""How long a client may leave what was sent to it unread."""
LOG_EVERY_S: Final = 60.0
"""Lines about refused and dropped connections come at most this often, whatever is done from outside."""

log = get_logger(__name__)


def room_for_connections() -> int:
    """How many connections this process may have: fewer than its descriptors (``ulimit -n``)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return max(1, min(CONNECTIONS_MAX, max(soft // 2, soft - FILES) - CLOSING_MAX))


class Seldom:
    """Lets a line be logged at most once in LOG_EVERY_S, with how many it stands for."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._next_s = 0.0
        self._count = 0

    def warn(self, event: str, **details: Any) -> None:
        """Log a warning, or count it."""
        self._count += 1
        now_s = self._monotonic()
        if now_s >= self._next_s:
            log.warning(event, times=self._count, **details)
            self._next_s, self._count = now_s + LOG_EVERY_S, 0


class Connection(socket.socket):
    """An accepted connection, which tells its door when something came and when it is closed.

    One that was dropped, or whose client has hung up, fails at the next look, so that it is closed at once: asyncio would keep
    a connection half open for an answer, and Hypercorn writes none to a client that has gone.
    """

    def __init__(self, accepted: socket.socket, door: Door, address: str) -> None:
        super().__init__(fileno=accepted.detach())
        self.address = address
        self._door = door

    def recv(self, *args: Any) -> bytes:
        """See ``socket.recv``."""
        data = super().recv(*args)
        self._check_open(len(data))
        return data

    def recv_into(self, *args: Any) -> int:
        """See ``socket.recv_into``; with TLS this is called."""
        size = super().recv_into(*args)
        self._check_open(size)
        return size

    def close(self) -> None:
        """See ``socket.close``."""
        self._door.close_one(self)
        super().close()

    def _check_open(self, size: int) -> None:
        if not size or not self._door.hear(self):
            raise ConnectionResetError


class Door(socket.socket):
    """A bound socket to listen on. ``room``: connections at once; those that close beside them are at most CLOSING_MAX."""

    def __init__(self, bound: socket.socket, room: int) -> None:
        super().__init__(fileno=bound.detach())
        self.setblocking(False)
        self._room = room
        self._open: dict[Connection, None] = {}
        # By address, each in order of when it was heard last; what was dropped is no longer here.
        self._heard: dict[str, dict[Connection, None]] = {}
        self._count = 0
        self._seldom = Seldom()

    def __len__(self) -> int:
        """Connections, without those that were dropped."""
        return self._count

    def __bool__(self) -> bool:
        return True

    def listen(self, _backlog: int = 0) -> None:
        """See ``socket.listen``; asyncio also takes its argument for how many are accepted in one go."""
        super().listen(QUEUE)

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection; where it is one too many, another one is dropped.

        OSError (ENOBUFS: asyncio tries again in a second) while too many that were dropped are not closed yet.
        """
        if len(self._open) >= self._room + CLOSING_MAX:
            raise OSError(errno.ENOBUFS, "connections still close")
        accepted, peer = super().accept()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, WRITE_TIMEOUT_S * 1_000)
        connection = Connection(accepted, self, network_of(peer[0]))
        self._open[connection] = None
        self._heard.setdefault(connection.address, {})[connection] = None
        self._count += 1
        if self._count > self._room:
            self._drop_one()
        return connection, peer

    def hear(self, connection: Connection) -> bool:
        """Something came from a connection; False for one that was dropped."""
        of_address = self._heard.get(connection.address, {})
        if connection not in of_address:
            return False
        del of_address[connection]
        of_address[connection] = None
        return True

    def close_one(self, connection: Connection) -> None:
        """A connection is closed."""
        self._open.pop(connection, None)
        self._forget(connection)

    def _drop_one(self) -> None:
        most = max(self._heard.values(), key=len)
        silent = next(iter(most))
        self._forget(silent)
        self._seldom.warn("connection_dropped", connections=self._room)
        with suppress(OSError):  # gone already
            silent.shutdown(socket.SHUT_RDWR)

    def _forget(self, connection: Connection) -> None:
        of_address = self._heard.get(connection.address, {})
        if connection in of_address:
            del of_address[connection]
            self._count -= 1
            if not of_address:
                del self._heard[connection.address]


def network_of(host: str) -> str:
    """Whom an address is counted as: itself, for IPv6 its network of 64 bits, of which one subscriber has all."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
