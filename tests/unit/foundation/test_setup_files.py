"""Set-up from nothing: the lock, the make targets, the CI entry, what a wheel carries."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
}  # as if not under make
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normal(requirement: str) -> str:
    """Return the normalised name of a requirement line."""
    return re.sub(r"[-_.]+", "-", re.split(r"[ <>=!~;\[]", requirement, maxsplit=1)[0]).lower()


def test_every_locked_package_is_pinned_with_hashes_and_no_address() -> None:
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(entries) > 40
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==[\w.]+ ", entry), entry[:60]
        assert "--hash=sha256:" in entry, entry[:60]
    assert "://" not in LOCK
    assert "--index" not in LOCK


def test_the_compiler_of_machines_without_one_is_pinned_by_digest() -> None:
    text = (ROOT / "requirements-zig.lock").read_text(encoding="utf-8")
    assert re.fullmatch(r"ziglang==[\d.]+ \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", text)


def test_the_library_of_guided_fuzzing_is_pinned_by_digest() -> None:
    text = (ROOT / "requirements-fuzz.lock").read_text(encoding="utf-8")
    assert re.fullmatch(r"atheris==[\d.]+ \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", text)


def test_every_declared_package_is_locked() -> None:
    project = PROJECT["project"]
    declared = [*project["dependencies"], *PROJECT["dependency-groups"]["dev"], *PROJECT["build-system"]["requires"]]
    for extra in project["optional-dependencies"].values():
        declared += extra
    locked = set(re.findall(r"^([a-z0-9-]+)==", LOCK, re.MULTILINE))
    assert {normal(requirement) for requirement in declared} - locked == set()


def test_a_gateway_installs_no_web_server_and_no_simulator() -> None:
    edge = {normal(requirement) for requirement in PROJECT["project"]["optional-dependencies"]["edge"]}
    assert edge.isdisjoint({"quart", "hypercorn", "numpy", "power-grid-model", "influxdb-client"})


def test_make_has_the_targets_that_others_rely_on() -> None:
    listed = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True
    ).stdout
    targets = set(re.findall(r"^make (\S+)", listed, re.MULTILINE))
    assert set("setup demo test check bench soak fuzz cometbft influxd clean".split()) <= targets


def test_long_runs_say_how_long_each_took() -> None:
    planned = subprocess.run(
        ["make", "-n", "-o", ".venv/.gridledger-setup", "soak"],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "-m soak" in planned.stdout
    assert "--durations=0 --durations-min=1" in planned.stdout


def test_arguments_reach_the_demo() -> None:
    planned = subprocess.run(
        ["make", "-n", "-o", ".venv/.gridledger-setup", "demo", "ARGS=--headless --days 1 --json"],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert planned.stdout.splitlines()[-1] == ".venv/bin/gridledger demo --headless --days 1 --json"


def test_processes_of_make_write_byte_code_whatever_the_shell_says() -> None:
    said = subprocess.run(
        ["make", "-s", "-f", "Makefile", "-f", "-", "said"], input='said:\n\t@echo "[$$PYTHONDONTWRITEBYTECODE]"\n',
        cwd=ROOT, env=ENVIRONMENT | {"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == "[]\n"


@pytest.mark.parametrize("native", ["", "zig"])
def test_set_up_builds_the_row_kernel_and_brings_a_compiler_where_asked(native: str) -> None:
    planned = subprocess.run(
        ["make", "-n", "-B", "-o", ".venv/.gridledger-setup", ".venv/lib/gridledger/sm3_kernel.so", f"NATIVE={native}"],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    bring, build = planned.stdout.splitlines()[-2:]
    assert bring.startswith(f'if [ "{native}" = zig ]; then .venv/bin/python -m pip install')
    assert "--require-hashes -r requirements-zig.lock" in bring
    assert build == f'.venv/bin/python -m gridledger.build_row_kernel "{native}"'


@pytest.mark.parametrize(
    ("script", "line"),
    [
        (None, "not found; install Python 3.11 or later"),
        (
            'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac',
            "Python 3.9.2 is too old; install Python 3.11 or later",
        ),
        ('case "$2" in *venv*) exit 1;; esac', "has no venv module; install it"),
    ],
)
def test_set_up_without_a_fit_python_says_so_in_one_line(tmp_path: Path, script: str | None, line: str) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python-planted"
    if script:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    done = subprocess.run(
        ["make", "-s", "setup", f"PYTHON={python}"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    said = [text for text in done.stderr.splitlines() if not re.match(r"make(\[\d+\])?: \*\*\*", text)]
    assert len(said) == 1
    assert line in said[0]
    assert not (tmp_path / ".venv").exists()


def test_ci_entry_is_a_valid_script() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)


def test_wheel_carries_data_and_no_tests(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "firmware_profiles/meters/eastron_sdm630.toml",
        "simulators/grid/data/rural3.npz",
        "gridledger/cli.py",
        "gridcore/sm/kernel.c",
        "gridcore/sm3/kernel.c",
        "gridcore/sm3/lanes.h",
    } <= names
    assert [name for name in names if name.endswith(".so")] == []
    assert {name for name in names if name.startswith(("tests/", "benchmarks/", "docs/", "examples/"))} == set()
    assert any(name.endswith("licenses/LICENSE") for name in names)
