"""Running the real executable: one demonstration as a subprocess, undisturbed or with its processes killed."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXECUTABLE = Path(sys.executable).with_name("gridledger")
POLL_S = 0.01
STOP_S = 20.0

# Two surroundings that a program may mistake for its input: hash seed, time zone, locale and encoding.
AT_HOME = {"PYTHONHASHSEED": "0", "TZ": "Asia/Shanghai", "LC_ALL": "C.UTF-8"}
ABROAD = {
    "PYTHONHASHSEED": "4242",
    "TZ": "America/St_Johns",
    "LC_ALL": "C",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONUTF8": "0",
}


@dataclass(frozen=True)
class Finished:
    """A demonstration that has ended. ``seconds``: as the caller saw it; ``kills``: (process name, process id)."""

    out: Path
    status: int
    stdout: str
    stderr: str
    seconds: float
    kills: tuple[tuple[str, int], ...] = ()

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout; fails where there is anything else."""
        assert self.status == 0, self.explain()
        answer = json.loads(self.stdout)
        assert isinstance(answer, dict)
        return answer

    def explain(self) -> str:
        """What a person needs to see when it went wrong."""
        logs = [f"--- {path.name}\n{_tail(path)}" for path in sorted((self.out / "run").glob("*.log"))]
        return f"exit {self.status}\n{self.stdout[-2000:]}\n{self.stderr[-4000:]}\n" + "\n".join(logs)

    def labels(self) -> list[tuple[str, str, str, int, int]]:
        """Of each event: its kind, target and other, and from which slot of the run until before which one."""
        first_s = int(self.rows("truth.csv")[0]["slot_start_s"])
        return [
            (
                row["kind"],
                row["target"],
                row["other"],
                (int(row["from_s"]) - first_s) // 900,
                (int(row["until_s"]) - first_s) // 900,
            )
            for row in self.rows("events.csv")
        ]

    def rows(self, name: str) -> list[dict[str, str]]:
        """Rows of one of its CSV files."""
        with (self.out / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@dataclass(frozen=True)
class KillPlan:
    """So many kills, as many of each of the ``victims``, spread over the growth of the block log to ``log_bytes`` (known from an
    undisturbed run).
    """

    kills: int
    log_bytes: int
    victims: tuple[str, ...] = ("node", "edge-1")
    seed: int = field(default_factory=lambda: int(os.environ.get("GRIDLEDGER_KILL_SEED") or secrets.randbits(32)))


def demo_command(
    out: Path, *words: str, households: int, slots: int | None, seed: int = 7, headless: bool = True
) -> list[str]:
    """The command line of a demonstration; ``slots`` None: one whole day."""
    size = ["--days", "1"] if slots is None else ["--slots", str(slots)]
    return [
        str(EXECUTABLE),
        "demo",
        *(["--headless"] if headless else []),
        *size,
        "--households",
        str(households),
        "--seed",
        str(seed),
        "--out",
        str(out),
        *words,
    ]


def run_demo(
    out: Path,
    *words: str,
    households: int,
    slots: int | None,
    surroundings: Mapping[str, str] = AT_HOME,
    plan: KillPlan | None = None,
    timeout_s: float = 240.0,
) -> Finished:
    """Run a demonstration to its end; with a ``plan`` its node and agent are killed with -9 meanwhile."""
    command = demo_command(out, *words, households=households, slots=slots)
    return _run(command, out, surroundings, plan, timeout_s)


@contextmanager
def one_processor() -> Iterator[None]:
    """Children have one processor meanwhile."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def run_simulation(
    out: Path, scenario: str, *words: str, surroundings: Mapping[str, str] = AT_HOME, timeout_s: float = 600.0
) -> Finished:
    """Run a scenario to its end, printing JSON."""
    command = [str(EXECUTABLE), "simulate", "run", scenario, "--out", str(out), "--json", *words]
    return _run(command, out, surroundings, None, timeout_s)


def _run(
    command: list[str], out: Path, surroundings: Mapping[str, str], plan: KillPlan | None, timeout_s: float
) -> Finished:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHON"))}
    start = time.monotonic()
    with out.with_suffix(".stdout").open("wb") as stdout, out.with_suffix(".stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command,
            cwd=out.parent,
            env={**environment, **surroundings},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
        killer = Killer(out, process, plan) if plan is not None else None
        if killer is not None:
            killer.start()
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            status = -1
            end_by_force(out, process)
        seconds = time.monotonic() - start
        if killer is not None:
            killer.join()
    kills = tuple(killer.done) if killer is not None else ()
    stdout_text, stderr_text = (out.with_suffix(end).read_text("utf-8", "replace") for end in (".stdout", ".stderr"))
    return Finished(out, status, stdout_text, stderr_text, seconds, kills)


class Killer(threading.Thread):
    """Kills the victims by turns of chance, as the block log grows past random marks, each a random moment later."""

    def __init__(self, out: Path, process: subprocess.Popen[bytes], plan: KillPlan) -> None:
        super().__init__(name="killer", daemon=True)
        self.done: list[tuple[str, int]] = []
        self._out = out
        self._process = process
        self._chance = random.Random(plan.seed)
        self._marks = sorted(self._chance.randrange(plan.log_bytes * 9 // 10) for _ in range(plan.kills))
        self._victims = [plan.victims[number % len(plan.victims)] for number in range(plan.kills)]
        self._chance.shuffle(self._victims)
        print(f"killing {self._victims} with -9; the same again: GRIDLEDGER_KILL_SEED={plan.seed}")

    def run(self) -> None:
        """Follow the plan until it is fulfilled or the demonstration has ended."""
        log = self._out / "ledger" / "blocks.log"
        for mark, victim in zip(self._marks, self._victims, strict=True):
            while not (log.exists() and log.stat().st_size >= mark):
                if self._process.poll() is not None:
                    return
                time.sleep(POLL_S)
            time.sleep(self._chance.uniform(0.0, 0.3))
            while not self._kill(victim):
                if self._process.poll() is not None:
                    return
                time.sleep(POLL_S)

    def _kill(self, victim: str) -> bool:
        """Kill the process of that name unless it has been killed before; only ever a child of this demonstration."""
        pid = read_pid(self._out, victim)
        if pid is None or (victim, pid) in self.done or parent_of(pid) != self._process.pid:
            return False
        os.kill(pid, signal.SIGKILL)
        self.done.append((victim, pid))
        return True


def read_pid(out: Path, name: str) -> int | None:
    """The process id in ``DIR/run/<name>.pid``, None while there is none."""
    with contextlib.suppress(OSError, ValueError):
        return int((out / "run" / f"{name}.pid").read_text())
    return None


def parent_of(pid: int) -> int | None:
    """The parent of a process, None when there is no such process."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


def processes_of(out: Path) -> list[int]:
    """Live processes whose command line names the folder: what a demonstration may leave behind."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(out).encode() in (path / "cmdline").read_bytes() and int(path.name) != os.getpid():
                found.append(int(path.name))
    return found


def end_by_force(out: Path, process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """End a demonstration that hangs, and then its children."""
    process.kill()
    process.wait(STOP_S)
    for pid in processes_of(out):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-1500:]
