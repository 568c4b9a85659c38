"""A demonstration: everybody is let in by role, on this machine and a simulated chain alone, beside others of its kind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gridweb.access import Role, Viewer
from tests.unit.web.web_world import cookie_of, make_world, open_form


@pytest.mark.parametrize(("role", "party"), [(role, "H001" if role is Role.HOUSEHOLD else None) for role in Role])
async def test_the_demonstration_lets_everybody_in_by_role(tmp_path: Path, role: Role, party: str | None) -> None:
    world = make_world(tmp_path, demo=True)
    installation = {"party": "H001", "trades": True}
    world.node.answers["areas/a-1/installations"] = {"installations": [installation], "next": None}
    browser = world.browser()
    page = await browser.text("/sign-in")
    assert "DEMO" in page
    assert "<option>H001</option>" in page
    form = {"form_token": await open_form(browser), "role": role.value} | ({"party": party} if party else {})
    response: Any = await browser.post("/sign-in/demo", form)
    viewer = world.site.sessions.find(cookie_of(response, "gridledger_session").value)
    assert viewer is not None
    assert (viewer.role, viewer.party) == (role, party)


async def test_the_demonstration_s_way_in_is_closed_elsewhere_and_on_a_real_chain(tmp_path: Path) -> None:
    browser = make_world(tmp_path).browser()
    form = {"form_token": await open_form(browser), "role": "utility"}
    assert (await browser.post("/sign-in/demo", form)).status_code == 404
    (tmp_path / "other").mkdir()
    real = make_world(tmp_path / "other", demo=True)
    real.node.clock = "block"
    browser = real.browser()
    form = {"form_token": await open_form(browser), "role": "utility"}
    assert (await browser.post("/sign-in/demo", form)).status_code == 403


async def test_a_session_of_the_demonstration_counts_nowhere_else(tmp_path: Path) -> None:
    demo = make_world(tmp_path, demo=True)
    token = demo.site.sessions.begin(Viewer("demo-utility", Role.UTILITY))
    real = make_world(tmp_path)
    assert demo.site.sessions.find(token) is not None
    assert real.site.sessions.find(token) is None


@pytest.mark.parametrize(
    "form", [{"role": "emperor"}, {"role": "household"}, {"role": "household", "party": "a b"}, {}]
)
async def test_the_demonstration_refuses_who_does_not_exist(tmp_path: Path, form: dict[str, str]) -> None:
    world = make_world(tmp_path, demo=True)
    browser = world.browser()
    token = {"form_token": await open_form(browser)}
    assert (await browser.post("/sign-in/demo", token | form)).status_code == 400


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7080", "127.0.0.1.evil.example", "192.168.0.7:7080", "a b", "", "[::2]:7080"]
)
async def test_a_demonstration_is_not_opened_under_another_name(tmp_path: Path, host: str) -> None:
    world = make_world(tmp_path, demo=True)
    for path in ("/sign-in", "/overview", "/api/v1/openapi.json", "/nothing"):
        response = await world.browser(Role.UTILITY).get(path, headers={"Host": host})
        assert response.status_code == 403, path
    form = {"form_token": await open_form(world.browser()), "role": "utility"}
    assert (await world.browser().post("/sign-in/demo", form, headers={"Host": host})).status_code == 403


@pytest.mark.parametrize("host", ["localhost:7080", "127.0.0.1:7080", "[::1]:7080", "LOCALHOST", "127.8.8.8"])
async def test_a_demonstration_is_opened_under_the_names_of_its_machine(tmp_path: Path, host: str) -> None:
    response = await make_world(tmp_path, demo=True).browser().get("/sign-in", headers={"Host": host})
    assert response.status_code == 200


async def test_other_sites_are_opened_under_whatever_name_their_proxy_gives_them(tmp_path: Path) -> None:
    response = await make_world(tmp_path).browser().get("/sign-in", headers={"Host": "grid.example"})
    assert response.status_code == 200


async def test_two_demonstrations_of_a_machine_do_not_sign_each_other_out(tmp_path: Path) -> None:
    tokens = {}
    for port in (7001, 7002):
        (tmp_path / str(port)).mkdir()
        world = make_world(tmp_path / str(port), demo=True)
        at_port = {"Host": f"127.0.0.1:{port}"}
        browser = world.browser()
        page = await browser.get("/sign-in", headers=at_port)
        form = re.search(r'name="form_token" value="(\w+)"', await page.get_data(as_text=True))
        browser.client.set_cookie(
            "localhost", f"gridledger_visitor_{port}", cookie_of(page, f"gridledger_visitor_{port}").value
        )
        fields = {"form_token": form[1] if form else "", "role": "utility"}
        response = await browser.post("/sign-in/demo", fields, headers=at_port)
        tokens[f"gridledger_session_{port}"] = cookie_of(response, f"gridledger_session_{port}").value
    both = {"Cookie": "; ".join(f"{name}={value}" for name, value in tokens.items()), "Host": "127.0.0.1:7002"}
    assert (await world.browser().get("/condition", headers=both)).status_code == 200
