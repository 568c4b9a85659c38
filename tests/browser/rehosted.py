"""The ledger of a finished demonstration, copied and served again by processes that a test starts and stops itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from gridcore.serving.ports import free_port
from gridcore.signers import open_signer
from gridcore.sm import Signer
from ledger.client import Client
from tests.demo.live import LiveDemo
from tests.waiting import wait_until

START_S_MAX = 30.0
WITHOUT_RIGHTS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--")
"""Runs what follows as root to whom file modes apply."""


class Rehosted:
    """A copy of a demonstration in ``folder``: its node and its pages, each a process of its own on a port of its own."""

    def __init__(self, demo: LiveDemo, folder: Path) -> None:
        """The day of the demonstration is over: nothing is written to its ledger any more."""
        self.folder = folder
        shutil.copytree(demo.out / "ledger", folder / "ledger")
        shutil.copytree(
            demo.out / "run", folder / "run", ignore=shutil.ignore_patterns("*.pid", "edge-*", "users.db*", "broker")
        )
        shutil.copyfile(demo.out / "trust.json", folder / "trust.json")
        web = tomllib.loads((self.run_dir / "web.toml").read_text())
        node_port, web_port = free_port(), free_port()
        self.node_url, self.url = (f"http://127.0.0.1:{port}" for port in (node_port, web_port))
        _replace(self.run_dir / "node.toml", f"port = {web['node'].rpartition(':')[2]}", f"port = {node_port}")
        _replace(self.run_dir / "web.toml", web["node"], self.node_url)
        _replace(self.run_dir / "web.toml", f"port = {web['web']['listen']['port']}", f"port = {web_port}")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def run_dir(self) -> Path:
        """Keys, configurations, the time series, and what the processes log."""
        return self.folder / "run"

    def start_node(self) -> None:
        """Start the node, or start it again, and wait until it answers."""
        self._start("node", "node", "run", "--config", str(self.run_dir / "node.toml"))
        self._wait_for_answer(f"{self.node_url}/healthz", "node")

    def start_pages(self, *, without_rights: bool = False) -> None:
        """Start the pages and wait until they answer. without_rights: file modes hold for them, even where the tests run as root."""
        prefix = WITHOUT_RIGHTS if without_rights and os.geteuid() == 0 else ()
        self._start("web", "serve", "--config", str(self.run_dir / "web.toml"), prefix=prefix)
        self._wait_for_answer(f"{self.url}/healthz", "web")

    def stop(self, name: str) -> None:
        """End the process "node" or "web" for good."""
        process = self._processes.pop(name, None)
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.wait(START_S_MAX)

    def signer(self, name: str) -> Signer:
        """A key of the demonstration."""
        pem, password = (f"file:{self.run_dir / name}.{end}" for end in ("pem", "password"))
        return open_signer(pem, password)

    def client(self, signer: str) -> Client:
        """A client of the node with a key of the demonstration."""
        return Client(self.node_url, signer_id=signer, signer=self.signer(signer))

    def kill(self) -> None:
        """End whatever runs."""
        for process in self._processes.values():
            process.kill()
            process.wait(START_S_MAX)
        self._processes.clear()

    def _start(self, name: str, *words: str, prefix: Sequence[str] = ()) -> None:
        environment = {**os.environ, "GRIDLEDGER_LOG_LEVEL": "warning"}
        with (self.run_dir / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*prefix, sys.executable, "-m", "gridledger", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )

    def _wait_for_answer(self, address: str, name: str) -> None:
        def answers() -> bool:
            assert self._processes[name].poll() is None, (self.run_dir / f"{name}.log").read_text()[-2000:]
            try:
                urllib.request.urlopen(address, timeout=5).close()
            except urllib.error.HTTPError:
                return True  # an answer all the same
            except OSError:
                return False
            return True

        wait_until(answers, f"an answer of {address}")


@contextlib.contextmanager
def rehosted(demo: LiveDemo, folder: Path) -> Iterator[Rehosted]:
    """A copy of a demonstration whose node and pages run; none of them is left at the end."""
    copy = Rehosted(demo, folder)
    try:
        copy.start_node()
        copy.start_pages()
        yield copy
    finally:
        copy.kill()


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{path.name}: {old}"
    path.write_text(text.replace(old, new))
