"""Serves a node on a socket until it stops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass

from gridcore.serving import asgi
from gridcore.serving.tls import TlsFiles
from ledger.http.app import create_app
from ledger.http.dispatcher import Dispatcher, Node


@dataclass(frozen=True)
class Door:
    """A socket from ``gridcore.serving.asgi.open_socket``, which is closed at the end; ``tls``: None for plain HTTP."""

    bound: socket.socket
    tls: TlsFiles | None = None


async def serve_node(node: Node, door: Door, *more_doors: Door, ready: Callable[[str], None] | None = None) -> None:
    """Answer at doors until ``node.stop`` is set. A promise that was broken in an answer sets ``node.stop`` and is raised here.

    ready: called once with the URL of the first door when requests are answered there.
    """
    dispatcher = Dispatcher(node)
    app = create_app(dispatcher)
    try:
        async with asyncio.TaskGroup() as tasks:
            for other in more_doors:
                tasks.create_task(asgi.serve(app, other.bound, node.stop, tls=other.tls))
            tasks.create_task(asgi.serve(app, door.bound, node.stop, ready=ready, tls=door.tls))
    finally:
        await dispatcher.close()
    dispatcher.check_whole()
