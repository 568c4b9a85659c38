"""The ASGI application of the pages: finds the viewer, keeps the rules of access and of forms, sets the headers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, Final
from urllib.parse import quote

from quart import Quart, current_app, g, redirect, request
from quart.typing import ResponseReturnValue

from gridcore.errors import broken, require
from gridcore.logs import get_logger
from gridcore.serving.problems import Problem
from gridweb import api
from gridweb.access import rule_of
from gridweb.cookies import Cookies, apply_preferences, demo_port
from gridweb.failures import FAULT, answer_error, is_for_program
from gridweb.kept import begin_request
from gridweb.pages import MODULES
from gridweb.sessions import is_form_token
from gridweb.site import Site, site
from gridweb.views import set_up_templates

BODY_BYTES_MAX: Final = 64 * 1024
BODY_TIMEOUT_S: Final = 10
RESPONSE_TIMEOUT_S: Final = 30
TLS_ONLY_S: Final = 365 * 86_400
"""How long a browser that came by TLS asks by nothing else."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

log = get_logger(__name__)


def create_app(site: Site) -> Quart:
    """The application over a site. InvariantError when a route does not say who may use it."""
    app = Quart("gridweb", static_folder=None)
    app.url_map.merge_slashes = False  # its redirect would lead to whatever host the request names
    app.config.update(
        MAX_CONTENT_LENGTH=BODY_BYTES_MAX, BODY_TIMEOUT=BODY_TIMEOUT_S, RESPONSE_TIMEOUT=RESPONSE_TIMEOUT_S
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of the default provider, which is the one in use
    app.extensions["gridweb"] = site
    set_up_templates(app)
    for name in MODULES:
        app.register_blueprint(import_module(name).pages)
    app.register_blueprint(api.pages())
    app.before_request(_prepare)
    app.after_request(_finish)
    app.register_error_handler(Exception, answer_error)
    check_rules(app)
    app.view_functions = {name: _guarded(view, site) for name, view in app.view_functions.items()}
    return app


def _guarded(view: Callable[..., Any], site: Site) -> Callable[..., Any]:
    """``view``, except that a broken promise in it takes the process down (``Site.check_whole`` raises it then)."""

    @wraps(view)
    async def answer(**arguments: Any) -> Any:
        try:
            return await view(**arguments)
        except (Exception, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # passed on by ``check_whole``, outside the web framework
            log.error("promise_broken", path=request.path, exc_info=error)
            site.take_down(error)
            raise Problem("fault", FAULT) from None

    return answer


def check_rules(app: Quart) -> None:
    """InvariantError unless every route declares who may use it."""
    for rule in app.url_map.iter_rules():
        require(
            rule_of(app.view_functions[rule.endpoint]) is not None,
            f"route {rule.rule} declares who may use it (gridweb.access)",
        )


async def _prepare() -> ResponseReturnValue | None:
    """Before every view: who asks and in which language; then the rule of the route and the token of a form."""
    g.started_s = time.monotonic()
    begin_request()
    g.heard_id = site().feed.newest_id
    port = demo_port(request.headers.get("Host", "")) if site().config.demo else None
    cookies = Cookies(site().config.is_secure, port)
    token = cookies.read("session")
    g.cookies = cookies
    g.viewer = site().sessions.find(token)
    g.form_cookie = token if g.viewer is not None else cookies.read("visitor")
    chosen = apply_preferences(cookies)
    if chosen is not None or request.url_rule is None:
        return chosen
    refused = _check_rule()
    if refused is None and request.method not in SAFE_METHODS:
        await _check_form()
    return refused


def _check_rule() -> ResponseReturnValue | None:
    """Problem 401 or 403, or the way to the sign-in page, unless the route is for who asks."""
    rule = rule_of(current_app.view_functions[request.endpoint or ""]) or broken("every route has a rule")
    if rule.is_public:
        return None
    if g.viewer is None:
        if "HX-Request" in request.headers:  # a part of a page whose session has ended: the whole page goes to sign in
            return "", 401, {"HX-Refresh": "true"}
        if is_for_program() or request.method not in SAFE_METHODS:
            raise Problem("not-authenticated", "sign in first: this is not public")
        target = request.full_path.rstrip("?")
        return redirect("/sign-in" + (f"?next={quote(target, safe='/')}" if target != "/" else ""), 303)
    if g.viewer.role not in rule.roles:
        raise Problem("not-authorised", "this is not for your role")
    return None


async def _check_form() -> None:
    """Problem 403 unless a request that changes something comes from a form of ours in the same browser."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Problem("not-authorised", "the form was sent from another site")
    given = request.headers.get("X-Form-Token") or (await request.form).get("form_token")
    if not is_form_token(g.form_cookie, given):
        raise Problem("not-authorised", "the form has no valid token; open the page again and send it from there")


async def _finish(response: ResponseReturnValue) -> ResponseReturnValue:
    """After every view: headers and metrics."""
    headers = response.headers  # type: ignore[union-attr]  # after_request is given a response object
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "no-store")
    if site().config.is_secure:
        headers["Strict-Transport-Security"] = f"max-age={TLS_ONLY_S}"
    route = request.url_rule.rule if request.url_rule is not None else "none"
    status = response.status_code  # type: ignore[union-attr]  # as above
    site().metrics.count_request(route, status, time.monotonic() - g.started_s)
    return response
