"""Builds InfluxDB 2 from its Go module into one binary: ``python3 deploy/build_influxd.py TARGET`` (``make influxd``).

The vendor's packages serve as well; this is for machines that have a Go module proxy and nothing else. About four minutes the
first time. Standard library only; needs Go, Rust, clang, protoc and pkg-config, and says which of them is missing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "v2.7.12"
MODULE = f"github.com/influxdata/influxdb/v2@{VERSION}"
PKG_CONFIG = "github.com/influxdata/pkg-config@v0.2.14"
TAGS = "sqlite_foreign_keys,sqlite_json"
PROGRAMS = {
    "go": "install Go 1.23 or later",
    "cargo": "install a stable Rust toolchain (rustup toolchain install stable)",
    "clang": "apt-get install clang",
    "protoc": "apt-get install protobuf-compiler",
    "pkg-config": "apt-get install pkg-config",
}
# Its Rust part turns warnings into errors, and today's compiler warns of more than the one it was written for.
RUSTC_WRAPPER = """#!/bin/sh
case "$*" in *--cap-lints*) exec "$@";; *) exec "$@" --cap-lints warn;; esac
"""


def main(target: Path) -> int:
    """Build ``target`` unless it is there in this version; 0 when it is there, 2 when a program is missing."""
    if installed_version(target) == VERSION:
        print(f"{target}: {VERSION}, nothing to do")
        return 0
    missing = [hint for program, hint in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        print(f"make influxd: {'; '.join(missing)}; or put an influxd binary on PATH", file=sys.stderr)
        return 2
    print(f"make influxd: building {MODULE}, about four minutes the first time", file=sys.stderr, flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="influxd-", dir=target.parent) as folder:
        try:
            built = build(Path(folder))
        except subprocess.CalledProcessError as error:
            command = " ".join(error.cmd[:3])
            print(f"make influxd: '{command} ...' failed with status {error.returncode} (above)", file=sys.stderr)
            return 1
        os.replace(built, target)  # noqa: PTH105 - within one file system: the binary is there whole or not at all
    print(f"{target}: {installed_version(target)}")
    return 0


def installed_version(target: Path) -> str | None:
    """What the binary says of itself ("v2.7.12"); None where there is none that runs."""
    try:
        shown = subprocess.run([target, "version"], capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    words = shown.split()
    return words[1] if len(words) > 1 else None


def build(folder: Path) -> Path:
    """Build in an empty ``folder`` and return the binary. CalledProcessError of the step that failed."""
    programs = folder / "bin"
    programs.mkdir()
    wrapper = programs / "rustc-wrapper"
    wrapper.write_text(RUSTC_WRAPPER)
    wrapper.chmod(0o755)
    # The module's own pkg-config builds the Rust library where cgo asks for it; it calls the distribution's for all else.
    run(["go", "install", PKG_CONFIG], folder, {"GOBIN": str(programs), "GOFLAGS": ""})
    # Outside a module of its own: the "replace" lines of its go.mod hold, and its Rust part may write into its folder.
    shown = run(["go", "mod", "download", "-json", MODULE], folder, {"GOFLAGS": ""}, is_answer=True)
    source = folder / "source"
    shutil.copytree(json.loads(shown)["Dir"], source)
    for path in (source, *source.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "GOFLAGS": "-mod=mod",
        "RUSTUP_TOOLCHAIN": "stable",
        "RUSTC_WRAPPER": str(wrapper),
    }
    built = folder / "influxd"
    flags = f"-s -w -X main.version={VERSION}"
    run(["go", "build", "-tags", TAGS, "-ldflags", flags, "-o", str(built), "./cmd/influxd"], source, environment)
    return built


def run(command: list[str], folder: Path, environment: dict[str, str], *, is_answer: bool = False) -> str:
    """Run one step with its output on stderr; return its standard output where that is an answer."""
    output = subprocess.PIPE if is_answer else sys.stderr
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, stdout=output, text=True, check=True)
    return done.stdout or ""


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: build_influxd.py TARGET", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(Path(sys.argv[1])))
