"""What all pages share when they are rendered: the frame around them, macros' filters, addresses of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Final

from markupsafe import Markup
from quart import Quart, g, render_template, request

from gridweb import format as forms
from gridweb.access import Role
from gridweb.cookies import THEMES, local_address
from gridweb.exports.formats import FORMATS
from gridweb.i18n import LANGUAGES, N_, NAMES, language, translate, translate_plural
from gridweb.kept import kept_since
from gridweb.pages import MODULES, Entry
from gridweb.people import Person
from gridweb.sessions import form_token
from gridweb.site import maybe_viewer, site
from gridweb.source import Source, part_of
from gridweb.static_files import static_url
from gridweb.table_body import body_of

THEME_TITLES: Final = {"auto": N_("as the system"), "light": N_("light"), "dark": N_("dark")}
THEME_SIGNS: Final = {"auto": "◐", "light": "☀", "dark": "☾"}
ROLE_TITLES: Final = {
    Role.UTILITY: N_("Utility"),
    Role.HOUSEHOLD: N_("Household"),
    Role.REGULATOR: N_("Regulator"),
    Role.ADMINISTRATOR: N_("Administrator"),
}

ROLE_VIEWS: Final = {
    Role.UTILITY: N_("runs, readings, losses and money of all areas"),
    Role.REGULATOR: N_("the same, to look and to verify"),
    Role.ADMINISTRATOR: N_("the same, and the condition of the system"),
}


async def render_page(template: str, **values: Any) -> str:
    """Render a page inside ``base.html``: with navigation, what figures rest on (``as_of``), and what is away."""
    values = {**await frame(), **values}
    return await render_template(template, **values, kept_s=kept_since(), address=request.full_path.rstrip("?"))


async def render_fragment(template: str, *, says_its_age: bool = False, **values: Any) -> str:
    """Render a piece of a page that is fetched by itself, without ``base.html``; before it, where it is not of now, since when.

    ``says_its_age``: it does so itself.
    """
    values = {
        "zone": await site_zone(site().source),
        "fresh": site().source.freshness(),
        "viewer": maybe_viewer(),
        **values,
    }
    if says_its_age:
        return await render_template(template, **values)
    kept = await render_template("fragments/kept.html", kept_s=kept_since(), is_fragment=True, zone=values["zone"])
    return kept + await render_template(template, **values)


async def frame() -> dict[str, Any]:
    """The values that ``base.html`` needs besides a page's own."""
    viewer = maybe_viewer()
    role = viewer.role if viewer is not None else None
    return {
        "viewer": viewer,
        **bars(request.path, role),
        **await status_facts(),
        "languages": [(name, NAMES[name]) for name in LANGUAGES],
        "language": language(),
        "theme": g.get("theme", "auto"),
        "themes": THEMES,
        "theme_titles": THEME_TITLES,
        "theme_signs": THEME_SIGNS,
        "role_titles": ROLE_TITLES,
        "role_views": ROLE_VIEWS,
        "asked_area": request.args.get("area"),
        "heard_id": g.heard_id,
        "version": site().version,
        "has_book": site().issued is not None,
    }


def bars(path: str, role: Role | None) -> dict[str, Any]:
    """The bar on top and the one below it that the pages of a section share, with the entry of each that this page belongs to."""
    shown = [entry for entry in navigation() if role in entry.roles]
    under = [entry for entry in shown if f"{path}/".startswith(f"{entry.path}/")]
    here = max(under, key=lambda entry: (len(entry.path), entry.section), default=None)
    top = None if here is None else here.section or here.path
    return {
        "navigation": [entry for entry in shown if not entry.section],
        "here_on_top": top,
        "section_pages": [entry for entry in shown if entry.section == top],
        "here_in_section": None if here is None else here.path,
    }


@cache
def navigation() -> tuple[Entry, ...]:
    """All entries of both bars, in their order."""
    entries = [entry for name in MODULES for entry in getattr(import_module(name), "NAVIGATION", ())]
    return tuple(sorted(entries, key=lambda entry: entry.order))


def person_behind(party: str) -> Person | None:
    """Who stands behind a pseudonym: for the utility, which keeps the file, and for the household itself; None for all others."""
    asks, people = maybe_viewer(), site().people
    may_know = asks is not None and (asks.role is Role.UTILITY or asks.party == party)
    return people.find(party) if may_know and people is not None else None


def preference_url(name: str, value: str) -> str:
    """This page's address with the wish for a language (``lang``) or brightness (``theme``) to be remembered."""
    pairs = [(key, text) for key, text in request.args.items(multi=True) if key != name and request.method == "GET"]
    return local_address(request.path if request.method == "GET" else "/", [*pairs, (name, value)])


def form_token_of_browser() -> str:
    """What scripts send as ``X-Form-Token``."""
    return form_token(g.form_cookie)


def form_field() -> str:
    """The hidden field that every form in a template of ours carries."""
    return Markup('<input type="hidden" name="form_token" value="{}">').format(form_token_of_browser())


async def site_zone(source: Source) -> str:
    """The zone in which times are shown that belong to no area: the first area's, UTC before it is known."""
    areas = await part_of(source.areas())
    return areas.value[0].tz if areas.value else "UTC"


def live_attributes(path: str, names: Sequence[str]) -> str:
    """What makes an element fetch itself again at events of these names, at most once a second, and after a break."""
    triggers = [*(f"live-{name} from:body throttle:1s" for name in names), "live-back from:body"]
    return Markup('hx-get="{}" hx-swap="innerMorph" hx-sync="this:queue last" hx-trigger="{}"').format(
        path, ", ".join(triggers)
    )


async def status_facts() -> dict[str, Any]:
    """What the line under the bar says: what figures rest on (None before the node's first answer), and what is away."""
    source = site().source
    as_of = await part_of(source.as_of())
    return {
        "as_of": as_of.value,
        "zone": await site_zone(source),
        "outages": source.outages(),
        "fresh": source.freshness(),
        "is_demo": site().config.demo,
    }


def set_up_templates(app: Quart) -> None:
    """Give the application's templates our text, values and filters."""
    environment = app.jinja_env
    environment.add_extension("jinja2.ext.i18n")
    environment.install_gettext_callables(translate, translate_plural, newstyle=True)  # type: ignore[attr-defined]  # by the extension
    environment.trim_blocks = environment.lstrip_blocks = True
    names: Mapping[str, Any] = {
        "form_field": form_field,
        "form_token": form_token_of_browser,
        "live_attributes": live_attributes,
        "person_behind": person_behind,
        "preference_url": preference_url,
        "static_url": static_url,
        "forms": forms,
        "export_formats": tuple(FORMATS.values()),
        "table_body": body_of,
        "translate": translate,
    }
    environment.globals.update(names)
