"""``make influxd``: what it says when a program is missing, and that it builds nothing twice."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def build_influxd(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_influxd", repository / "deploy" / "build_influxd.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run_build(repository: Path, target: Path, path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repository / "deploy" / "build_influxd.py"), str(target)]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False, timeout=60)


def test_missing_programs_are_named_all_at_once_with_what_installs_them(repository: Path, tmp_path: Path) -> None:
    make_program(tmp_path / "go", "exit 1")
    done = run_build(repository, tmp_path / "bin" / "influxd", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for hint in (
        "stable Rust toolchain",
        "apt-get install clang",
        "protobuf-compiler",
        "pkg-config",
        "influxd binary on PATH",
    ):
        assert hint in done.stderr
    assert "Go 1.23" not in done.stderr
    assert not (tmp_path / "bin").exists()


def test_the_right_version_is_not_built_again(repository: Path, tmp_path: Path, build_influxd: ModuleType) -> None:
    target = tmp_path / "influxd"
    make_program(target, f'echo "InfluxDB {build_influxd.VERSION} (git: none) build_date: x"')
    done = run_build(repository, target, tmp_path / "nothing")
    assert (done.returncode, done.stdout) == (0, f"{target}: {build_influxd.VERSION}, nothing to do\n")


def test_a_step_that_fails_is_named_and_leaves_the_old_binary(repository: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("go", "cargo", "clang", "protoc", "pkg-config"):
        make_program(programs / name, "exit 9")
    target = tmp_path / "influxd"
    make_program(target, 'echo "InfluxDB v2.0.0"')
    done = run_build(repository, target, programs)
    assert done.returncode == 1
    assert "make influxd: 'go install github.com/influxdata/pkg-config" in done.stderr
    assert "failed with status 9" in done.stderr
    assert "v2.0.0" in target.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["influxd", "programs"]


def test_the_documentation_names_the_version_that_is_built(repository: Path, build_influxd: ModuleType) -> None:
    assert build_influxd.VERSION.removeprefix("v") in (repository / "docs" / "timeseries.md").read_text()
