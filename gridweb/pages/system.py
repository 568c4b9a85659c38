"""What no person reads: static files, health, metrics, and the event stream."""

from __future__ import annotations

from functools import partial
from typing import Final

from quart import Blueprint, Response, g, jsonify, request, send_from_directory

from gridcore.serving.metrics import CONTENT_TYPE
from gridcore.serving.problems import Problem
from gridweb.access import EVERY_ROLE, public, requires
from gridweb.site import site, source, viewer
from gridweb.source import part_of
from gridweb.static_files import static_folder, static_names
from gridweb.views import render_fragment, status_facts

pages = Blueprint("system", __name__)

STATIC_AGE_S: Final = 365 * 86_400
EVENT_ID_DIGITS_MAX: Final = 18


@pages.get("/static/<path:name>")
@public
async def static_file(name: str) -> Response:
    """A file that pages load. Its address carries its digest, so a browser keeps it for good."""
    if name not in static_names():
        raise Problem("not-found", "no file of this name")
    response = await send_from_directory(static_folder(), name)
    is_pinned = "v" in request.args
    response.headers["Cache-Control"] = f"public, max-age={STATIC_AGE_S}, immutable" if is_pinned else "no-cache"
    return response


@pages.get("/healthz")
@public
async def healthz() -> Response:
    """The process answers."""
    return jsonify({"status": "ok"})


@pages.get("/readyz")
@public
async def readyz() -> Response:
    """Whether pages have what they need, part by part; 503 while one is away."""
    await part_of(source().status())
    away = {outage.name: outage.since_s for outage in source().outages()}
    known = [name for name in site().health.known() if name != "blocks" or "node" not in away]
    parts = {name: {"ready": name not in away, "away_since_s": away.get(name)} for name in known}
    fresh = source().freshness()
    news = (
        {}
        if fresh is None
        else {"news": {"pulse": fresh.pulse.value, "as_of_s": fresh.as_of_s, "late_s": fresh.late_s}}
    )
    response = jsonify({"status": "not ready" if away else "ready", "parts": parts, **news})
    response.status_code = 503 if away else 200
    return response


@pages.get("/metrics")
@public
async def show_metrics() -> Response:
    """Counters and gauges as Prometheus text."""
    progress, fresh = source().progress, source().freshness()
    gauges = {
        "event_streams": ("Open event streams.", site().feed.listeners),
        "node_height": ("Newest height seen at the node.", progress.newest),
        "projected_height": ("Height up to which the time series hold everything.", progress.height),
        "parts_away": ("Parts behind the pages that are away or stand still.", len(source().outages())),
        "news_late_seconds": (
            "Seconds by which the next block is overdue.",
            fresh.overdue_s if fresh is not None else 0,
        ),
        "is_current": ("1 while what pages show may be called live.", int(fresh is not None and fresh.is_current)),
    }
    return Response(site().metrics.render(gauges), content_type=CONTENT_TYPE)


@pages.get("/fragments/status")
@requires(*EVERY_ROLE)
async def status_fragment() -> str:
    """The line under the bar: what figures rest on, and what is away."""
    return await render_fragment("fragments/status.html", says_its_age=True, **await status_facts())


@pages.get("/events")
@requires(*EVERY_ROLE)
async def events() -> Response:
    """The event stream, from behind the browser's last event where it names one; it ends with the session."""
    last = request.headers.get("Last-Event-ID") or request.args.get("after", "")
    is_id = last.isascii() and last.isdecimal() and len(last) <= EVENT_ID_DIGITS_MAX
    stands = partial(site().sessions.stands, g.cookies.read("session"))
    stream = site().feed.open(int(last) if is_id else None, viewer().name, stands=stands)
    response = Response(stream, content_type="text/event-stream")
    response.timeout = None
    response.headers["X-Accel-Buffering"] = "no"
    return response
