"""Programs from outside, as tests find and start them. A missing one skips the test with the command that installs it;
under CI (``CI=true``) that is a failure, see ``conftest.py``.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

START_S_MAX = 60


def find_program(name: str) -> str | None:
    """A program's path: on PATH, or where the project's own ``make`` targets put it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gridledger" / "bin"
    return shutil.which(name) or shutil.which(name, path=str(cache))


def needs(name: str, command: str) -> list[pytest.MarkDecorator]:
    """Marks of a test that needs a program; ``command`` installs it."""
    is_missing = find_program(name) is None
    return [pytest.mark.external, pytest.mark.skipif(is_missing, reason=f"{name} is missing: {command}")]


NEEDS_INFLUXD = needs("influxd", "make influxd")


def free_port() -> int:
    """A port of the loopback address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Influxd:
    """A real influxd in a folder of its own, with one organisation and a token that may do everything."""

    folder: Path
    port: int = field(default_factory=free_port)
    org: str = "test"
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, or start again, and wait until it answers."""
        program = find_program("influxd")
        assert program, "make influxd"
        paths = {"bolt-path": "influxd.bolt", "sqlite-path": "influxd.sqlite", "engine-path": "engine"}
        command = [program, *(f"--{key}={self.folder / name}" for key, name in paths.items())]
        command += [f"--http-bind-address=127.0.0.1:{self.port}", "--reporting-disabled", "--log-level=error"]
        with (self.folder / "influxd.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S_MAX
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                    return
            except OSError:
                log_tail = (self.folder / "influxd.log").read_text(errors="replace")[-2000:]
                assert self._process.poll() is None, f"influxd ended: {log_tail}"
                assert time.monotonic() < deadline, f"influxd does not answer: {log_tail}"
                time.sleep(0.05)

    def set_up(self) -> None:
        """Make organisation and token, once for a folder."""
        body = {"username": "test", "password": "test-test", "org": self.org, "bucket": "first", "token": self.token}
        self._post("/api/v2/setup", body)

    def kill(self) -> None:
        """SIGKILL, at once."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM; wait for the end."""
        self._end(signal.SIGTERM)

    def make_bucket(self, *, expire_s: int = 0) -> str:
        """A new bucket's name. ``expire_s``: retention period, 0 for ever."""
        name = f"bucket-{secrets.token_hex(4)}"
        rules = [{"type": "expire", "everySeconds": expire_s}] if expire_s else []
        org_id = self._get(f"/api/v2/orgs?org={self.org}")["orgs"][0]["id"]
        self._post("/api/v2/buckets", {"name": name, "orgID": org_id, "retentionRules": rules})
        return name

    def make_token(self, bucket: str, *actions: str) -> str:
        """A token that may do ``actions`` ("read", "write") to one bucket, and nothing else."""
        found = self._get(f"/api/v2/buckets?name={bucket}")["buckets"][0]
        resource = {"type": "buckets", "id": found["id"], "orgID": found["orgID"]}
        permissions = [{"action": action, "resource": resource} for action in actions]
        made = self._post("/api/v2/authorizations", {"orgID": found["orgID"], "permissions": permissions})
        return str(made["token"])

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def _post(self, path: str, body: Mapping[str, object]) -> dict[str, object]:
        return self._send(urllib.request.Request(self.url + path, json.dumps(body).encode()))

    def _get(self, path: str):  # type: ignore[no-untyped-def] # JSON of any shape
        return self._send(urllib.request.Request(self.url + path))

    def _send(self, request: urllib.request.Request) -> dict[str, object]:
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Token {self.token}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, object] = json.load(answer)
            return found


@pytest.fixture(scope="session")
def influxd() -> Iterator[Influxd]:
    """One influxd for the tests of a process; each test takes a bucket of its own. Import it where it is used."""
    with tempfile.TemporaryDirectory(prefix="influxd-") as folder:
        server = Influxd(Path(folder))
        server.start()
        try:
            server.set_up()
            yield server
        finally:
            server.kill()
