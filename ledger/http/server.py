"""Serves a node on a socket until it stops."""

from __future__ import annotations

import socket
from collections.abc import Callable

from gridcore.serving import asgi
from gridcore.serving.tls import TlsFiles
from ledger.http.app import create_app
from ledger.http.dispatcher import Dispatcher, Node


async def serve_node(
    node: Node, bound: socket.socket, *, ready: Callable[[str], None] | None = None, tls: TlsFiles | None = None
) -> None:
    """Answer on ``bound`` (from ``gridcore.serving.asgi.open_socket``; it is closed at the end) until ``node.stop`` is set.

    ready: called once with the URL when requests are answered. tls: None for plain HTTP. A promise that was broken in an answer sets ``node.stop``
    and is raised here.
    """
    dispatcher = Dispatcher(node)
    try:
        await asgi.serve(create_app(dispatcher), bound, node.stop, ready=ready, tls=tls)
    finally:
        await dispatcher.close()
    dispatcher.check_whole()
