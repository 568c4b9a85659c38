"""Signing in: passwords, sessions and their cookies, guesses slowed down, the demonstration's way in."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from werkzeug.datastructures import Headers

from gridcore.errors import UsageError
from gridcore.logs import configure_logs
from gridweb import users
from gridweb.access import Role, Viewer
from gridweb.cookies import Cookies
from gridweb.database import check_database, open_database
from gridweb.pages import account
from gridweb.pages.account import ADDRESS_CHARACTERS_MAX, local_path
from gridweb.sessions import AGE_S, IDLE_S, SEEN_STEP_S, SESSIONS_OF_USER_MAX, form_token
from gridweb.throttle import BUSY_S, CHECKS_MAX, DRAIN_S, ENTRIES_MAX, FREE, LOCK_S, LOCK_S_MAX, Throttle
from gridweb.users import PASSWORD_BYTES_MAX, _hasher, is_password
from tests.unit.web.web_world import Browser, World, cookie_of, make_world, open_form

PASSWORD = "a long enough password"


@cache
def hashed() -> str:
    """The hash of PASSWORD, made once: it takes its time on purpose."""
    return _hasher.hash(PASSWORD)


def add_anna(world: World) -> World:
    """Give a site one user, anna of the utility."""
    row = ("anna", "utility", None, hashed(), 0)
    world.site.users._database.execute("INSERT INTO user VALUES (?, ?, ?, ?, ?)", row)
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A site with one user."""
    return add_anna(make_world(tmp_path))


async def sign_in(browser: Browser, name: str, password: str, next_path: str = "/", **options: Any) -> Any:
    """Fill the form in and send it."""
    form = {"form_token": await open_form(browser), "name": name, "password": password, "next": next_path}
    return await browser.post("/sign-in", form, **options)


async def test_the_right_password_opens_the_page_that_was_asked_for(world: World) -> None:
    browser = world.browser()
    assert (await browser.get("/condition?x=1")).headers["Location"] == "/sign-in?next=/condition%3Fx%3D1"
    response = await sign_in(browser, "anna", PASSWORD, "/condition?x=1")
    assert (response.status_code, response.headers["Location"]) == (303, "/condition?x=1")
    assert (await browser.get("/condition")).status_code == 200
    assert (await browser.get("/sign-in?next=/condition")).headers["Location"] == "/condition"


@pytest.mark.parametrize("name", ["anna", "nobody"])
async def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(world: World, name: str) -> None:
    response = await sign_in(world.browser(), name, "not the password")
    text = await response.get_data(as_text=True)
    assert response.status_code == 401
    assert "Name or password is wrong." in text
    assert not [header for header in response.headers.getlist("Set-Cookie") if "session" in header]


async def test_signing_in_takes_no_token_that_was_there_before(world: World) -> None:
    browser, name = world.browser(), Cookies(is_secure=False).name("session")
    browser.client.set_cookie("localhost", name, "planted-by-somebody")
    response = await sign_in(browser, "anna", PASSWORD)
    token = cookie_of(response, name).value
    assert token != "planted-by-somebody"
    assert len(token) == 43
    assert world.site.sessions.find("planted-by-somebody") is None


async def test_signing_in_again_ends_the_session_of_before(world: World) -> None:
    browser = world.browser(Role.HOUSEHOLD, "H001")
    old = browser.token
    response = await browser.post(
        "/sign-in", {"form_token": form_token(str(old)), "name": "anna", "password": PASSWORD}
    )
    assert response.status_code == 303
    assert world.site.sessions.find(old) is None


async def test_signing_out_ends_the_session_on_the_server(world: World) -> None:
    browser = world.browser(Role.UTILITY)
    response = await browser.post("/sign-out")
    assert response.headers["Location"] == "/sign-in"
    assert world.site.sessions.find(browser.token) is None
    assert (await browser.get("/condition")).status_code == 303


@pytest.mark.parametrize("is_secure", [False, True])
async def test_cookies_are_for_this_server_alone(tmp_path: Path, is_secure: bool) -> None:
    world = add_anna(make_world(tmp_path, public_url="https://grid.example" if is_secure else None))
    prefix = "__Host-" if is_secure else ""
    page = await world.browser().get("/sign-in", scheme="https")
    form = re.search(r'name="form_token" value="(\w+)"', await page.get_data(as_text=True))
    visitor = cookie_of(page, f"{prefix}gridledger_visitor")
    browser = world.browser()
    browser.client.set_cookie("localhost", visitor.key, visitor.value, secure=is_secure)
    fields = {"form_token": form[1] if form else "", "name": "anna", "password": PASSWORD}
    response = await browser.post("/sign-in", fields, scheme="https")
    assert response.status_code == 303
    assert ("Strict-Transport-Security" in response.headers) == is_secure
    for cookie in (visitor, cookie_of(response, f"{prefix}gridledger_session")):
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert cookie["path"] == "/"
        assert bool(cookie["secure"]) == is_secure
        assert cookie["domain"] == ""


async def test_a_form_of_another_browser_does_not_sign_in(world: World) -> None:
    token = await open_form(world.browser())
    other = world.browser()
    await open_form(other)
    response = await other.post("/sign-in", {"form_token": token, "name": "anna", "password": PASSWORD})
    assert response.status_code == 403


@pytest.mark.parametrize(
    "text", ["https://evil.example/", "//evil.example", "/\\evil.example", "", "evil", "/sign-out", "/a\nb", "/ü"]
)
def test_after_signing_in_no_other_site_is_opened(text: str) -> None:
    assert local_path(text) == "/"


async def test_guesses_are_slowed_down_for_the_pair_of_name_and_address(world: World) -> None:
    guesser = world.browser()
    for _ in range(FREE["pair"]):
        assert (await sign_in(guesser, "anna", "a wrong guess")).status_code == 401
    response = await sign_in(guesser, "anna", PASSWORD)
    assert response.status_code == 429
    assert "Too many attempts" in await response.get_data(as_text=True)
    world.clock.advance_to(world.clock.now_s() + LOCK_S)
    assert (await sign_in(guesser, "anna", PASSWORD)).status_code == 303
    assert 'sign_ins_total{outcome="throttled"} 1' in await world.browser().text("/metrics")


async def test_the_log_says_where_a_refused_sign_in_came_from_and_not_what_was_typed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logs(json=True)
    world = add_anna(make_world(tmp_path, proxies=1))
    await sign_in(world.browser(), "a slip of the hand", "secret", headers={"X-Forwarded-For": "203.0.113.9"})
    logged = next(line for line in capfd.readouterr().err.splitlines() if "sign_in_refused" in line)
    assert json.loads(logged)["client_ip"] == "203.0.113.9"
    assert "slip of the hand" not in logged
    assert "secret" not in logged


async def test_the_owner_signs_in_from_elsewhere_while_somebody_guesses(tmp_path: Path) -> None:
    world = add_anna(make_world(tmp_path, proxies=1))
    guesser, owner = world.browser(), world.browser()
    for _ in range(FREE["pair"] + 1):
        await sign_in(guesser, "anna", "a wrong guess", headers={"X-Forwarded-For": "203.0.113.9"})
    theirs = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}  # what the browser itself claims stands to the left
    assert (await sign_in(owner, "anna", PASSWORD, headers=theirs)).status_code == 303


async def test_an_address_counts_though_the_proxy_adds_it_in_a_line_of_its_own(tmp_path: Path) -> None:
    world = add_anna(make_world(tmp_path, proxies=1))
    guesser, owner = world.browser(), world.browser()
    for number in range(FREE["pair"] + 1):
        forged = Headers([("X-Forwarded-For", f"198.51.100.{number}"), ("X-Forwarded-For", "203.0.113.9")])
        response = await sign_in(guesser, "anna", "a wrong guess", headers=forged)
    assert response.status_code == 429
    theirs = Headers([("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "198.51.100.7")])
    assert (await sign_in(owner, "anna", PASSWORD, headers=theirs)).status_code == 303


async def test_what_a_proxy_calls_an_address_is_cut_before_it_is_remembered(tmp_path: Path) -> None:
    world = add_anna(make_world(tmp_path, proxies=1))
    await sign_in(world.browser(), "anna", "a wrong guess", headers={"X-Forwarded-For": "x" * 4_000})
    assert {len(key.place) for key in world.site.throttle._entries} == {0, ADDRESS_CHARACTERS_MAX}


def test_locks_double_are_bounded_and_forgotten() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    waits = []
    for _ in range(FREE["pair"] + 6):
        throttle.note_failure("anna", "a")
        waits.append(throttle.wait_s("anna", "a"))
    assert waits[: FREE["pair"]] == [0] * (FREE["pair"] - 1) + [LOCK_S]
    assert waits[FREE["pair"] : FREE["pair"] + 2] == [2 * LOCK_S, 4 * LOCK_S]
    assert waits[-1] == LOCK_S_MAX
    assert throttle.wait_s("berta", "a") == 0
    now[0] += 2 * DRAIN_S
    throttle.note_failure("anna", "a")
    assert throttle.wait_s("anna", "a") == 0


def test_a_slip_now_and_then_never_adds_up_to_a_lock() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    for _ in range(1_000):
        now[0] += DRAIN_S / FREE["pair"]
        throttle.note_failure("anna", "a")
        assert throttle.wait_s("anna", "a") == 0


def test_guessing_on_at_the_end_of_each_lock_gets_a_few_guesses_an_hour() -> None:
    now, guesses = [0.0], 0
    throttle = Throttle(lambda: now[0])
    while now[0] < 24 * 3_600:
        now[0] += throttle.wait_s("anna", "a")
        throttle.note_failure("anna", "a")
        guesses += 1
    assert guesses <= FREE["pair"] * (24 + 2)


def test_a_right_password_is_looked_at_and_locks_nothing_beside_many_failures_from_its_address() -> None:
    throttle = Throttle(lambda: 0.0)
    for number in range(FREE["address"] - 1):
        throttle.note_failure(f"name-{number}", "a")
    for _ in range(10):
        assert throttle.wait_s("anna", "a") == 0
        with throttle.attempt("anna", "a"):
            pass
        throttle.note_success("anna", "a")
    assert throttle.wait_s("berta", "a") == 0


def test_a_browser_that_has_signed_in_is_not_locked_out_by_others_not_even_from_its_own_address() -> None:
    throttle = Throttle(lambda: 0.0)
    throttle.note_success("anna", "home", renewed="annas")
    for number in range(2 * FREE["name"]):
        throttle.note_failure("anna", f"address-{number}")
        throttle.note_failure(f"name-{number}", "home")
        throttle.note_failure("anna", "home", "forged")
    assert throttle.wait_s("anna", "elsewhere") > 0
    assert throttle.wait_s("anna", "home") > 0
    assert throttle.wait_s("berta", "home", "annas") > 0
    assert throttle.wait_s("anna", "home", "annas") == 0
    for _ in range(FREE["pair"]):
        throttle.note_failure("anna", "home", "annas")
    assert throttle.wait_s("anna", "home", "annas") == LOCK_S


def test_a_browser_is_known_by_its_newest_token_alone() -> None:
    throttle = Throttle(lambda: 0.0)
    throttle.note_success("anna", "a", renewed="first")
    throttle.note_success("anna", "a", "first", "second")
    for _ in range(FREE["pair"]):
        throttle.note_failure("anna", "a")
    assert [throttle.wait_s("anna", "a", token) for token in ("", "first", "second")] == [LOCK_S, LOCK_S, 0]


async def test_the_owner_signs_in_again_in_her_browser_while_somebody_guesses_from_the_same_address(
    world: World,
) -> None:
    owner, guesser = world.browser(), world.browser()
    assert (await sign_in(owner, "anna", PASSWORD)).status_code == 303
    for _ in range(FREE["pair"] + 1):
        response = await sign_in(guesser, "anna", "a wrong guess")
    assert response.status_code == 429
    owner.client.delete_cookie("localhost", "gridledger_session")
    assert (await sign_in(owner, "anna", PASSWORD)).status_code == 303


def test_attempts_side_by_side_are_no_more_than_could_be_free() -> None:
    throttle = Throttle(lambda: 0.0)
    for _ in range(FREE["pair"] - 1):
        throttle.note_failure("anna", "a")
    with throttle.attempt("anna", "a"):
        assert throttle.wait_s("anna", "a") == BUSY_S
        assert throttle.wait_s("berta", "a") == 0
    assert throttle.wait_s("anna", "a") == 0
    with ExitStack() as under_way:
        for number in range(CHECKS_MAX):
            under_way.enter_context(throttle.attempt(f"name-{number}", f"address-{number}"))
        assert throttle.wait_s("anna", "elsewhere") == BUSY_S


def test_many_names_from_one_address_and_many_addresses_at_one_name_are_slowed_down_too() -> None:
    throttle = Throttle(lambda: 0.0)
    for number in range(FREE["address"]):
        throttle.note_failure(f"name-{number}", "a")
    assert throttle.wait_s("another", "a") > 0
    for number in range(FREE["name"]):
        throttle.note_failure("anna", f"address-{number}")
    assert throttle.wait_s("anna", "elsewhere") > 0


def test_a_network_of_ipv6_counts_as_one_address_and_ipv4_behind_it_does_not() -> None:
    throttle = Throttle(lambda: 0.0)
    for number in range(FREE["pair"]):
        throttle.note_failure("anna", f"2001:db8:0:1::{number:x}")
    assert throttle.wait_s("anna", "2001:0db8:0000:0001:ffff::7") > 0
    assert throttle.wait_s("anna", "2001:db8:0:2::1") == 0
    for number in range(FREE["pair"]):
        throttle.note_failure("berta", f"::ffff:192.0.2.{number}")
    assert throttle.wait_s("berta", "192.0.2.1") == 0
    throttle.note_success("anna", "2001:db8:0:1::abcd")
    assert throttle.wait_s("anna", "2001:db8:0:1::1") == 0


def test_signing_in_does_not_count_as_a_failure() -> None:
    throttle = Throttle(lambda: 0.0)
    for _ in range(10 * FREE["name"]):
        with throttle.attempt("anna", "a"):
            assert throttle.wait_s("anna", "a") == 0
        throttle.note_success("anna", "a")
    assert throttle.wait_s("anna", "a") == 0


def test_guesses_do_not_fill_the_memory() -> None:
    throttle = Throttle(lambda: 0.0)
    for number in range(ENTRIES_MAX):
        throttle.note_failure(f"name-{number}", f"address-{number}")
    assert len(throttle._entries) == ENTRIES_MAX


def test_a_session_ends_when_it_is_not_used_and_in_any_case_after_its_age(world: World) -> None:
    sessions, clock = world.site.sessions, world.clock
    idle = sessions.begin(Viewer("idle", Role.UTILITY))
    busy = sessions.begin(Viewer("busy", Role.UTILITY))
    end_s = clock.now_s() + AGE_S
    while clock.now_s() + IDLE_S // 2 < end_s:
        clock.advance_to(clock.now_s() + IDLE_S // 2)
        assert sessions.find(busy) is not None
    assert sessions.find(idle) is None
    clock.advance_to(end_s + SEEN_STEP_S)
    assert sessions.find(busy) is None


def test_a_user_has_so_many_sessions_and_the_oldest_makes_room(world: World) -> None:
    viewer = Viewer("anna", Role.UTILITY)
    tokens = []
    for _ in range(SESSIONS_OF_USER_MAX + 1):
        world.clock.advance_to(world.clock.now_s() + 1)
        tokens.append(world.site.sessions.begin(viewer))
    assert world.site.sessions.find(tokens[0]) is None
    assert all(world.site.sessions.find(token) == viewer for token in tokens[1:])


def test_a_changed_user_is_signed_out(world: World) -> None:
    token = world.site.sessions.begin(Viewer("anna", Role.UTILITY))
    assert world.site.users.save("anna", Role.HOUSEHOLD, "H001", PASSWORD) is False
    assert world.site.sessions.find(token) is None
    assert world.site.users.viewer("anna") == Viewer("anna", Role.HOUSEHOLD, "H001")


async def test_a_password_that_is_changed_while_the_old_one_is_checked_lets_nobody_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(password_hash: str, password: str) -> bool:
        world.site.users.save("anna", Role.UTILITY, None, "another long password")
        return users.is_password(password_hash, password)

    monkeypatch.setattr(account, "is_password", check)
    assert (await sign_in(world.browser(), "anna", PASSWORD)).status_code == 401


def test_a_user_is_changed_and_signed_out_or_neither(world: World, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "users.db", isolation_level=None)) as other:
        other.execute("CREATE TRIGGER stop BEFORE DELETE ON session BEGIN SELECT RAISE(ABORT, 'no'); END")
        token = world.site.sessions.begin(Viewer("anna", Role.UTILITY))
        for change in (
            lambda: world.site.users.save("anna", Role.HOUSEHOLD, "H001", PASSWORD),
            lambda: world.site.users.remove("anna"),
        ):
            with pytest.raises(sqlite3.IntegrityError):
                change()
        other.execute("DROP TRIGGER stop")
    assert world.site.users.viewer("anna") == world.site.sessions.find(token) == Viewer("anna", Role.UTILITY)


def test_a_check_makes_no_file_that_the_service_could_not_open(tmp_path: Path) -> None:
    check_database(tmp_path / "users.db")
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="folder"):
        check_database(tmp_path / "nowhere" / "users.db")
    (tmp_path / "users.db").write_text("no database of ours, though long enough to look like one" * 20)
    (tmp_path / "users.db").chmod(0o600)
    with pytest.raises(UsageError, match="cannot be used"):
        check_database(tmp_path / "users.db")


def test_users_that_others_may_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    open_database(path).close()
    path.chmod(0o644)  # as a backup that was copied back
    with pytest.raises(UsageError, match="chmod 600"):
        open_database(path)


async def test_a_full_disk_signs_nobody_out_and_says_so_to_who_signs_in(world: World) -> None:
    browser, stranger = world.browser(Role.UTILITY), world.browser()
    form = {"form_token": await open_form(stranger), "name": "anna", "password": PASSWORD}
    world.site.users._database.execute("PRAGMA query_only = ON")
    world.clock.advance_to(world.clock.now_s() + 2 * SEEN_STEP_S)
    assert (await browser.get("/condition")).status_code == 200
    refused = await stranger.post("/sign-in", form)
    assert refused.status_code == 503
    assert "takes no writes" in await refused.get_data(as_text=True)
    assert (await browser.post("/sign-out")).status_code == 503


@pytest.mark.parametrize("token", ["", None, "x", "x" * 10_000, "\udcff"])
def test_a_cookie_that_is_no_token_is_nobody(world: World, token: str | None) -> None:
    assert world.site.sessions.find(token) is None


def test_the_database_holds_neither_passwords_nor_tokens(world: World, tmp_path: Path) -> None:
    token = world.site.sessions.begin(Viewer("anna", Role.UTILITY))
    data = b"".join(path.read_bytes() for path in tmp_path.glob("users.db*"))
    assert b"$argon2id$v=19$m=65536,t=3,p=4$" in data
    assert PASSWORD.encode() not in data
    assert token.encode() not in data


def test_passwords_that_are_too_long_are_refused_not_hashed(world: World) -> None:
    with pytest.raises(UsageError, match="at most"):
        world.site.users.save("long", Role.UTILITY, None, "x" * (PASSWORD_BYTES_MAX + 1))
    assert not is_password(world.site.users.password_hash("anna"), "x" * (PASSWORD_BYTES_MAX + 1))
    assert not is_password("damaged", PASSWORD)


async def test_an_administrator_sees_users_and_their_sessions_and_no_hash(world: World) -> None:
    for _ in range(2):
        world.site.sessions.begin(Viewer("anna", Role.UTILITY))
    page = await world.browser(Role.ADMINISTRATOR).text("/users")
    assert "anna" in page
    assert "argon2" not in page
    rows = (await (await world.browser(Role.ADMINISTRATOR).get("/api/v1/users")).get_json())["rows"]
    assert rows == [["anna", "utility", None, 0, 2]]


async def test_a_site_without_users_says_how_to_make_one(tmp_path: Path) -> None:
    assert "--add-user NAME --role administrator" in await make_world(tmp_path).browser().text("/sign-in")
