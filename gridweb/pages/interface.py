"""``/interface``: what programs may ask these pages, read from the same OpenAPI document that they get, without anybody else's scripts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from quart import Blueprint, g

from gridweb.access import Role, public
from gridweb.i18n import LANGUAGES, N_, language, translate
from gridweb.openapi import openapi
from gridweb.site import site
from gridweb.tables import API, KINDS
from gridweb.views import ROLE_TITLES, render_page

pages = Blueprint("interface", __name__)

GROUP_TITLES: Final = {
    "areas": N_("Areas"),
    "households": N_("Households"),
    "gateways": N_("Gateways"),
    "meters": N_("Meters"),
    "fleet": N_("All gateways"),
    "blocks": N_("Blocks"),
    "registry": N_("Registry"),
    "consortium": N_("Consortium"),
    "disputes": N_("Disputes"),
}
"""Operations by the first part of their path; the others stand together at the end."""
OTHERS: Final = N_("Others")
KIND_TITLES: Final = {
    "text": N_("text"),
    "name": N_("a name that somebody chose"),
    "instant": N_("UTC seconds"),
    "slot": N_("start of a slot, UTC seconds"),
    "energy_wh": N_("energy"),
    "amount_nano": N_("amount of money"),
    "price_micro": N_("price"),
    "count": N_("whole number"),
    "voltage_milli": N_("voltage"),
    "quality": N_("quality of a reading"),
    "share": N_("parts of a million"),
    "digest": N_("hexadecimal digits"),
    "month": N_("a local month, YYYY-MM"),
    "day": N_("a local day, YYYY-MM-DD"),
    "run": N_("name of a settlement run"),
}


@dataclass(frozen=True)
class Argument:
    """An argument of an operation. ``meaning``: as shown."""

    name: str
    is_in_path: bool
    is_required: bool
    kind: str
    meaning: str


@dataclass(frozen=True)
class Operation:
    """One address. ``is_plain``: it can be opened as it is."""

    name: str
    path: str
    summary: str
    readers: str
    arguments: tuple[Argument, ...]

    @property
    def is_plain(self) -> bool:
        """Whether it needs no argument."""
        return not any(argument.is_required for argument in self.arguments)


def operations_of(document: dict[str, Any]) -> dict[str, list[Operation]]:
    """The tables of an OpenAPI document by their groups (message ids), each by its path, in the language of the request."""
    found: dict[str, list[Operation]] = {title: [] for title in (*GROUP_TITLES.values(), OTHERS)}
    for path, methods in document["paths"].items():
        operation = methods["get"]
        if operation["operationId"] == "openapi":
            continue
        first = path.removeprefix(f"{API}/").partition("/")[0]
        found[GROUP_TITLES.get(first, OTHERS)].append(_operation(path, operation))
    return found


def _operation(path: str, operation: dict[str, Any]) -> Operation:
    roles = operation["description"].removeprefix("For ").rstrip(".").split(", ")
    arguments = tuple(
        Argument(
            one["name"], one["in"] == "path", one["required"], one["schema"]["type"], translate(one["description"])
        )
        for one in operation["parameters"]
        if one["name"] != "format"
    )
    readers = ", ".join(translate(ROLE_TITLES[Role(role)]) for role in roles)
    return Operation(operation["operationId"], path, translate(operation["summary"]), readers, arguments)


@pages.get("/interface")
@public
async def show_interface() -> str:
    """The page."""
    groups = _operations_in(language(), site().version, g.cookies.name("session"))
    kinds = [(kind, KIND_TITLES[kind], unit) for kind, unit in KINDS.items()]
    return await render_page("interface.html", groups=groups, kinds=kinds, api=API)


@lru_cache(maxsize=2 * len(LANGUAGES))
def _operations_in(_language: str, version: str, cookie: str) -> dict[str, list[Operation]]:
    """Put together once for each language, that of the request: the page is public, and nothing in it changes."""
    return operations_of(openapi(version, cookie))
