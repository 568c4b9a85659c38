"""What is answered when something went wrong: a page in words for people, a problem (RFC 9457) for programs."""

from __future__ import annotations

import sqlite3
from typing import Final

from quart import Response, jsonify, request

from gridcore.errors import UsageError
from gridcore.logs import get_logger
from gridcore.serving.problems import PROBLEM_TYPE, Problem, word_of
from gridweb.format import iso
from gridweb.i18n import N_
from gridweb.reasons import said
from gridweb.source import BAD_REQUEST, SourceAway, SourceBusy, SourceGone, SourceMissing, SourceNotYet
from gridweb.tables import API
from gridweb.views import render_page
from ledger.client import NodeRefused

UNAVAILABLE: Final = 503
FAULT: Final = "see the log of the pages' server"
HEADINGS: Final = {
    "bad-request": N_("This request cannot be understood"),
    "not-authenticated": N_("Please sign in"),
    "not-authorised": N_("This is not open to you"),
    "not-found": N_("There is no such page"),
    "not-allowed": N_("This cannot be done here"),
    "too-large": N_("This is too large"),
    "too-many": N_("Too many attempts"),
    "fault": N_("A fault of this server"),
    "busy": N_("Not now"),
    "not-yet": N_("Not yet"),
    "not-certified": N_("Decided, not yet certified"),
    "gone": N_("The node no longer has this"),
}
ADVICE: Final = {
    "not-authorised": N_("Your role does not open this page. If it should, ask your administrator."),
    "not-found": N_("The address leads nowhere, or to something that the ledger does not know, or not yet."),
    "too-many": N_("Wait a little before the next attempt."),
    "fault": N_("The fault has been logged. Please report it to the operator."),
    "not-yet": N_("The next block brings it."),
    "busy": N_("A part behind these pages is away."),
    "gone": N_("The slot is final, and what was written of it lies in the operator's archive."),
}

_FRAMEWORK: Final = {404: "nothing lies at this address", 405: "this address does not take such a request"}
"""Details of errors that the web framework raises by itself."""

log = get_logger(__name__)


def is_for_program() -> bool:
    """Whether the answer is read by a program: everything under ``/api``, and what asks for JSON or an event stream."""
    best = request.accept_mimetypes.best_match(["text/html", "application/json", "text/event-stream"])
    return request.path.startswith(f"{API}/") or best in ("application/json", "text/event-stream")


def problem_of(error: Exception) -> Problem:
    """The problem that an error comes to; a fault of our own is logged with its traceback and not shown."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, SourceAway):
        return Problem("busy", f"{error.dependency}: away since {iso(error.since_s)}; ask again later")
    if isinstance(error, SourceNotYet):
        return Problem("not-yet", str(error))
    if isinstance(error, SourceBusy):
        return Problem("busy", f"{error}; ask again later")
    if isinstance(error, SourceGone):
        return Problem("gone", str(error))
    if isinstance(error, SourceMissing):
        return Problem("not-found", str(error))
    if isinstance(error, UsageError):  # a span with more rows than are read at once
        return Problem("bad-request", str(error))
    if isinstance(error, NodeRefused) and error.status == BAD_REQUEST:  # a height or instant that cannot be
        log.info("node_refused", path=request.path, reason=str(error))
        return Problem("bad-request", error.detail)
    if isinstance(error, NodeRefused):
        log.error("node_refused", path=request.path, reason=str(error))
        return Problem("fault", "the node refuses what these pages ask of it; " + FAULT)
    if isinstance(error, sqlite3.OperationalError):
        log.error("users_database_failed", path=request.path, reason=str(error))
        return Problem("busy", "the database of users and sessions does not take this now; ask again later")
    status = getattr(error, "code", None)
    if hasattr(error, "get_response") and isinstance(status, int):
        return Problem(
            word_of(status), _FRAMEWORK.get(status) or " ".join(str(getattr(error, "description", error)).split())
        )
    log.error("request_failed", path=request.path, exc_info=error)
    return Problem("fault", FAULT)


async def answer_error(error: Exception) -> Response:
    """The response to an error."""
    problem = problem_of(error)
    if is_for_program():
        response = jsonify(problem.body())
        response.content_type = PROBLEM_TYPE
    else:
        page = await render_page(
            "problem.html",
            problem=problem,
            detail=said(str(problem)),
            heading=HEADINGS[problem.word],
            advice=ADVICE.get(problem.word, ""),
            opens_again=problem.status == UNAVAILABLE and request.method == "GET",
        )
        response = Response(page)
    response.status_code = problem.status
    if problem.status == UNAVAILABLE:
        response.headers["Retry-After"] = "2"
    return response
