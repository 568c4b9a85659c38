"""The access matrix: every route with every role, out of the application's own registry; a new page is in it by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from quart import Blueprint, Quart

from gridcore.errors import InvariantError
from gridcore.serving.problems import Problem
from gridweb.access import READS_ALL, Role, Viewer, check_party, public, requires, rule_of
from gridweb.app import check_rules
from gridweb.tables import API, table_routes
from tests.unit.web.web_world import FIRST_S, Browser, World, make_world

OWN, OTHER = "H001", "H002"
EXAMPLES: dict[str, str] = {
    "area": "a-1",
    "day": "2027-01-15",
    "dispute": "ab" * 32,
    "gateway": "gw-1",
    "group": "day",
    "height": "1",
    "job": "ab" * 16,
    "kind": "levy",
    "meter": "M-1",
    "name": "gridledger.css",
    "number": "utility-2027-000001",
    "party": OWN,
    "point": "P-1",
    "proposal": "ab" * 32,
    "replay": "ab" * 16,
    "row": "0",
    "slot": str(FIRST_S),
    "slot_start_s": str(FIRST_S),
}
"""A value for each part of a path, by name."""
PARTIES_OF = {Role.HOUSEHOLD: OWN}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A site whose event streams end at once."""
    world = make_world(tmp_path)
    world.site.stop.set()
    return world


def routes(app: Quart) -> Iterator[tuple[str, str, str]]:
    """(method, rule, endpoint) of every route."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, rule.rule, rule.endpoint


def address(rule: str, **others: str) -> str:
    """A route's address with the examples in its places."""
    values = EXAMPLES | others
    return re.sub(r"<(?:[^:<>]*:)?(\w+)>", lambda match: values[match[1]], rule)


async def status_of(browser: Browser, method: str, path: str) -> tuple[int, str]:
    """Status and redirect target of a request."""
    response: Any = await (browser.get(path) if method == "GET" else browser.post(path))
    return response.status_code, response.headers.get("Location", "")


@pytest.mark.parametrize("role", list(Role))
async def test_every_route_opens_to_its_roles_and_to_no_other(world: World, role: Role) -> None:
    browser = world.browser(role, PARTIES_OF.get(role))
    wrong = []
    for method, rule, endpoint in routes(world.app):
        declared = rule_of(world.app.view_functions[endpoint])
        assert declared is not None
        if declared.is_public:
            continue
        status, target = await status_of(browser, method, address(rule))
        is_open = status not in (401, 403) and not target.startswith("/sign-in")
        if is_open != (role in declared.roles) or status >= 500:
            wrong.append((method, rule, status, target))
    assert wrong == []


async def test_no_route_opens_to_who_is_not_signed_in_but_the_public_ones(world: World) -> None:
    stranger = world.browser()
    assert len(list(routes(world.app))) > 20
    for method, rule, endpoint in routes(world.app):
        declared = rule_of(world.app.view_functions[endpoint])
        assert declared is not None
        status, target = await status_of(stranger, method, address(rule))
        if declared.is_public:
            assert status != 401, rule
            assert not target.startswith("/sign-in?"), rule
        elif method == "GET" and not rule.startswith("/api/"):
            assert (status, target.partition("?")[0]) == (303, "/sign-in"), rule
        else:
            assert status == 401, rule


async def test_a_household_does_not_reach_another_by_changing_an_address(world: World) -> None:
    household = world.browser(Role.HOUSEHOLD, OWN)
    walked = 0
    for method, rule, endpoint in routes(world.app):
        declared = rule_of(world.app.view_functions[endpoint])
        if "party" not in rule or declared is None or Role.HOUSEHOLD not in declared.roles:
            continue
        walked += 1
        for stranger in (OTHER, "nobody-of-this-name"):
            assert await status_of(household, method, address(rule, party=stranger)) == (403, ""), rule
    assert walked > 10


HOSTILE = (
    "0",
    "-1",
    "9" * 18,
    "9" * 30,
    "9" * 5000,
    "%00",
    "%FF",
    "%E2%80%AE",
    "..%2F..",
    "<script>",
    "'\"--",
    "x" * 3000,
    "*",
)


async def test_hostile_addresses_are_answered_without_a_fault(world: World) -> None:
    utility = world.browser(Role.UTILITY)
    faults = []
    for method, rule, _ in routes(world.app):
        for name in re.findall(r"<(?:[^:<>]*:)?(\w+)>", rule):
            for value in HOSTILE:
                path = address(rule, **{name: value})
                status, _ = await status_of(utility, method, path)
                if status >= 500:
                    faults.append((status, rule, value[:20]))
    assert faults == []


READ_BY_PAGES = ("area", "boundary", "day", "month")
"""Arguments of pages; a table says its own."""


async def test_hostile_arguments_are_answered_without_a_fault(world: World) -> None:
    utility = world.browser(Role.UTILITY)
    own = {API + route.rule: tuple(route.query) for route in table_routes()}
    names = sorted({name for query in own.values() for name in query} | {"day", "area", "start", "next"})
    faults = []
    for method, rule, _ in routes(world.app):
        for value in HOSTILE if method == "GET" and not rule.startswith("/static") else ():
            query = "&".join(f"{name}={value[:200]}" for name in names)
            for one in (query, *(f"{name}={value}" for name in own.get(rule, READ_BY_PAGES))):
                status, _ = await status_of(utility, method, f"{address(rule)}?{one}")
                if status >= 500:
                    faults.append((status, rule, one[:40]))
    assert faults == []


async def test_posts_without_the_token_of_a_form_change_nothing(world: World) -> None:
    browsers = {role: world.browser(role, PARTIES_OF.get(role)) for role in Role}
    posts = [(rule, endpoint) for method, rule, endpoint in routes(world.app) if method != "GET"]
    assert len(posts) >= 3
    for rule, endpoint in posts:
        declared = rule_of(world.app.view_functions[endpoint])
        assert declared is not None
        browser = browsers[next(iter(declared.roles), Role.UTILITY)]
        for token in ("", "0" * 64):
            response = await browser.post(address(rule), {"form_token": token})
            assert response.status_code == 403, rule
        foreign = await browser.post(address(rule), headers={"Sec-Fetch-Site": "cross-site"})
        assert foreign.status_code == 403, rule


async def test_a_form_token_of_another_session_does_not_count(world: World) -> None:
    anna, eve = world.browser(Role.UTILITY), world.browser(Role.REGULATOR)
    anna.token, eve.token = eve.token, anna.token
    assert (await anna.post("/sign-out")).status_code == 403


async def test_a_part_of_a_page_whose_session_has_ended_makes_the_page_load_anew(world: World) -> None:
    response = await world.browser().get("/fragments/status", headers={"HX-Request": "true"})
    assert (response.status_code, response.headers["HX-Refresh"]) == (401, "true")


def test_a_route_without_a_rule_stops_the_start() -> None:
    app, pages = Quart("test", static_folder=None), Blueprint("bare", __name__)
    pages.add_url_rule("/bare", view_func=lambda: "")
    app.register_blueprint(pages)
    with pytest.raises(InvariantError, match="route /bare declares who may use it"):
        check_rules(app)


def test_rules_say_who() -> None:
    assert rule_of(requires(*READS_ALL)(lambda: None)).roles == set(READS_ALL)  # type: ignore[union-attr]  # there is one
    assert rule_of(public(lambda: None)).is_public  # type: ignore[union-attr]  # there is one
    with pytest.raises(InvariantError, match="at least one role"):
        requires()


def test_a_viewer_sees_its_party_or_everybody() -> None:
    household = Viewer("h", Role.HOUSEHOLD, OWN)
    assert household.may_see(OWN)
    assert not household.may_see(OTHER)
    with pytest.raises(Problem, match="its own data alone"):
        check_party(household, OTHER)
    check_party(Viewer("r", Role.REGULATOR), OTHER)
    for role, party in ((Role.HOUSEHOLD, None), (Role.UTILITY, OWN)):
        with pytest.raises(InvariantError, match="a household has a party"):
            Viewer("x", role, party)
