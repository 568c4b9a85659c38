"""The pages as a process of its own over a real node: users, sign-in, live events, going down, and mistakes as one line."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from gridcore.serving import asgi
from gridcore.sm.keystore import ITERATIONS_MIN, encode_private_key
from gridledger.cli import main
from ledger.trust import trust_of
from tests.processes import ready_line
from tests.waiting import until
from tests.worlds.consortium import FIRST_S
from tests.worlds.keys import key
from tests.worlds.nodes import RunningNode, running_node, submit_all
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

PASSWORD = "a long enough password"
START_TIMEOUT_S = 120.0
STOP_WITHIN_S = 2.0
STREAMS = 100
FORM_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')


def write_config(folder: Path, node_url: str, web: str = "") -> Path:
    """``web.toml`` of pages that ask as the regulator, with everything it refers to."""
    (folder / "trust.json").write_text(json.dumps(trust_of(TWO_AREAS.genesis)))
    (folder / "reg.pem").write_bytes(encode_private_key(key("reg"), b"secret", iterations=ITERATIONS_MIN))
    (folder / "reg.password").write_text("secret\n")
    (folder / "reg.password").chmod(0o600)
    path = folder / "web.toml"
    path.write_text(
        f'node = "{node_url}"\n[key]\nsigner = "reg"\nuri = "file:reg.pem"\npassword = "file:reg.password"\n'
        f'[series]\npath = "series.db"\n[web]\ntrust = "trust.json"\nusers = "users.db"\n{web}\n[web.listen]\nport = 0\n'
    )
    return path


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command line in this process; ``stdin``: what it reads."""

    def run(*words: str | Path, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        status = main([*map(str, words), "--log-level", "warning"])
        return status, *capsys.readouterr()

    return run


class ServeProcess:
    """``gridledger serve`` over a configuration."""

    def __init__(self, config: Path) -> None:
        words = [sys.executable, "-m", "gridledger", "serve", "--config", str(config), "--json"]
        environment = {**os.environ, "GRIDLEDGER_LOG_LEVEL": "warning"}
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        self.url: str = ready_line(self.process, START_TIMEOUT_S)["url"]

    def stop(self) -> tuple[int, str, float]:
        """SIGTERM; exit status, what it logged, and the seconds it took."""
        started_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=START_TIMEOUT_S)
        return self.process.returncode, errors.decode(), time.monotonic() - started_s

    def kill(self) -> None:
        """For tests that failed half-way."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@asynccontextmanager
async def serving(folder: Path, web: str = "") -> AsyncIterator[tuple[RunningNode, ServeProcess]]:
    """A node in this process and pages over it in another."""
    async with running_node(folder / "ledger") as node:
        config = write_config(folder, node.url, web)
        process = await asyncio.to_thread(ServeProcess, config)
        try:
            yield node, process
        finally:
            process.kill()


async def sign_in(http: httpx.AsyncClient, name: str, password: str) -> httpx.Response:
    """Send the sign-in form as a browser does."""
    token = FORM_TOKEN.search((await http.get("/sign-in?next=/condition")).text)
    assert token is not None
    form = {"form_token": token[1], "name": name, "password": password, "next": "/condition"}
    return await http.post("/sign-in", data=form)


async def test_a_user_made_on_the_command_line_signs_in_and_sees_what_the_projection_has_made_of_the_ledger(
    tmp_path: Path, command: Any
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        config = write_config(tmp_path, node.url)
        added = command("serve", "--config", config, "--add-user", "anna", "--role", "utility", stdin=f"{PASSWORD}\n")
        assert added[:2] == (0, "anna: added, role utility\n")
        process = await asyncio.to_thread(ServeProcess, config)
        try:
            async with httpx.AsyncClient(base_url=process.url) as http:
                assert (await http.get("/condition")).status_code == 303
                assert (await sign_in(http, "anna", "not her password")).status_code == 401
                assert (await sign_in(http, "anna", PASSWORD)).headers["location"] == "/condition"
                await submit_all(node.client(), one_settled_slot(node.sender()))
                await wait_for_height(http, node.ledger.height)
                text = (await http.get("/metrics")).text
                assert f"gridledger_web_projected_height {node.ledger.height}" in text
                assert 'gridledger_web_sign_ins_total{outcome="accepted"} 1' in text
                assert (await http.get("/readyz")).json()["status"] == "ready"
        finally:
            process.kill()


def keep_users(config: Path, *words: str, stdin: str = "") -> str:
    """``gridledger serve`` with ``--add-user`` and its like, as a process of its own; what it says."""
    call = [sys.executable, "-m", "gridledger", "serve", "--config", str(config), *words]
    return subprocess.run(call, input=stdin, capture_output=True, text=True, check=True).stdout


def back_up(folder: Path) -> Path:
    """The copy that docs/web.md tells an operator to make while the service runs."""
    program = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('VACUUM INTO ?', sys.argv[2:])"
    copy = folder / "copy.db"
    subprocess.run([sys.executable, "-c", program, folder / "users.db", copy], check=True)
    return copy


async def test_a_user_removed_beside_running_pages_is_out_at_once_and_for_good(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        config = write_config(tmp_path, node.url)
        process = await asyncio.to_thread(ServeProcess, config)  # has no user yet, and says so
        try:
            async with (
                httpx.AsyncClient(base_url=process.url) as http,
                httpx.AsyncClient(base_url=process.url) as other,
            ):
                for name in ("anna", "berta"):
                    await asyncio.to_thread(
                        keep_users, config, "--add-user", name, "--role", "utility", stdin=f"{PASSWORD}\n"
                    )
                assert await asyncio.to_thread(keep_users, config, "--list-users") == "anna utility\nberta utility\n"
                assert (await sign_in(http, "anna", PASSWORD)).status_code == 303
                copy = await asyncio.to_thread(back_up, tmp_path)
                assert (await sign_in(other, "berta", PASSWORD)).status_code == 303  # the log is still the one in use
                await asyncio.to_thread(keep_users, config, "--remove-user", "anna")
                assert (await http.get("/condition")).status_code == 303
                assert (await sign_in(http, "anna", PASSWORD)).status_code == 401
                assert (await other.get("/condition")).status_code == 200
            process.stop()
            assert await asyncio.to_thread(keep_users, config, "--list-users") == "berta utility\n"
            for path, names in ((tmp_path / "users.db", ["berta"]), (copy, ["anna", "berta"])):
                with closing(sqlite3.connect(path)) as database:
                    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                    assert [name for (name,) in database.execute("SELECT name FROM user ORDER BY name")] == names
        finally:
            process.kill()


async def wait_for_height(http: httpx.AsyncClient, height: int) -> None:
    """Until the time series hold everything up to a height."""

    async def is_projected() -> bool:
        return f"gridledger_web_projected_height {height}\n" in (await http.get("/metrics")).text

    await until(is_projected)


async def test_open_pages_are_told_of_a_settled_slot_and_100_streams_end_with_the_process(
    tmp_path: Path, command: Any
) -> None:
    async with serving(tmp_path, "demo = true") as (node, process):
        limits = httpx.Limits(max_connections=STREAMS + 8)
        async with httpx.AsyncClient(base_url=process.url, limits=limits, timeout=START_TIMEOUT_S) as http:
            page = (await http.get("/sign-in")).text
            token = FORM_TOKEN.search(page)
            assert token is not None
            await http.post("/sign-in/demo", data={"form_token": token[1], "role": "utility"})
            opened, heard = asyncio.Semaphore(0), asyncio.Semaphore(0)
            async with asyncio.timeout(START_TIMEOUT_S), asyncio.TaskGroup() as group:
                listeners = [group.create_task(listen(http, opened, heard)) for _ in range(STREAMS)]
                for _ in range(STREAMS):
                    await opened.acquire()
                await submit_all(node.client(), one_settled_slot(node.sender()))
                for _ in range(STREAMS):
                    await heard.acquire()
                status, errors, took_s = await asyncio.to_thread(process.stop)
            # No word that connections were cut: every stream ended before the grace was over (asgi.GRACE_S + CUT_S < 2 s).
            print(f"ended {took_s:.2f} s after SIGTERM with {STREAMS} open streams")
            assert (status, errors) == (0, "")
            assert asgi.GRACE_S + asgi.CUT_S < STOP_WITHIN_S
            assert all(listener.result() for listener in listeners)


async def listen(http: httpx.AsyncClient, opened: asyncio.Semaphore, heard: asyncio.Semaphore) -> bool:
    """Read one event stream to its end; whether it ended in order, after the settled slot was told."""
    is_told = False
    async with http.stream("GET", "/events") as response:
        assert response.headers["content-type"] == "text/event-stream"
        async for line in response.aiter_lines():
            if line.startswith("retry:"):
                opened.release()
            if line.startswith("data:") and f'"slot_start_s":{FIRST_S}' in line and not is_told:
                is_told = True
                heard.release()
    return is_told


async def test_a_node_that_goes_away_is_said_on_the_page_and_the_pages_go_on(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        config = write_config(tmp_path, node.url, "demo = true")
        process = await asyncio.to_thread(ServeProcess, config)
        try:
            async with httpx.AsyncClient(base_url=process.url, timeout=START_TIMEOUT_S) as http:
                token = FORM_TOKEN.search((await http.get("/sign-in")).text)
                assert token is not None
                await http.post("/sign-in/demo", data={"form_token": token[1], "role": "utility"})
                node.stop.set()
                await wait_for_page(http, "/condition?lang=en", "the ledger node: away since")
                assert (await http.get("/readyz")).status_code == 503
                assert (await http.get("/healthz")).status_code == 200
        finally:
            process.kill()


async def wait_for_page(http: httpx.AsyncClient, path: str, words: str) -> None:
    """Until a page says these words."""

    async def is_said() -> bool:
        page = await http.get(path, follow_redirects=True)
        assert page.status_code == 200
        return words in page.text

    await until(is_said)


@pytest.mark.parametrize(
    ("web", "line"),
    [
        ("demo = true\n[web.listen]\nhost = '0.0.0.0'", "web.demo = true lets everybody in"),
        ("demon = true", "web.demon is an unknown key; did you mean 'demo'?"),
        ("public_url = 'ftp://x'", "web.public_url"),
    ],
)
def test_mistakes_in_the_file_are_one_line(tmp_path: Path, command: Any, web: str, line: str) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:1", web)
    text = config.read_text()
    if "[web.listen]\nhost" in text:
        config.write_text(text.replace("\n[web.listen]\nport = 0\n", "\nport = 0\n"))
    status, _, errors = command("config", "check", "web", config)
    assert status == 2
    assert line in errors
    assert errors.count("\n") == 1


def test_config_check_accepts_what_serve_needs_and_show_fills_in_the_rest(tmp_path: Path, command: Any) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:1")
    assert command("config", "check", "web", config)[0] == 0
    status, text, _ = command("config", "show", "web", config)
    assert status == 0
    assert 'kind = "embedded"' in text
    assert "secret" not in text.replace("file:", "").replace("reg.password", "")
    (tmp_path / "trust.json").write_text("{}")
    status, _, errors = command("config", "check", "web", config)
    assert (status, "web.trust" in errors) == (2, True)


@pytest.mark.parametrize(
    ("words", "stdin", "line"),
    [
        (("--add-user", "anna"), "", "--add-user needs --role"),
        (("--add-user", "anna", "--role", "household"), f"{PASSWORD}\n", "needs --party P"),
        (("--add-user", "anna", "--role", "utility", "--party", "p-1"), f"{PASSWORD}\n", "has no --party"),
        (("--add-user", "<b>", "--role", "utility"), f"{PASSWORD}\n", "1 to 64 letters"),
        (("--add-user", "anna", "--role", "utility"), "short\n", "at least 12 characters"),
        (("--remove-user", "nobody"), "", "there is none of this name"),
        (("--role", "utility"), "", "go with --add-user"),
    ],
)
def test_mistakes_about_users_are_one_line(
    tmp_path: Path, command: Any, words: tuple[str, ...], stdin: str, line: str
) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:1")
    status, _, errors = command("serve", "--config", config, *words, stdin=stdin)
    assert status == 2
    assert line in errors
    assert errors.count("\n") == 1


def test_a_user_who_is_refused_leaves_no_file_of_users(tmp_path: Path, command: Any) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:1")
    before = set(tmp_path.iterdir())
    assert command("serve", "--config", config, "--add-user", "<b>", "--role", "utility", stdin=f"{PASSWORD}\n")[0] == 2
    assert set(tmp_path.iterdir()) == before


def test_users_are_changed_listed_and_removed(tmp_path: Path, command: Any) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:1")
    words = ("serve", "--config", config)
    command(*words, "--add-user", "anna", "--role", "utility", stdin=f"{PASSWORD}\n")
    command(*words, "--add-user", "home", "--role", "household", "--party", "p-1", stdin=f"{PASSWORD}\n")
    changed = command(*words, "--add-user", "anna", "--role", "regulator", stdin=f"{PASSWORD}!\n")
    assert changed[1] == "anna: changed, and signed out, role regulator\n"
    assert command(*words, "--list-users")[1] == "anna regulator\nhome household p-1\n"
    assert command(*words, "--remove-user", "anna")[0] == 0
    assert command(*words, "--list-users")[1] == "home household p-1\n"
    assert ((tmp_path / "users.db").stat().st_mode & 0o777) == 0o600
