"""Runs the door on a socket: Hypercorn started in code, stopped by an event, within a second."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable
from typing import Final

from hypercorn.asyncio import serve
from hypercorn.config import Config

from gridcore.errors import UsageError
from gridcore.logs import get_logger
from ledger.http.app import Door, Node, create_app

READ_TIMEOUT_S: Final = 30
"""Silence of a client (or a client that waits for us) after which its connection is dropped."""
KEEP_ALIVE_S: Final = 30
"""Idle connections are kept longer than our own client keeps them, so that it never writes into a closing one."""
GRACE_S: Final = 1.0
"""How long answers in the making may take after the stop."""
BACKLOG: Final = 1024
HEADER_BYTES_MAX: Final = 16 * 1024

log = get_logger(__name__)


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
            raise UsageError(f"{host}:{port}: in use by another program; stop it, or listen on another port") from None
        raise UsageError(
            f"{host}:{port}: cannot listen there ({error.strerror or error}); check host and port"
        ) from None
    return bound


def url_of(bound: socket.socket) -> str:
    """The URL that a client on this machine uses for a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if bound.family == socket.AF_INET6 else f"http://{host}:{port}"


async def serve_node(node: Node, bound: socket.socket, *, ready: Callable[[str], None] | None = None) -> None:
    """Answer on ``bound`` (from ``open_socket``; it is closed at the end) until ``node.stop`` is set.

    Answers in the making then get GRACE_S. ready: called once with the URL when requests are answered. A promise that
    was broken in an answer sets ``node.stop`` and is raised here.
    """
    url = url_of(bound)
    door = Door(node)
    config = Config()
    config.bind = [f"fd://{bound.detach()}"]
    config.accesslog = None
    config.errorlog = None
    config.include_server_header = False
    config.read_timeout = READ_TIMEOUT_S
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.graceful_timeout = GRACE_S
    config.backlog = BACKLOG
    config.h11_max_incomplete_size = HEADER_BYTES_MAX

    async def stop() -> None:
        if ready is not None:
            ready(url)
        await node.stop.wait()

    try:
        # Hypercorn asks for the trigger once its sockets are served: that is the moment to say "ready".
        serving = asyncio.create_task(serve(create_app(door), config, shutdown_trigger=stop), name="http")
        stopped = asyncio.create_task(node.stop.wait())
        await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        _, late = await asyncio.wait((serving,), timeout=GRACE_S + 0.5)
        if late:
            serving.cancel()
            log.warning("http_connections_cut")
        await asyncio.gather(serving, return_exceptions=bool(late))
    finally:
        await door.close()
    door.check_whole()


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
