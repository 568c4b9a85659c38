"""The frame around pages: headers, files, health, errors for people and programs, choices that are remembered, faults of our own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from quart import Blueprint, render_template_string

from gridcore.errors import InvariantError, UsageError
from gridcore.serving.problems import PROBLEM_TYPE, TITLES
from gridledger.commands import doctor
from gridseries.series import AnyRow
from gridweb import app as app_module
from gridweb import static_files
from gridweb.access import Role, public
from gridweb.app import SECURITY_HEADERS
from gridweb.failures import ADVICE, HEADINGS
from gridweb.i18n import LANGUAGES
from gridweb.tables import Column, Table
from gridweb.views import navigation
from ledger.client import NodeRefused
from tests.unit.web.web_world import FIRST_S, World, make_world

MARKUP = '<script>alert(1)</script><img src=x onerror="alert(1)">'


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A site."""
    return make_world(tmp_path)


async def test_every_answer_carries_the_headers_that_keep_strangers_out(world: World) -> None:
    utility = world.browser(Role.UTILITY)
    for path in ("/condition", "/sign-in", "/nothing-here", "/api/v1/condition", "/static/gridledger.css", "/healthz"):
        headers = (await utility.get(path)).headers
        assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS, path
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert (await utility.get("/condition")).headers["Cache-Control"] == "no-store"


async def test_static_files_are_kept_by_browsers_under_the_address_with_their_digest_alone(world: World) -> None:
    stranger = world.browser()
    url = static_files.static_url("gridledger.css")
    assert "immutable" in (await stranger.get(url)).headers["Cache-Control"]
    assert (await stranger.get("/static/gridledger.css")).headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    ["/static/", "/static/../app.py", "/static/%2e%2e/app.py", "/static/vendor/../../app.py", "/static/vendor/.none"],
)
async def test_nothing_else_is_read_from_the_disk(world: World, path: str) -> None:
    assert (await world.browser().get(path)).status_code == 404


def test_a_checkout_without_bundled_files_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    static_files.check_static_files()
    monkeypatch.setattr(static_files, "static_folder", lambda: tmp_path)
    with pytest.raises(UsageError, match="run: make setup"):
        static_files.check_static_files()
    assert doctor.examine_pages().remedy == "in a checkout, run: make setup"


async def test_health_readiness_and_metrics_with_parts_there_and_away(world: World) -> None:
    browser = world.browser()
    assert (await (await browser.get("/healthz")).get_json()) == {"status": "ok"}
    ready = await browser.get("/readyz")
    assert (ready.status_code, (await ready.get_json())["parts"]) == (
        200,
        {name: {"ready": True, "away_since_s": None} for name in ("node", "blocks")},
    )
    world.node.away = True
    world.progress.newest += 1
    world.clock.advance_to(world.clock.now_s() + 5)
    away = await browser.get("/readyz")
    assert away.status_code == 503
    assert (await away.get_json())["parts"]["node"] == {"ready": False, "away_since_s": world.clock.now_s()}
    assert (await browser.get("/healthz")).status_code == 200
    text = await browser.text("/metrics")
    for line in ("parts_away 1", "node_height 8", "projected_height 7", "event_streams 0"):
        assert f"gridledger_web_{line}\n" in text
    assert 'http_requests_total{route="/readyz",status="5xx"} 1' in text


@pytest.mark.parametrize("name", LANGUAGES)
async def test_errors_are_pages_in_words_for_people(world: World, name: str) -> None:
    household = world.browser(Role.HOUSEHOLD, "H001", language=name)
    words = {"en": ("This is not open to you", "There is no such page"), "zh_CN": ("您无权查看此内容", "没有这个页面")}
    for path, status, text in (("/condition", 403, words[name][0]), ("/nothing", 404, words[name][1])):
        response = await household.get(path)
        assert response.status_code == status
        assert response.content_type == "text/html; charset=utf-8"
        assert text in await response.get_data(as_text=True)


async def test_errors_are_problems_for_programs(world: World) -> None:
    utility = world.browser(Role.UTILITY)
    for path, headers in (("/api/v1/nothing", {}), ("/nothing", {"Accept": "application/json"})):
        response = await utility.get(path, headers=headers)
        problem = await response.get_json(force=True)
        assert response.content_type == PROBLEM_TYPE
        assert (problem["status"], problem["type"]) == (404, "urn:gridledger:problem:not-found")
    wrong = await utility.client.put("/api/v1/condition")
    assert (wrong.status_code, (await wrong.get_json(force=True))["type"]) == (
        405,
        "urn:gridledger:problem:not-allowed",
    )
    large = await utility.post("/sign-out", {"x": "y" * 100_000})
    assert large.status_code == 413


async def test_a_value_that_the_node_does_not_take_is_the_askers_error_not_a_fault(world: World) -> None:
    def refuse(**_: object) -> object:
        raise NodeRefused("GET /api/v1/blocks/9: no height", 400, "no height")

    world.node.answers["blocks/9"] = refuse
    response = await world.browser(Role.UTILITY).get("/blocks/9", headers={"Accept": "application/json"})
    problem = await response.get_json()
    assert (response.status_code, problem["detail"]) == (400, "no height")


async def test_what_the_node_has_pruned_is_gone_and_the_page_says_where_it_lies(world: World) -> None:
    def refuse(**_: object) -> object:
        raise NodeRefused("GET /api/v1/blocks/9: pruned", 410, "block 9 was pruned")

    world.node.answers["blocks/9"] = refuse
    response = await world.browser(Role.UTILITY).get("/blocks/9")
    text = await response.get_data(as_text=True)
    assert response.status_code == 410
    assert "block 9 was pruned" in text
    assert "operator&#39;s archive" in text


async def test_a_span_with_too_many_rows_is_the_askers_error_not_a_fault(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(*_: object) -> list[AnyRow]:
        raise UsageError("slot: more than 3 rows; ask for a shorter span")

    monkeypatch.setattr(world.series, "read", read)
    address = f"/api/v1/areas/a-1/slots?start_s={FIRST_S}&end_s={FIRST_S + 900}"
    response = await world.browser(Role.UTILITY).get(address)
    assert response.status_code == 400
    assert "shorter span" in (await response.get_json())["detail"]


def test_every_problem_has_words_for_people() -> None:
    assert set(TITLES) == set(HEADINGS)
    assert set(ADVICE) <= set(TITLES)


async def test_a_page_that_needs_an_away_node_says_so_with_503_and_the_frame_stands(world: World) -> None:
    world.node.away = True
    response = await world.browser(Role.UTILITY).get("/blocks/1")
    text = await response.get_data(as_text=True)
    assert response.status_code in (200, 503)
    assert "the ledger node: away since" in text
    assert "Sign out" in text


# ---------------------------------------------------------------------------------------------------- choices


@pytest.mark.parametrize(
    ("query", "cookie", "value"),
    [("lang", "gridledger_language", "zh_CN"), ("theme", "gridledger_theme", "dark")],
)
async def test_a_choice_is_remembered_and_leaves_the_address(world: World, query: str, cookie: str, value: str) -> None:
    browser = world.browser()
    response = await browser.get(f"/sign-in?next=/condition&{query}={value}")
    assert (response.status_code, response.headers["Location"]) == (303, "/sign-in?next=%2Fcondition")
    header = response.headers["Set-Cookie"]
    assert header.startswith(f"{cookie}={value};")
    assert "HttpOnly" in header
    browser.client.set_cookie("localhost", cookie, value)
    page = await browser.text("/sign-in")
    assert ("登录" in page) == (query == "lang")
    assert ('data-theme="dark"' in page) == (query == "theme")


@pytest.mark.parametrize("query", ["lang=xx", "theme=%22%3E%3Cscript%3E", "lang="])
async def test_a_choice_that_is_none_changes_nothing(world: World, query: str) -> None:
    response = await world.browser().get(f"/sign-in?{query}")
    assert (response.status_code, response.headers["Location"]) == (303, "/sign-in")
    assert "Set-Cookie" not in response.headers


# ---------------------------------------------------------------------------------------------------- names with markup


@pytest.mark.parametrize(
    "path",
    ["/%5Cevil.example/", "/%09/evil.example", "//evil.example/", "/%5C%5Cevil.example", "/%0D%0AX-Evil:1", "/%00"],
)
async def test_an_address_that_chooses_a_language_never_leads_to_another_site(world: World, path: str) -> None:
    response = await world.browser().get(f"{path}?lang=en")
    assert response.status_code == 303
    assert re.fullmatch(r"/(?![/\\])[!-~]*", response.headers["Location"])
    page = await (await world.browser().get(path)).get_data(as_text=True)
    for link in re.findall(r'href="([^"]*\?(?:lang|theme)=[^"]*)"', page):
        assert re.fullmatch(r"/(?![/\\])[!-~]*", link)


async def test_slashes_too_many_lead_nowhere_whatever_host_is_named(world: World) -> None:
    response = await world.browser().get("/static//mark.svg", headers={"Host": "evil.example"})
    assert (response.status_code, response.headers.get("Location")) == (404, None)


async def test_names_with_markup_are_text_wherever_a_page_shows_them(world: World) -> None:
    columns = (Column("name", "Name"), Column("digest", "Digest", "digest"), Column("quality", "Quality", "quality"))
    table = Table(
        "t",
        columns,
        [(MARKUP, MARKUP, MARKUP)],
        title=MARKUP,
        note=MARKUP,
        links=[f"/x?{MARKUP}"],
        totals=[MARKUP, None, None],
    )
    template = (
        '{% from "macros.html" import data_table, chart, badge, live with context %}{{ data_table(table, url) }}'
        '{{ chart("load", url, table.title, table.title, tz=table.title, run=table.title) }}{{ forms.badge("bad", table.title) }}'
        '<p {{ live(table.title, "slot") }}></p>{{ _("Area %(area)s", area=table.title) }}'
    )
    async with world.app.test_request_context("/"):
        page = await render_template_string(template, table=table, url=f"/api?{MARKUP}")
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") > 10


async def test_an_address_with_markup_is_text_on_the_error_page(world: World) -> None:
    page = await (await world.browser(Role.UTILITY).get(f"/households/{MARKUP.replace('/', '%2F')}")).get_data(
        as_text=True
    )
    assert "<script>alert" not in page
    assert "<img" not in page.replace('<img src="/static', "")


# ---------------------------------------------------------------------------------------------------- faults of our own


def add_view(world: World, view: Any) -> None:
    """One more page, as the application makes them."""
    blueprint = Blueprint("broken", __name__)
    blueprint.add_url_rule("/broken", view_func=public(view))
    world.app.register_blueprint(blueprint)
    name = f"broken.{view.__name__}"
    world.app.view_functions[name] = app_module._guarded(world.app.view_functions[name], world.site)


async def test_a_fault_is_logged_and_not_shown(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    async def fail() -> str:
        raise RuntimeError("details for operators")

    add_view(world, fail)
    response = await world.browser(Role.UTILITY).get("/broken")
    text = await response.get_data(as_text=True)
    assert response.status_code == 500
    assert "details" not in text
    assert "A fault of this server" in text
    assert "details for operators" in capfd.readouterr().err
    assert not world.site.stop.is_set()


async def test_a_broken_promise_takes_the_process_down(world: World) -> None:
    async def fail() -> str:
        raise InvariantError("debits equal credits")

    add_view(world, fail)
    assert (await world.browser(Role.UTILITY).get("/broken")).status_code == 500
    assert world.site.stop.is_set()
    with pytest.raises(InvariantError, match="debits equal credits"):
        world.site.check_whole()


# ---------------------------------------------------------------------------------------------------- navigation


def test_navigation_leads_to_pages_that_its_roles_may_open(world: World) -> None:
    from gridweb.access import rule_of

    rules = {
        rule.rule: world.app.view_functions[rule.endpoint]
        for rule in world.app.url_map.iter_rules()
        if "GET" in (rule.methods or ())
    }
    assert navigation()
    for entry in navigation():
        rule = rule_of(rules[entry.path])
        assert rule is not None
        assert set(entry.roles) <= rule.roles


async def test_everybody_starts_on_a_page_of_its_own(world: World) -> None:
    assert (await world.browser(Role.REGULATOR).get("/")).headers["Location"] == "/overview"
    assert (await world.browser(Role.HOUSEHOLD, "H001").get("/")).headers["Location"] == "/households/H001"
    assert (await world.browser().get("/")).headers["Location"] == "/sign-in"


def test_a_part_that_a_page_fetches_of_another_page_leaves_its_title_as_it_is() -> None:
    templates = sorted((Path(app_module.__file__).parent / "templates").rglob("*.html"))
    fetched = [
        one for path in templates for one in re.findall(r'<\w[^>]*hx-trigger="load"[^>]*>', path.read_text("utf-8"))
    ]
    assert len(fetched) >= 4
    assert [one for one in fetched if "ignoreTitle:true" not in one] == []


async def test_pages_over_imported_data_say_so(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.node.clock = "imported"
    page = await world.browser(Role.UTILITY).text("/condition")
    assert "IMPORTED" in page
    assert "SIMULATED" not in page
