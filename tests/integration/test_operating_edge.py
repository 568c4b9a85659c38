"""docs/operating/edge.md: its commands as they stand, in a Debian that has nothing of ours, until the ledger has a slot of the gateway."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from ledger.client import Client, run_with_client
from tests.external import needs
from tests.integration.village import FIRST_S, PAGES, RUN_NODE, SLOT_S, Village, blocks_of, founded, meter
from tests.waiting import until
from tests.worlds.nodes import wait_for_waiters

ROOT = Path(__file__).resolve().parents[2]
NEEDS_MMDEBSTRAP = needs("mmdebstrap", "apt-get install mmdebstrap")
pytestmark = [
    *NEEDS_MMDEBSTRAP,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="a chroot needs root: run the tests as root"),
]
DEBIAN = "bookworm"
CONFIG = "/etc/gridledger/edge.toml"
RSS_KIB_MAX = 100 * 1024


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this machine's architecture, built twice: the same bytes."""
    folder = tmp_path_factory.mktemp("deb")
    built = []
    for name in ("first", "second"):
        command = [sys.executable, str(ROOT / "deploy" / "build_deb.py"), "--out", str(folder / name)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        built.append(Path(done.stdout.strip()))
    assert built[0].read_bytes() == built[1].read_bytes()
    return built[0]


@pytest.fixture
def debian(tmp_path: Path) -> Iterator[Path]:
    """The root folder of a Debian with what the package asks for, and nothing of ours."""
    root = tmp_path / "debian"
    wanted = "--include=python3,libssl3,adduser,ca-certificates"
    subprocess.run(["mmdebstrap", "--quiet", "--variant=apt", wanted, DEBIAN, str(root)], check=True, timeout=900)
    with mounted(root / "proc", "proc"), mounted(root / "dev", "devtmpfs"):
        yield root
    shutil.rmtree(root)


@contextmanager
def mounted(target: Path, kind: str) -> Iterator[None]:
    """A file system of the kernel's at ``target``."""
    subprocess.run(["mount", "-t", kind, kind, str(target)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(target)], check=True)


def inside(root: Path, commands: str, status: int = 0) -> str:
    """What shell commands in the Debian print, in its folder /root."""
    command = ["chroot", str(root), "/bin/sh", "-ec", f"cd /root\n{commands}"]
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, env=environ, check=False, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@contextmanager
def agent_inside(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The service's process, without systemd: the same command as the same user."""
    unit = (root / "usr/lib/systemd/system/gridledger-edge.service").read_text("utf-8")
    (command,) = re.findall(r"(?m)^ExecStart=(.*)$", unit)
    words = ["chroot", str(root), "/usr/sbin/runuser", "-u", "gridledger", "--", "/bin/sh", "-c", f"exec {command}"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def carry(village: Village, package: Path, root: Path) -> None:
    """Put into the Debian's /root what the engineer brings."""
    target = root / "root"
    shutil.copy(package, target / "gridledger-edge_amd64.deb")
    text = (village.folder / "village/edge-1.toml").read_text("utf-8")
    text, count = re.subn(r"(?m)^outbox = .*$", 'outbox = "/var/lib/gridledger/outbox.sqlite"', text)
    assert count == 1
    (target / "edge.toml").write_text(text, "utf-8")
    shutil.copy(village.folder / "village/trust.json", target)
    (target / "keys").mkdir()
    for name in ("gateway-1.pem", "gateway-1.password"):
        shutil.copy(village.folder / "village/keys" / name, target / "keys")


def committed(village: Village, boundary_s: int) -> int:
    """How many registers the ledger has of a boundary."""

    async def ask(client: Client) -> int:
        return int((await client.query("areas/north/coverage", boundary_s=boundary_s))["committed"])

    return run_with_client(village.url, ask, signer_id="utility", signer=village.signer("utility"))


async def test_from_an_empty_debian_to_a_metered_slot(
    package: Path, debian: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    install, _, check, probe_all, probe, support, start, status, replay, remove = blocks_of("edge.md", "sh")
    assert start == "systemctl enable --now gridledger-edge\n"
    async with meter() as (fleet, port):
        village = founded(tmp_path, port=str(port))
        await asyncio.to_thread(carry, village, package, debian)
        await asyncio.to_thread(inside, debian, install)
        assert "in order" in await asyncio.to_thread(inside, debian, check)
        said = await asyncio.to_thread(inside, debian, probe_all)
        assert "1 of 1 meters may produce billable readings" in said
        await asyncio.to_thread(inside, debian, support)
        assert (debian / "root/support.zip").stat().st_mode & 0o777 == 0o600
        said = await asyncio.to_thread(inside, debian, probe.replace("5020", str(port)))
        assert "1.8.0" in said
        with village.running(RUN_NODE), agent_inside(debian) as process:
            await wait_for_waiters(village.url, 1)
            for slot in range(2):
                fleet.set_registers([1_000 * slot], [0])
                await asyncio.to_thread(village.advance, FIRST_S + slot * SLOT_S)
                await until(partial(has_one, village, FIRST_S + slot * SLOT_S))
            assert rss_kib(process.pid) < RSS_KIB_MAX
            told = await asyncio.to_thread(inside, debian, status)
            assert str(FIRST_S + SLOT_S) in told or "2027-01-15" in told
            told = await asyncio.to_thread(inside, debian, replay)
            assert "2 readings decoded again, 0 differ" in told
    await asyncio.to_thread(inside, debian, remove)
    assert (debian / "var/lib/gridledger/outbox.sqlite").exists(), "what no node may have stays"
    assert not (debian / "usr/lib/gridledger").exists()


async def has_one(village: Village, boundary_s: int) -> bool:
    """Whether the ledger has the meter's register of a boundary."""
    return await asyncio.to_thread(committed, village, boundary_s) == 1


def rss_kib(pid: int) -> int:
    """Memory of the process that ``runuser`` became the parent of, KiB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()
    status = Path(f"/proc/{children[0] if children else pid}/status").read_text("utf-8")
    return int(re.findall(r"(?m)^VmRSS:\s+(\d+) kB", status)[0])


def test_the_chinese_page_has_the_same_commands() -> None:
    english, chinese = (
        [blocks_of(page, language) for language in ("sh", "console")] for page in ("edge.md", "edge.zh.md")
    )
    assert english == chinese
    counts = [(PAGES / page).read_text("utf-8").count("\n## ") for page in ("edge.md", "edge.zh.md")]
    assert counts[0] == counts[1]


def test_the_package_has_nothing_compiled_of_ours_no_numpy_and_no_web_server(package: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path)], check=True)
    program = tmp_path / "usr/lib/gridledger"
    folders = {path.name for path in program.iterdir() if path.is_dir() and not path.name.endswith(".dist-info")}
    assert folders.isdisjoint({"numpy", "quart", "hypercorn", "pymodbus", "gridweb", "simulators", "settlement"})
    compiled = {path.relative_to(program).parts[0] for path in program.rglob("*.so*")}
    assert {name.split(".")[0] for name in compiled} <= {"cryptography", "_cffi_backend", "cffi", "cffi.libs"}


def test_the_wheels_of_a_gateway_on_arm_are_there_under_the_same_hashes(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "deploy" / "build_deb.py"), "--architecture", "arm64"]
    done = subprocess.run([*command, "--out", str(tmp_path)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = subprocess.run(
        ["dpkg-deb", "-f", done.stdout.strip(), "Architecture"], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "arm64"
