"""The ASGI application of a node: every route served by its record, every error as a problem."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from quart import Quart, Response, g, jsonify, request

from gridcore.logs import get_logger
from gridcore.node_interface import SUBMISSION_BYTES_MAX
from gridcore.serving.problems import PROBLEM_TYPE, Problem, word_of
from ledger.engines.base import EngineStoppedError, StandbyError
from ledger.http.dispatcher import FAULT, Dispatcher
from ledger.http.route import Route
from ledger.http.routes import ROUTES
from ledger.store.errors import NotCertifiedError, PrunedError, StoreError, StoreWriteError

log = get_logger(__name__)


def create_app(dispatcher: Dispatcher) -> Quart:
    """The ASGI application over a dispatcher."""
    app = Quart("gridledger.node", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=SUBMISSION_BYTES_MAX, RESPONSE_TIMEOUT=60)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of the default provider, which is the one in use
    for route in ROUTES:
        app.add_url_rule(
            route.rule,
            endpoint=route.rule,
            view_func=dispatcher.guarded(_handler(dispatcher, route)),
            methods=[route.method],
            provide_automatic_options=False,
        )
    app.register_error_handler(Exception, _handle_error)

    @app.before_request
    async def start_clock() -> None:
        g.started_s = time.monotonic()
        if request.method != "POST" and (request.content_length or "Transfer-Encoding" in request.headers):
            raise Problem(
                "bad-request", "a question has no body"
            )  # it would be kept in memory, beyond all bounds of bodies

    @app.after_request
    async def finish(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule is not None else "none"
        dispatcher.metrics.count_request(route, response.status_code, time.monotonic() - g.started_s)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return app


def _handler(dispatcher: Dispatcher, route: Route) -> Callable[..., Awaitable[Response]]:
    """What answers requests for a route, as the framework calls it."""

    async def answer(**path: str) -> Response:
        answered = await route.answer(dispatcher, route.read_arguments(path, request.args))
        if isinstance(answered, dict):
            return jsonify(answered)
        return Response(answered, content_type=route.content)

    return answer


async def _handle_error(error: Exception) -> Response:
    """Every error as a problem; a fault of our own is logged with its traceback and not shown."""
    if isinstance(error, Problem):
        problem = error
    elif isinstance(error, StoreWriteError):
        problem = Problem("busy", "the node's disk does not take writes now; ask again later")
    elif isinstance(error, EngineStoppedError):
        problem = Problem("busy", "the node makes no blocks any more; ask again once it was started anew")
    elif isinstance(error, PrunedError):
        problem = Problem("gone", str(error))
    elif isinstance(error, NotCertifiedError):
        problem = Problem("not-certified", f"{error}; ask again later")
    elif isinstance(error, StandbyError):
        problem = Problem("busy", str(error))
    elif isinstance(error, StoreError):
        log.error("store_damaged", path=request.path, reason=str(error))
        problem = Problem("fault", FAULT)
    elif (status := _framework_status(error)) is not None:
        problem = Problem(word_of(status), " ".join(str(getattr(error, "description", error)).split()))
    else:
        log.error("request_failed", path=request.path, exc_info=error)
        problem = Problem("fault", FAULT)
    response = jsonify(problem.body())
    response.status_code = problem.status
    response.content_type = PROBLEM_TYPE
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = "GridLedger"
    if problem.status in (429, 503):
        response.headers["Retry-After"] = "1"
    return response


def _framework_status(error: Exception) -> int | None:
    """The status of an error that the framework raises by itself: no such route, method, or a body that is too long."""
    status = getattr(error, "code", None)
    return status if hasattr(error, "get_response") and isinstance(status, int) else None
