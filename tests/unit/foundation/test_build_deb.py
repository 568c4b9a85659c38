"""What building the agent's package decides before pip and dpkg-deb do the work."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def build_deb(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_deb", repository / "deploy/build_deb.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_unknown_architecture_is_one_line(build_deb: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert build_deb.main(["--architecture", "x86"]) == 2
    assert capsys.readouterr().err == "make deb: no architecture 'x86'; ARCH is amd64 or arm64 or armhf\n"


def test_what_debian_brings_is_left_out_of_the_lock_with_its_hashes(build_deb: ModuleType, repository: Path) -> None:
    lock = (repository / "requirements-edge.lock").read_text(encoding="utf-8")
    assert build_deb.lock_without(lock, ()) == lock
    left = build_deb.lock_without(lock, build_deb.FROM_DEBIAN["armhf"])
    assert "cffi==" not in left
    assert [line for line in lock.splitlines() if line[:1].isalpha() and not line.startswith("cffi==")] == [
        line for line in left.splitlines() if line[:1].isalpha()
    ]
    assert set(left.splitlines()) < set(lock.splitlines())


def test_sums_beside_the_package_are_those_of_sha256sum_and_sm3(build_deb: ModuleType, tmp_path: Path) -> None:
    package = tmp_path / "p.deb"
    package.write_bytes(b"abc")
    build_deb.write_sums(package)
    assert (tmp_path / "p.deb.sha256").read_text() == f"{hashlib.sha256(b'abc').hexdigest()}  p.deb\n"
    sm3_of_abc = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"  # GB/T 32905-2016, A.1
    assert (tmp_path / "p.deb.sm3").read_text() == f"{sm3_of_abc}  p.deb\n"
