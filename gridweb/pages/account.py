"""``/sign-in`` and ``/sign-out``: by name and password, and in the demonstration by a choice of role alone."""

from __future__ import annotations

import asyncio
from typing import Final

from quart import Blueprint, Response, g, redirect, request
from quart.typing import ResponseReturnValue

from gridcore.logs import get_logger
from gridcore.serving.problems import Problem
from gridweb.access import Role, Viewer, public
from gridweb.i18n import _
from gridweb.sessions import new_visitor
from gridweb.site import SIGN_INS, site, source
from gridweb.source import Part, Source, part_of
from gridweb.users import PARTY, is_password
from gridweb.views import render_page

pages = Blueprint("account", __name__)

NAME_CHARACTERS_MAX: Final = 64
ADDRESS_CHARACTERS_MAX: Final = 64
"""Of an address that a proxy writes: it is remembered and logged."""
PARTIES_SHOWN_MAX: Final = 1_000
"""Households that the demonstration offers to choose from."""
START: Final = "/"

log = get_logger(__name__)


@pages.get("/sign-in")
@public
async def show_sign_in() -> ResponseReturnValue:
    """The form; who is signed in already goes on."""
    target = local_path(request.args.get("next"))
    return redirect(target, 303) if g.viewer is not None else await _form(target)


@pages.post("/sign-in")
@public
async def sign_in() -> ResponseReturnValue:
    """Check name and password. What was wrong is not told apart, and a wrong name takes as long as a wrong password."""
    form = await request.form
    name, password = form.get("name", "")[:NAME_CHARACTERS_MAX], form.get("password", "")
    target = local_path(form.get("next"))
    throttle, address, browser = site().throttle, client_address(), g.cookies.read("browser") or ""
    wait_s = throttle.wait_s(name, address, browser)
    if wait_s:
        site().metrics.count(SIGN_INS.name, "throttled")
        raise Problem("too-many", f"too many attempts; wait {wait_s} s")
    password_hash = site().users.password_hash(name)
    with throttle.attempt(name, address, browser):
        is_right = await asyncio.to_thread(is_password, password_hash, password)
    is_right = is_right and site().users.password_hash(name) == password_hash  # it may have been changed meanwhile
    viewer = site().users.viewer(name) if is_right else None
    if viewer is None:
        throttle.note_failure(name, address, browser)
        site().metrics.count(SIGN_INS.name, "refused")
        log.info("sign_in_refused", client_ip=address)  # "address" is taken for a person's, and left out of logs
        return await _form(target, failure=_("Name or password is wrong."))
    renewed = new_visitor()
    throttle.note_success(name, address, browser, renewed)
    site().metrics.count(SIGN_INS.name, "accepted")
    response = begin(viewer, target)
    g.cookies.set(response, "browser", renewed)
    return response


@pages.post("/sign-in/demo")
@public
async def sign_in_demo() -> ResponseReturnValue:
    """Sign in by role, without a password: in the demonstration alone."""
    if not site().config.demo:
        raise Problem("not-found", "this is no demonstration")
    if not (await source().status()).simulated:
        raise Problem("not-authorised", "a demonstration shows a simulated chain alone")
    form = await request.form
    try:
        role = Role(form.get("role", ""))
    except ValueError:
        raise Problem("bad-request", f"role: one of {', '.join(Role)}") from None
    party = form.get("party", "") if role is Role.HOUSEHOLD else None
    if party is not None and PARTY.fullmatch(party) is None:
        raise Problem("bad-request", "party: the pseudonym of a household")
    site().metrics.count(SIGN_INS.name, "demo")
    return begin(Viewer(party or f"demo-{role.value}", role, party), local_path(form.get("next")))


@pages.post("/sign-out")
@public
async def sign_out() -> ResponseReturnValue:
    """End the session."""
    _end_session()
    response = redirect("/sign-in", 303)
    g.cookies.delete(response, "session")
    return response


def begin(viewer: Viewer, target: str) -> ResponseReturnValue:
    """A new session under a new token, whatever cookie came along; one that stood in this browser ends."""
    _end_session()
    response = redirect(target, 303)
    g.cookies.set(response, "session", site().sessions.begin(viewer))
    g.cookies.delete(response, "visitor")
    return response


def local_path(text: str | None) -> str:
    """Where to go after signing in: a path of ours, never another site."""
    if text is None or not text.startswith("/") or text.startswith(("//", "/\\", "/sign-")):
        return START
    return text if text.isprintable() and text.isascii() else START


def client_address() -> str:
    """The browser's address: behind ``proxies`` of ours, as the outermost of them saw it."""
    hops = [
        hop.strip() for line in request.headers.getlist("X-Forwarded-For") for hop in line.split(",") if hop.strip()
    ]
    count = site().config.proxies
    return hops[-count][:ADDRESS_CHARACTERS_MAX] if 0 < count <= len(hops) else request.remote_addr or ""


def _end_session() -> None:
    token = g.cookies.read("session")
    if token is not None:
        site().sessions.end(token)
        site().feed.look_again()


async def _form(target: str, failure: str = "") -> Response:
    """The sign-in page, tied to this browser by a cookie."""
    visitor = g.form_cookie
    if visitor is None:
        visitor = g.form_cookie = new_visitor()
    is_demo = site().config.demo
    parties: Part[list[str]] = await part_of(demo_parties(source())) if is_demo else Part([])
    page = await render_page(
        "sign-in.html",
        target=target,
        failure=failure,
        parties=parties,
        has_users=is_demo or bool(site().users.all()),
    )
    response = Response(page, status=401 if failure else 200)
    g.cookies.set(response, "visitor", visitor)
    return response


async def demo_parties(source: Source) -> list[str]:
    """Households that trade, to choose one of: the first PARTIES_SHOWN_MAX."""
    found: list[str] = []
    for area in await source.areas():
        page = await source.cached(f"areas/{area.area}/installations", start=0)
        found += [row["party"] for row in page["installations"] if row["party"] is not None and row["trades"]]
        if len(found) >= PARTIES_SHOWN_MAX:
            break
    return found[:PARTIES_SHOWN_MAX]
