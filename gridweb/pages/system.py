"""What no person reads: static files, health, metrics, and the event stream."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

from quart import Blueprint, Response, jsonify, request, send_from_directory

from gridcore.metrics import CONTENT_TYPE
from gridweb.access import EVERY_ROLE, public, requires
from gridweb.site import site
from gridweb.views import render_fragment, status_facts

pages = Blueprint("system", __name__)

STATIC_AGE_S: Final = 365 * 86_400
EVENT_ID_DIGITS_MAX: Final = 18


@pages.get("/static/<path:name>")
@public
async def static_file(name: str) -> Response:
    """A file that pages load. Its address carries its digest, so a browser keeps it for good."""
    folder = Path(str(resources.files("gridweb") / "static"))
    response = await send_from_directory(folder, name)
    is_pinned = "v" in request.args
    response.headers["Cache-Control"] = f"public, max-age={STATIC_AGE_S}, immutable" if is_pinned else "no-cache"
    return response


@pages.get("/healthz")
@public
async def healthz() -> Response:
    """The process answers."""
    return jsonify({"status": "ok"})


@pages.get("/metrics")
@public
async def show_metrics() -> Response:
    """Counters and gauges as Prometheus text."""
    gauges = {"event_streams": ("Open event streams.", site().feed.listeners)}
    return Response(site().metrics.render(gauges), content_type=CONTENT_TYPE)


@pages.get("/fragments/status")
@requires(*EVERY_ROLE)
async def status_fragment() -> str:
    """The line under the bar: what figures rest on, and what is away."""
    return await render_fragment("fragments/status.html", **await status_facts())


@pages.get("/events")
@requires(*EVERY_ROLE)
async def events() -> Response:
    """The event stream, from behind the browser's last event where it names one."""
    last = request.headers.get("Last-Event-ID") or request.args.get("after", "")
    is_id = last.isascii() and last.isdecimal() and len(last) <= EVENT_ID_DIGITS_MAX
    response = Response(site().feed.open(int(last) if is_id else None), content_type="text/event-stream")
    response.timeout = None
    response.headers["X-Accel-Buffering"] = "no"
    return response
