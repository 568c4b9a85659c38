"""What all pages share when they are rendered: the frame around them, macros' filters, addresses of files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module, resources
from typing import Any

from markupsafe import Markup
from quart import Quart, g, render_template, request

from gridcore.sm3 import sm3
from gridweb import format as forms
from gridweb.cookies import THEMES
from gridweb.i18n import LANGUAGES, NAMES, language, translate, translate_plural
from gridweb.pages import MODULES, Entry
from gridweb.sessions import form_token
from gridweb.site import maybe_viewer, site
from gridweb.source import AsOf, SourceAway


async def render_page(template: str, **values: Any) -> str:
    """Render a page inside ``base.html``: with navigation, what figures rest on, and what is away."""
    as_of = values.pop("as_of", None)
    values["as_of"] = as_of.value if hasattr(as_of, "value") else as_of or await _as_of()
    return await render_template(template, **values, **frame())


async def render_fragment(template: str, **values: Any) -> str:
    """Render a piece of a page that is fetched by itself, without ``base.html``."""
    return await render_template(template, **values)


def frame() -> dict[str, Any]:
    """The values that ``base.html`` and the sign-in page need besides their own."""
    viewer = maybe_viewer()
    role = viewer.role if viewer is not None else None
    return {
        "viewer": viewer,
        "navigation": [entry for entry in navigation() if role in entry.roles],
        "outages": site().source.outages(),
        "languages": [(name, NAMES[name]) for name in LANGUAGES],
        "language": language(),
        "theme": g.get("theme", "auto"),
        "themes": THEMES,
        "is_demo": site().config.demo,
        "path": request.path,
    }


@cache
def navigation() -> tuple[Entry, ...]:
    """All entries of the bar on top, in their order."""
    entries = [entry for name in MODULES for entry in getattr(import_module(name), "NAVIGATION", ())]
    return tuple(sorted(entries, key=lambda entry: entry.order))


def form_field() -> str:
    """The hidden field that every form in a template of ours carries."""
    return Markup('<input type="hidden" name="form_token" value="{}">').format(form_token(g.form_cookie))


def static_url(name: str) -> str:
    """The address of a file under ``static``, with its digest, so that browsers keep it until it changes."""
    return f"/static/{name}?v={_static_digest(name)}"


@cache
def _static_digest(name: str) -> str:
    file = resources.files("gridweb") / "static" / name
    return sm3(file.read_bytes()).hex()[:12] if file.is_file() else "none"


async def _as_of() -> AsOf | None:
    try:
        return await site().source.as_of()
    except SourceAway:
        return None


def set_up_templates(app: Quart) -> None:
    """Give the application's templates our text, values and filters."""
    environment = app.jinja_env
    environment.add_extension("jinja2.ext.i18n")
    environment.install_gettext_callables(translate, translate_plural, newstyle=True)  # type: ignore[attr-defined]  # by the extension
    environment.trim_blocks = environment.lstrip_blocks = True
    names: Mapping[str, Any] = {
        "form_field": form_field,
        "static_url": static_url,
        "forms": forms,
        "translate": translate,
    }
    environment.globals.update(names)
