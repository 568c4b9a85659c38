"""``/sign-in`` and ``/sign-out``."""

from __future__ import annotations

from quart import Blueprint, Response, g, redirect, request
from quart.typing import ResponseReturnValue

from gridcore.problems import Problem
from gridweb.access import Role, Viewer, public
from gridweb.sessions import new_visitor
from gridweb.site import site
from gridweb.views import render_page

pages = Blueprint("account", __name__)


@pages.get("/sign-in")
@public
async def show_sign_in() -> ResponseReturnValue:
    """The form, tied to this browser."""
    visitor = None
    if g.form_cookie is None:
        visitor = g.form_cookie = new_visitor()
    response = Response(await render_page("sign-in.html", next_path=request.args.get("next", "/")))
    if visitor is not None:
        g.cookies.set(response, "visitor", visitor)
    return response


@pages.post("/sign-in/demo")
@public
async def sign_in_demo() -> ResponseReturnValue:
    """Sign in by role, without a password: in the demo alone."""
    if not site().config.demo:
        raise Problem("not-found", "this is no demonstration")
    form = await request.form
    role = Role(form["role"])
    party = form.get("party") if role is Role.HOUSEHOLD else None
    response = redirect("/", 303)
    g.cookies.set(response, "session", site().sessions.begin(Viewer(f"demo-{role.value}", role, party)))
    return response


@pages.post("/sign-out")
@public
async def sign_out() -> ResponseReturnValue:
    """End the session."""
    token = g.cookies.read("session")
    if token is not None:
        site().sessions.end(token)
    response = redirect("/sign-in", 303)
    g.cookies.delete(response, "session")
    return response
