"""The bundle from which gateways are installed without a network: docs/operating/edge.md, "Without a network"."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from firmware_profiles import FOLDER
from gridcore.sm3 import sm3
from tests.external import needs
from tests.integration.village import blocks_of

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64", "armhf": "armv7l"}
"""By Debian's name, the end of the platform of its wheels."""
NEEDS_DPKG = needs("dpkg-deb", "apt-get install dpkg")
pytestmark = [*NEEDS_DPKG, pytest.mark.slow]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, as it is carried to the site, with its checksums beside it."""
    folder = tmp_path_factory.mktemp("bundle")
    command = [sys.executable, str(ROOT / "deploy" / "build_edge_bundle.py"), "--out", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def unpacked(bundle: Path) -> Path:
    """Its folder."""
    with tarfile.open(bundle) as archive:
        archive.extractall(bundle.parent, filter="data")
    return bundle.parent / bundle.name.removesuffix(".tar.gz")


def test_every_file_of_the_bundle_is_in_both_lists_of_checksums_and_as_they_say(unpacked: Path) -> None:
    files = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    for name, digest in (("SHA256SUMS", lambda data: hashlib.sha256(data).digest()), ("SM3SUMS", sm3)):
        lines = [line.split("  ") for line in (unpacked / name).read_text("utf-8").splitlines()]
        assert {path for _, path in lines} == files - {"SHA256SUMS", "SM3SUMS"}
        assert all(digest((unpacked / path).read_bytes()).hex() == said for said, path in lines)


def test_each_architecture_has_its_package_and_every_wheel_of_its_lock(unpacked: Path) -> None:
    for architecture, machine in ARCHITECTURES.items():
        (package,) = (unpacked / architecture).glob("*.deb")
        told = subprocess.run(["dpkg-deb", "-f", str(package), "Architecture"], check=True, capture_output=True)
        assert told.stdout.decode().strip() == architecture
        wheels = {path.name for path in (unpacked / architecture / "wheels").iterdir()}
        lock = (unpacked / architecture / "requirements-edge.lock").read_text("utf-8")
        pinned = set(re.findall(r"(?m)^([a-z0-9-]+)==", lock))
        assert {name.split("-")[0].replace("_", "-") for name in wheels} == pinned
        assert all(name.endswith(("-any.whl", f"{machine}.whl")) for name in wheels)
        assert ("cffi" in pinned) == (architecture != "armhf")
    profiles = {path.name for path in (unpacked / "profiles").iterdir()}
    assert profiles == {path.name for path in FOLDER.glob("*.toml")}


def test_package_for_armhf_has_arm_libraries_alone_and_takes_cffi_from_debian(unpacked: Path, tmp_path: Path) -> None:
    (package,) = (unpacked / "armhf").glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path)], check=True)
    told = subprocess.run(["dpkg-deb", "-f", str(package), "Depends"], check=True, capture_output=True, text=True)
    assert "python3-cffi-backend" in told.stdout
    libraries = list((tmp_path / "usr/lib/gridledger").rglob("*.so*"))
    assert libraries
    for library in libraries:
        head = library.read_bytes()[:20]
        assert (head[:5], head[18:20]) == (b"\x7fELF\x01", b"\x28\x00"), f"{library.name}: 32 bits, ARM"


@pytest.mark.skipif(os.geteuid() != 0, reason="a process without a network needs root: run the tests as root")
def test_gateway_is_installed_from_the_bundle_without_a_network(bundle: Path, tmp_path: Path) -> None:
    """As the page says, in a folder and a network of their own in which nothing is reached."""
    (commands,) = (block for block in blocks_of("edge.md", "sh") if "SHA256SUMS" in block)
    for path in bundle.parent.glob(f"{bundle.name}*"):
        shutil.copy(path, tmp_path)
    script = f"! ls /sys/class/net | grep -v '^lo$'\n{commands}\ngridledger/bin/gridledger profiles list\n"
    words = ["unshare", "--net", "--mount", "sh", "-ec", f"mount -t sysfs sysfs /sys\n{script}"]
    environ = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(words, cwd=tmp_path, env=environ, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "eastron_sdm630" in done.stdout
    (program,) = (tmp_path / "gridledger/lib").glob("python3*/site-packages")
    assert not (program / "numpy").exists()


@pytest.mark.parametrize("page", ["edge.md", "edge.zh.md"])
def test_bundle_that_was_changed_on_the_way_is_not_even_unpacked_by_a_shell_that_goes_on_after_a_fault(
    page: str, tmp_path: Path
) -> None:
    (commands,) = (block for block in blocks_of(page, "sh") if "SHA256SUMS" in block)
    name = "gridledger-edge_1_offline"
    (tmp_path / name).mkdir()
    with tarfile.open(tmp_path / f"{name}.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / name, name)
    (tmp_path / name).rmdir()
    (tmp_path / f"{name}.tar.gz.sha256").write_text(f"{bytes(32).hex()}  {name}.tar.gz\n")
    done = subprocess.run(["sh", "-c", commands], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.tar.gz", f"{name}.tar.gz.sha256"}
