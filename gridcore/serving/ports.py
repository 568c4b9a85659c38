"""Addresses of this machine, and ports for servers that somebody else starts, and starts again: chosen now, bound a moment later. No port is given out twice."""

from __future__ import annotations

import ipaddress
import random
import socket
from typing import Final

from gridcore.errors import UsageError

HOST: Final = "127.0.0.1"
FIRST, LAST = 20_000, 32_000
"""Below the ports that Linux gives to connections (32,768 on): none of those takes a port between choosing and binding it, or
while its server is started again."""
ATTEMPTS_MAX: Final = 1_000

_given: set[int] = set()


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def free_port() -> int:
    """A port of the loopback address that nobody listens on now. UsageError when none was found."""
    draw = random.SystemRandom()  # programs that start together must not choose alike
    for _ in range(ATTEMPTS_MAX):
        port = draw.randint(FIRST, LAST)
        if port not in _given and _refusal(port) is None:
            _given.add(port)
            return port
    raise UsageError(f"no free port from {FIRST} to {LAST} on {HOST}; end some of the servers there")


def check_free(port: int) -> None:
    """UsageError for a port of the loopback address on which somebody listens, or which may not be had."""
    reason = _refusal(port)
    if reason is not None:
        raise UsageError(f"port {port}: {reason} on {HOST}; choose another or leave it out")
    _given.add(port)


def _refusal(port: int) -> str | None:
    """Why a port cannot be bound now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: not taken by what has ended
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.strerror
    return None
