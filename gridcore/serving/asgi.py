"""Runs an ASGI application on a socket: Hypercorn started in code, stopped by an event, within two seconds.

Hypercorn's own command line waits its whole grace while a stream is open and then leaves a traceback; here whoever streams
watches the same stop event, and what does not listen is cut.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hypercorn.asyncio import run as hypercorn_run
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config, Sockets
from hypercorn.events import Event, RawData
from hypercorn.typing import LifespanState
from hypercorn.utils import wrap_app

from gridcore.errors import UsageError, broken
from gridcore.logs import get_logger
from gridcore.serving.door import AT_ONCE, Door, Seldom, room_for_connections
from gridcore.serving.problems import PROBLEM_TYPE, Problem
from gridcore.serving.tls import TlsFiles, client_name, server_context

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

READ_TIMEOUT_S: Final = 30
"""Silence of a client (or a client that waits for us) after which its connection is dropped."""
KEEP_ALIVE_S: Final = 30
"""Idle connections are kept longer than our own client keeps them, so that it never writes into a closing one."""
GRACE_S: Final = 1.0
"""How long answers in the making may take after the stop."""
CUT_S: Final = 0.5
"""How long the server may take beyond the grace before it is ended itself."""
SEND_S: Final = 30
"""How long a part of an answer may take to be taken, and as much longer as it has SLOWEST_BYTES_S."""
SLOWEST_BYTES_S: Final = 64 * 1024
HANDSHAKE_S: Final = 10
HEADER_BYTES_MAX: Final = 16 * 1024
CLIENT: Final = "client_certificate"
"""Of the state of a connection: the common name of its client's certificate."""

log = get_logger(__name__)
_handshakes = Seldom()


class _TellingObject(ssl.SSLObject):
    """A handshake that fails tells the client why: asyncio of Python 3.11 drops the connection together with OpenSSL's alert.

    The failure is raised one step later; until then what is written goes out.
    """

    _has_failed = False

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if self._has_failed:
                raise
            self._has_failed = True
            _handshakes.warn("handshake_failed", reason=error.reason or str(error))
            raise ssl.SSLWantReadError from None


class _TlsConfig(Config):
    """Hypercorn's configuration, with TLS as ``TlsFiles`` says."""

    def __init__(self, tls: TlsFiles) -> None:
        super().__init__()
        self._tls = tls

    def create_ssl_context(self) -> ssl.SSLContext:
        context = server_context(self._tls)
        context.options |= ssl.OP_NO_COMPRESSION
        context.sslobject_class = _TellingObject
        context.set_alpn_protocols(self.alpn_protocols)
        return context


class _ForgettingServer(TCPServer):
    """Hypercorn's connection, except that it ends when its client has gone (Hypercorn 0.18 waits for KEEP_ALIVE_S even then),
    or takes an answer so slowly that it only holds memory.
    """

    async def run(self) -> None:
        self._task = asyncio.current_task() or broken("a connection has a task of its own")
        secured = self.writer.get_extra_info("ssl_object")
        if secured is not None and (name := client_name(secured.getpeercert())):
            self.state = LifespanState({**self.state, CLIENT: name})
        await super().run()

    async def _read_data(self) -> None:
        try:
            await super()._read_data()
        finally:
            await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        if self._task.cancelling():
            return
        size = len(event.data) if isinstance(event, RawData) else 0
        try:
            async with asyncio.timeout(SEND_S + size / SLOWEST_BYTES_S):
                await super().protocol_send(event)
        except TimeoutError:
            self.writer.transport.abort()
            self._task.cancel()  # with what else it has asked for: its requests may be many


def client_of(scope: Mapping[str, Any]) -> str:
    """The name in the certificate by which the client of a request has proved itself; "" where it had to show none."""
    return str(scope.get("state", {}).get(CLIENT, ""))


hypercorn_run.TCPServer = _ForgettingServer  # type: ignore[attr-defined]  # what ``worker_serve`` makes of each connection


@dataclass(frozen=True)
class Limits:
    """Bounds of one server, in seconds. ``read_timeout_s``: None where a client may be silent, as on an event stream;
    ``connections``: at once, None for as many as the process has room for.
    """

    read_timeout_s: int | None = READ_TIMEOUT_S
    keep_alive_s: int = KEEP_ALIVE_S
    connections: int | None = None


def open_socket(host: str, port: int) -> socket.socket:
    """A TCP socket bound to an address (port 0: any free one), not yet listening. UsageError when it cannot be had."""
    family = socket.AF_INET6 if _is_ipv6(host) else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"{host}:{port}: in use by another program; stop it, or change port under [listen]"
            ) from None
        raise UsageError(
            f"{host}:{port}: cannot listen there ({error.strerror or error}); check host and port under [listen]"
        ) from None
    return bound


def url_of(bound: socket.socket, tls: TlsFiles | None = None) -> str:
    """The URL that a client on this machine uses for a bound socket."""
    scheme = "http" if tls is None else "https"
    host, port = bound.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if bound.family == socket.AF_INET6 else f"{scheme}://{host}:{port}"


async def serve(
    app: ASGIFramework,
    bound: socket.socket,
    stop: asyncio.Event,
    *,
    ready: Callable[[str], None] | None = None,
    limits: Limits | None = None,
    tls: TlsFiles | None = None,
) -> None:
    """Answer on ``bound`` (from ``open_socket``; it is closed at the end) until ``stop`` is set.

    Answers in the making then get GRACE_S. ready: called once with the URL when requests are answered. tls: None for
    plain HTTP.
    """
    url = url_of(bound, tls)
    limits = limits or Limits()
    config = _configuration(limits, tls)
    door = Door(bound, limits.connections or room_for_connections())
    sockets = Sockets([], [door], []) if tls is None else Sockets([door], [], [])

    async def wait_stop() -> None:
        if ready is not None:
            ready(url)
        await stop.wait()

    loop = asyncio.get_running_loop()
    # Hypercorn asks for the trigger once its sockets are served: that is the moment to say "ready".
    wrapped = wrap_app(_plain_requests(app), config.wsgi_max_body_size, "asgi")
    serving = asyncio.create_task(
        hypercorn_run.worker_serve(wrapped, config, sockets=sockets, shutdown_trigger=wait_stop), name="http"
    )
    stopped = asyncio.create_task(stop.wait())
    with _quiet_about_connections(loop):
        try:
            await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
            ending_s = loop.time()
            await asyncio.wait((serving,), timeout=GRACE_S + CUT_S)
        finally:
            stopped.cancel()
            serving.cancel()
        await asyncio.wait((serving,))
        await asyncio.sleep(0)  # what was cut is reported to the loop now
    if serving.cancelled() or loop.time() - ending_s >= GRACE_S:  # Hypercorn cuts what is open when its grace is over
        log.warning("http_connections_cut")
    if not serving.cancelled():
        serving.result()


def _plain_requests(app: ASGIFramework) -> ASGIFramework:
    """``app`` without what none of ours speaks, and what their guards do not see: WebSockets (403), HTTP/2, odd paths (400).

    A path that is none, or with an empty part, is where frameworks fail or redirect to whatever host was named.
    """

    async def answer(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": None})
        elif scope["type"] == "http" and (reason := _oddity(scope["http_version"], scope["path"])):
            problem = Problem("bad-request", reason)
            headers = [(b"content-type", PROBLEM_TYPE.encode()), (b"connection", b"close")]
            body = json.dumps(problem.body()).encode()
            await send({"type": "http.response.start", "status": problem.status, "headers": headers, "trailers": False})
            await send({"type": "http.response.body", "body": body, "more_body": False})
        else:
            await app(scope, receive, send)

    return answer


def _oddity(version: str, path: str) -> str:
    """What is wrong with a request as such, empty for nothing."""
    if version not in ("1.0", "1.1"):
        return "speak HTTP/1.1"
    return "" if path.startswith("/") and "//" not in path else "a path begins with / and has no empty part"


@contextmanager
def _quiet_about_connections(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Leave out the traceback with which Python 3.11 reports each connection whose task was cancelled, and bound what it
    says when there are no descriptors to accept with.
    """
    before = loop.get_exception_handler()
    seldom = Seldom()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), asyncio.CancelledError):
            return
        reason = context.get("exception")
        if isinstance(reason, OSError) and reason.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS):
            seldom.warn("cannot_accept", reason=reason.strerror)
            return
        if before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(before)


def _configuration(limits: Limits, tls: TlsFiles | None) -> Config:
    config = Config() if tls is None else _TlsConfig(tls)
    if tls is not None:
        config.certfile, config.keyfile = str(tls.certificate), str(tls.key)
        config.alpn_protocols = ["http/1.1"]
        config.ssl_handshake_timeout = HANDSHAKE_S
    config.accesslog = None
    config.errorlog = None
    config.include_server_header = False
    config.read_timeout = limits.read_timeout_s
    config.keep_alive_timeout = limits.keep_alive_s
    config.graceful_timeout = GRACE_S
    config.backlog = AT_ONCE
    config.h11_max_incomplete_size = HEADER_BYTES_MAX
    return config


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
