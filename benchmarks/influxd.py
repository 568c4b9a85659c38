"""A real influxd in a folder of its own, for the benchmark and for tests: started, set up, killed, started again."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridcore.errors import GridError
from gridcore.serving.ports import free_port

START_S_MAX = 60
INSTALLED_BY = "make influxd"


def find_program(name: str) -> str | None:
    """A program's path: on PATH, or where the project's own ``make`` targets put it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gridledger" / "bin"
    return shutil.which(name) or shutil.which(name, path=str(cache))


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
        if program is None:
            raise GridError(f"influxd is missing; run: {INSTALLED_BY}, or put one on PATH")
        paths = {"bolt-path": "influxd.bolt", "sqlite-path": "influxd.sqlite", "engine-path": "engine"}
        command = [program, *(f"--{key}={self.folder / name}" for key, name in paths.items())]
        command += [f"--http-bind-address=127.0.0.1:{self.port}", "--reporting-disabled", "--log-level=error"]
        with (self.folder / "influxd.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S_MAX
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):  # noqa: S310 - our own address
                    return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log_tail = (self.folder / "influxd.log").read_text(errors="replace")[-1000:]
                    raise GridError(f"influxd does not come up: {' '.join(log_tail.split())}") from None
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

    def _post(self, path: str, body: Mapping[str, object]) -> Any:
        return self._send(urllib.request.Request(self.url + path, data=json.dumps(body).encode()))  # noqa: S310 - as above

    def _get(self, path: str) -> Any:
        return self._send(urllib.request.Request(self.url + path))  # noqa: S310 - as above

    def _send(self, request: urllib.request.Request) -> Any:
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Token {self.token}")
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return json.load(answer)
