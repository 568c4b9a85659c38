"""A TCP connection, plain or with TLS."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import cast

from edge.links import Down, Link, LinkDownError, LinkLostError
from gridcore.clock import monotonic_ms


class TcpLink(Link):
    """Bytes over TCP to ``host``:``port``."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        connect_timeout_ms: int,
        tls: ssl.SSLContext | None = None,
        clock_ms: Callable[[], float] = monotonic_ms,
    ) -> None:
        super().__init__(f"{host}:{port}", clock_ms)
        self._host, self._port = host, port
        self._timeout_s = connect_timeout_ms / 1000.0
        self._tls = tls
        self._transport: asyncio.Transport | None = None

    async def open(self) -> None:
        """See ``Link``."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                await loop.create_connection(
                    lambda: _Connection(self._made, self._arrived, self._lost), self._host, self._port, ssl=self._tls
                )
        except TimeoutError:
            raise LinkDownError(
                f"no connection to {self.place} within {self._timeout_s:g} s", Down.SILENT_HOST
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise LinkDownError(
                f"no connection to {self.place}: its certificate is not accepted ({error.verify_message})", Down.NO_TLS
            ) from None
        except ssl.SSLError as error:
            raise LinkDownError(
                f"no connection to {self.place}: no TLS ({error.reason or error})", Down.NO_TLS
            ) from None
        except OSError as error:
            raise LinkDownError(f"no connection to {self.place} ({_reason_of(error)})", _down_of(error)) from None

    async def _write(self, data: bytes) -> None:
        """See ``Link``."""
        if self._transport is None or self._transport.is_closing():
            raise LinkLostError(f"{self.place}: the connection was lost")
        self._transport.write(data)
        self.last_traffic_ms = self._clock_ms()

    def close(self) -> None:
        """See ``Link``."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._ended()

    def _made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._opened()

    def _arrived(self, transport: asyncio.Transport, data: bytes) -> None:
        if transport is self._transport:
            self._take(data)

    def _lost(self, transport: asyncio.Transport) -> None:
        if transport is self._transport:
            self._transport = None
            self._ended()


class _Connection(asyncio.Protocol):
    """One connection: what happens to it is told to the link, with the transport it happens on."""

    def __init__(
        self,
        made: Callable[[asyncio.Transport], None],
        arrived: Callable[[asyncio.Transport, bytes], None],
        lost: Callable[[asyncio.Transport], None],
    ) -> None:
        self._on_made, self._on_arrived, self._on_lost = made, arrived, lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._on_made(self._transport)

    def data_received(self, data: bytes) -> None:
        self._on_arrived(self._transport, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_lost(self._transport)


def _reason_of(error: OSError) -> str:
    if error.errno and error.errno > 0:  # asyncio's own words name the address once more
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


def _down_of(error: OSError) -> Down:
    if isinstance(error, socket.gaierror):
        return Down.NO_HOST
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT):
        return Down.SILENT_HOST
    return Down.REFUSED if error.errno == errno.ECONNREFUSED else Down.OTHER
