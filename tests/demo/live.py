"""A demonstration that serves its pages, and a visitor who looks at them as a browser would, without a browser."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.demo.demo_run import AT_HOME, demo_command, end_by_force, parent_of, processes_of, read_pid

PATIENCE_S = 120.0
POLL_S = 0.05
CHILDREN = ("node", "web", "edge-1")

T = TypeVar("T")


class LiveDemo:
    """A running demonstration of ``slots`` slots (None: a day) with pages; what it prints goes into files."""

    def __init__(self, out: Path, *words: str, households: int, slots: int | None) -> None:
        self.out = out
        self._visitors: list[Visitor] = []
        self._stdout, self._stderr = out.with_suffix(".stdout"), out.with_suffix(".stderr")
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                demo_command(out, *words, households=households, slots=slots, headless=False),
                cwd=out.parent,
                env={**os.environ, **AT_HOME},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )

    @property
    def stdout(self) -> str:
        """What it has printed."""
        return self._stdout.read_text("utf-8")

    @property
    def stderr(self) -> str:
        """What it has said beside that."""
        return self._stderr.read_text("utf-8")

    def wait_for(self, find: Callable[[], T | None], what: str, patience_s: float = PATIENCE_S) -> T:
        """What ``find`` finds, as soon as it is there; fails when the demonstration ends without it."""
        give_up = time.monotonic() + patience_s
        while time.monotonic() < give_up:
            is_over = self.process.poll() is not None
            found = find()
            if found is not None:
                return found
            assert not is_over, f"ended with {self.process.returncode} without {what}:\n{self.stdout}\n{self.stderr}"
            time.sleep(POLL_S)
        raise AssertionError(f"no {what} after {patience_s:.0f} s:\n{self.stdout}\n{self.stderr}")

    def url(self, stream: Callable[[], str] | None = None) -> str:
        """The URL that it prints."""
        read = stream or (lambda: self.stdout)
        found = self.wait_for(lambda: re.search(r"http://127\.0\.0\.1:\d+(?=\s)", read()), "URL")
        return found[0]

    def visitor(self, role: str = "", party: str = "") -> Visitor:
        """Somebody at its pages, signed in where a role is given."""
        visitor = Visitor(self.url())
        self._visitors.append(visitor)
        if role:
            assert visitor.sign_in(role, party).status_code == 200
        return visitor

    def let_visitors_go(self) -> None:
        """Close what they have open."""
        for visitor in self._visitors:
            visitor.close()

    def pid(self, name: str) -> int:
        """The process id of one of its processes; it is a child of the demonstration."""
        pid = self.wait_for(lambda: read_pid(self.out, name), f"{name}.pid")
        assert parent_of(pid) == self.process.pid
        return pid

    def wait_for_pages(self) -> None:
        """Wait until its pages accept connections."""
        self.wait_for(lambda: True if answers(self.url()) else None, "answer of the pages")

    def wait_until_over(self, patience_s: float = PATIENCE_S) -> None:
        """Wait for the last line of its summary."""
        self.wait_for(
            lambda: True if "Ctrl-C ends it" in self.stdout.partition("files in")[2] else None, "summary", patience_s
        )

    def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def logs(self) -> dict[str, str]:
        """What each of its processes has logged."""
        return {path.name: path.read_text("utf-8") for path in sorted((self.out / "run").glob("*.log"))}

    def check_nothing_is_left(self) -> None:
        """All of its processes are gone, without a traceback anywhere."""
        assert processes_of(self.out) == []
        assert "Traceback" not in self.stderr
        for name, text in self.logs().items():
            assert "Traceback" not in text, f"{name}\n{text[-3000:]}"


@contextlib.contextmanager
def live_demo(out: Path, *words: str, households: int, slots: int | None) -> Iterator[LiveDemo]:
    """Run a demonstration with pages; whatever happens nothing of it is left at the end."""
    demo = LiveDemo(out, *words, households=households, slots=slots)
    try:
        yield demo
    finally:
        demo.let_visitors_go()
        end_by_force(out, demo.process)


@contextlib.contextmanager
def demo_that_goes_on(out: Path) -> Iterator[LiveDemo]:
    """A demonstration of 12 homes and 8 days, two seconds a slot: it still runs when a test has looked at all it wants to."""
    with live_demo(out, "--speed", "450", households=12, slots=8 * 96) as demo:
        yield demo


def answers(url: str) -> bool:
    """Whether somebody accepts connections there."""
    host, _, port = url.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5.0).close()
    except OSError:
        return False
    return True


class Visitor:
    """Somebody who signs in by role and reads pages."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30.0, headers={"Accept-Language": "en"})

    def sign_in(self, role: str, party: str = "") -> httpx.Response:
        """Choose a role on the sign-in page; where that leads to."""
        form = self._client.get("/sign-in")
        token = re.search(r'name="form_token" value="([^"]+)"', form.text)
        assert token is not None, form.text
        fields = {"form_token": token[1], "role": role, "next": "/", **({"party": party} if party else {})}
        return self._client.post("/sign-in/demo", data=fields, follow_redirects=True)

    def get(self, path: str) -> httpx.Response:
        """A page, or an answer of the API."""
        return self._client.get(path, follow_redirects=True)

    def text(self, path: str) -> str:
        """What a page says, without markup; the page must be there."""
        answer = self.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}\n{answer.text[:2000]}"
        return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())

    def rows(self, path: str) -> list[dict[str, Any]]:
        """The rows of a table of the API, by key."""
        answer = self.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}\n{answer.text[:2000]}"
        table = answer.json()
        keys = [column["key"] for column in table["columns"]]
        return [dict(zip(keys, row, strict=True)) for row in table["rows"]]

    def close(self) -> None:
        """Let go."""
        self._client.close()
