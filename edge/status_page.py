"""The status page of a gateway on its own loopback: one HTML page in two languages, JSON, metrics and health. It reads and changes nothing.

A few lines of HTTP/1.1 instead of a web server: one request a connection, no body, an answer that is made in one piece. Whoever is on this
machine may look; a page of the web that lets a name point here may not (the Host has to be this machine's).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from edge.status_html import LANGUAGES, render
from gridcore.logs import get_logger
from gridcore.serving.metrics import CONTENT_TYPE, Metrics

HOST: Final = "127.0.0.1"
HEAD_BYTES_MAX: Final = 8_192
CONNECTIONS_MAX: Final = 16
"""Connections at once; one more is closed unheard."""
REQUEST_S_MAX: Final = 5.0
"""From the begin of a connection to its end."""
_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_HEADERS: Final = (
    "Cache-Control: no-store\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n"
)

_log = get_logger(__name__)


class _Request(NamedTuple):
    """``method``, ``path``, the ``lang`` of the query or "", the host without port, and the languages that are wanted."""

    method: str
    path: str
    lang: str
    host: str
    accepted: str


class _Answer(NamedTuple):
    status: HTTPStatus
    content_type: str
    body: str


@asynccontextmanager
async def status_served(port: int, facts: Callable[[], dict[str, Any]]) -> AsyncIterator[int]:
    """Serve ``facts`` on the loopback while the block runs; yield the port. ``port`` 0: nothing is served.

    A port that cannot be had is said in the log: the agent works without a page.
    """
    if not port:
        yield 0
        return
    page = StatusPage(facts)
    try:
        server = await asyncio.start_server(page.serve, HOST, port, limit=HEAD_BYTES_MAX)
    except OSError as error:
        _log.error("status_page_not_served", port=port, reason=str(error))
        yield 0
        return
    _log.info("status_page_served", url=f"http://{HOST}:{port}/")
    try:
        yield port
    finally:
        server.close()
        page.close()
        await server.wait_closed()


class StatusPage:
    """Answers requests about ``facts`` (``edge.status``)."""

    def __init__(self, facts: Callable[[], dict[str, Any]]) -> None:
        self._facts = facts
        self._metrics = Metrics("edge")
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: a request, its answer, the end. Raises nothing for what a client does."""
        task = asyncio.current_task()
        if task is None or len(self._open) >= CONNECTIONS_MAX:
            writer.close()
            return
        self._open.add(task)
        writer.transport.set_write_buffer_limits(
            0
        )  # whoever does not read counts until the kernel has all of the answer
        try:
            async with asyncio.timeout(REQUEST_S_MAX):
                head = await reader.readuntil(b"\r\n\r\n")
                request = _parse(head)
                answer = self._answer(request)
                writer.write(_encode(answer, with_body=request is None or request.method != "HEAD"))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            self._open.discard(task)
            writer.close()

    def close(self) -> None:
        """End what is under way."""
        for task in self._open:
            task.cancel()

    def _answer(self, request: _Request | None) -> _Answer:
        if request is None:
            return _text(HTTPStatus.BAD_REQUEST)
        if request.host not in _HOSTS:
            return _text(HTTPStatus.MISDIRECTED_REQUEST)
        if request.method not in ("GET", "HEAD"):
            return _text(HTTPStatus.METHOD_NOT_ALLOWED)
        if request.path == "/healthz":
            return _text(HTTPStatus.OK)
        if request.path == "/":
            return _Answer(HTTPStatus.OK, "text/html; charset=utf-8", render(self._facts(), _language(request)))
        if request.path == "/status.json":
            return _Answer(HTTPStatus.OK, "application/json", json.dumps(self._facts(), ensure_ascii=False))
        if request.path == "/metrics":
            return _Answer(HTTPStatus.OK, CONTENT_TYPE, self._metrics.render(gauges(self._facts())))
        return _text(HTTPStatus.NOT_FOUND)


def gauges(told: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """The facts as numbers: name -> (help, value)."""
    outbox, clock = told["outbox"], told["clock"]
    meters = [meter for line in told["lines"] for meter in line["meters"]]
    return {
        "outbox_batches": ("Batches without a verified receipt.", outbox["batches"]),
        "outbox_bytes": ("Their bytes.", outbox["bytes"]),
        "outbox_fill_percent": ("The fullest of the outbox's limits.", outbox["fill_percent"]),
        "outbox_age_seconds": ("How much older the oldest of them is than the newest boundary.", outbox["age_s"]),
        "samples_in_memory": ("Samples that the outbox has not taken yet.", outbox["in_memory"]),
        "last_boundary_timestamp_seconds": ("The newest boundary that was sampled.", outbox["last_boundary_s"] or 0),
        "acknowledged_timestamp_seconds": ("The newest boundary with a receipt.", outbox["acknowledged_s"] or 0),
        "clock_synchronised": ("1: something disciplines the clock.", int(clock["state"] != "unsynced")),
        "clock_offset_milliseconds": ("How far off the clock knows itself to be.", clock["offset_ms"]),
        "meters": ("Meters of the configuration.", len(meters)),
        "meters_failing": ("Meters without a reading at the last boundary.", sum(meter["failures"] > 0 for meter in meters)),
        "readings_refused": ("Kept readings that the ledger did not use.", sum(meter["refused"] for meter in meters)),
        "alarms": ("What somebody must look at.", len(told["alarms"])),
    }  # fmt: skip


def _language(request: _Request) -> str:
    if request.lang in LANGUAGES:
        return request.lang
    return "zh" if request.accepted.strip().lower().startswith("zh") else "en"


def _parse(head: bytes) -> _Request | None:
    """The request; None for what is none."""
    try:
        first, *lines = head.decode("ascii").split("\r\n")
        method, target, version = first.split(" ")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        parts = urlsplit(target)
        host = urlsplit(f"//{fields.get('host', '')}").hostname or ""
        lang = parse_qs(parts.query, max_num_fields=8).get("lang", [""])[0]
    except ValueError:  # no ASCII, no three words, a bracket that is not closed, too many fields
        return None
    if version not in ("HTTP/1.0", "HTTP/1.1") or not target.startswith("/"):
        return None
    return _Request(method, parts.path, lang, host, fields.get("accept-language", ""))


def _text(status: HTTPStatus) -> _Answer:
    return _Answer(status, "text/plain; charset=utf-8", f"{status.phrase}\n")


def _encode(answer: _Answer, *, with_body: bool) -> bytes:
    body = answer.body.encode("utf-8", "replace")
    allow = "Allow: GET, HEAD\r\n" if answer.status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n{_HEADERS}{allow}Content-Type: {answer.content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + (body if with_body else b"")
