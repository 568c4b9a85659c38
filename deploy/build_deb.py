"""Builds the Debian package of the gateway agent: our packages that a gateway runs, and the pinned wheels that they need.

    python deploy/build_deb.py --architecture amd64 --out dist      (make deb ARCH=amd64)

Nothing of ours is compiled: the packages of all architectures differ by the wheels of others alone, which pip picks by platform and
checks against requirements-edge.lock. The same checkout gives the same bytes. Needs: dpkg-deb, and the project's environment (make setup).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from gridcore.sm3 import sm3

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = "gridledger-edge"
PROGRAM_FOLDER: Final = Path("usr/lib/gridledger")
OURS: Final = ("gridcore", "firmware_profiles", "gridevidence", "edge", "ledger", "gridledger")
"""Of our packages those that a gateway runs; a command of another one says what to install."""
PLATFORMS: Final = {
    "amd64": ("manylinux_2_28_x86_64", "manylinux_2_34_x86_64", "manylinux2014_x86_64"),
    "arm64": ("manylinux_2_28_aarch64", "manylinux_2_34_aarch64", "manylinux2014_aarch64"),
    "armhf": ("manylinux_2_31_armv7l",),
}
"""By Debian's name of an architecture: platforms of wheels, for Debian 12 and later."""
FROM_DEBIAN: Final = {"armhf": {"cffi": "python3-cffi-backend"}}
"""By architecture: what has no wheel for it, and the package of Debian that brings it."""
PYTHON: Final = "3.11"
MODE_FOLDER, MODE_PROGRAM, MODE_FILE = 0o755, 0o755, 0o644

DEPENDS: Final = ("python3 (>= 3.11)", "libssl3 | libssl3t64", "adduser", "ca-certificates")

CONTROL: Final = """\
Package: gridledger-edge
Version: {version}
Architecture: {architecture}
Maintainer: The GridLedger authors <gridledger@example.com>
Installed-Size: {installed_kib}
Depends: {depends}
Recommends: chrony | systemd-timesyncd
Suggests: python3-tpm2-pytss
Section: net
Priority: optional
Homepage: https://gridledger.example.com
Description: GridLedger gateway agent
 Reads smart meters at slot boundaries (Modbus, DL/T 645, MQTT), signs the readings with SM2 on the
 gateway's own key, and submits them to a consortium ledger from a queue that survives power cuts.
"""
LAUNCHER: Final = """\
#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "/usr/lib/gridledger")

from gridledger.cli import main

sys.exit(main())
"""
POSTINST: Final = """\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
  getent passwd gridledger >/dev/null || adduser --system --group --home /var/lib/gridledger --no-create-home --quiet gridledger
  for group in dialout tss; do
    if getent group "$group" >/dev/null; then adduser --quiet gridledger "$group"; fi
  done
  install -d -m 0755 /etc/gridledger
  install -d -m 0700 -o gridledger -g gridledger /var/lib/gridledger
  python3 -m compileall -q /usr/lib/gridledger || true
  if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
  if [ -n "$2" ] && [ -d /run/systemd/system ]; then systemctl try-restart gridledger-edge.service; fi
fi
"""
PRERM: Final = """\
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl disable --now gridledger-edge.service; fi
find /usr/lib/gridledger -name __pycache__ -type d -prune -exec rm -rf {} +
"""
POSTRM: Final = """\
#!/bin/sh
set -e
# The outbox may hold readings that no node has, and the key cannot be made again: both stay, and this says where.
if [ "$1" = purge ] && [ -d /var/lib/gridledger ]; then
  echo "gridledger-edge: /etc/gridledger and /var/lib/gridledger stay; remove them when nothing of them is needed" >&2
fi
"""


class BuildError(Exception):
    """The package cannot be built; one line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Build one package and print its path."""
    parser = argparse.ArgumentParser(description="build the Debian package of the gateway agent")
    parser.add_argument("--architecture", default="amd64", help=", ".join(PLATFORMS))
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    args = parser.parse_args(argv)
    try:
        if args.architecture not in PLATFORMS:
            raise BuildError(f"no architecture {args.architecture!r}; ARCH is {' or '.join(PLATFORMS)}")
        print(build(args.architecture, args.out))
    except BuildError as error:
        print(f"make deb: {error}", file=sys.stderr)
        return 2
    return 0


def build(architecture: str, out: Path) -> Path:
    """Build the package of an architecture into ``out``; its path. BuildError."""
    if shutil.which("dpkg-deb") is None:
        raise BuildError("dpkg-deb not found; install it (Debian: apt-get install dpkg)")
    version = version_of(ROOT)
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{PACKAGE}_{version}_{architecture}.deb"
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        program = tree / PROGRAM_FOLDER
        program.mkdir(parents=True)
        install_wheels(architecture, program)
        install_ours(Path(folder) / "wheel", program)
        install_files(tree)
        kib = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 1024
        depends = ", ".join((*DEPENDS, *FROM_DEBIAN.get(architecture, {}).values()))
        facts = {"version": version, "architecture": architecture, "installed_kib": kib, "depends": depends}
        write(tree / "DEBIAN/control", CONTROL.format(**facts))
        for name, text in (("postinst", POSTINST), ("prerm", PRERM), ("postrm", POSTRM)):
            write(tree / "DEBIAN" / name, text, MODE_PROGRAM)
        set_modes(tree)
        command = ("dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(target))
        run(command, "dpkg-deb", SOURCE_DATE_EPOCH=str(moment_s()))
    write_sums(target)
    return target


def moment_s() -> int:
    """When the checkout was made, UTC seconds: the time of every file that is built from it."""
    return int(run(("git", "log", "-1", "--format=%ct"), "git").strip() or "0")


def write_sums(target: Path) -> None:
    """Files beside the package by which it is checked where it is installed without a network: ``sha256sum -c``, and SM3."""
    data = target.read_bytes()
    for name, digest in (("sha256", hashlib.sha256(data).digest()), ("sm3", sm3(data))):
        write(target.with_name(f"{target.name}.{name}"), f"{digest.hex()}  {target.name}\n")


def version_of(root: Path) -> str:
    """The version that the package has."""
    found = re.search(r'__version__ = "([^"]+)"', (root / "gridledger/__init__.py").read_text(encoding="utf-8"))
    if found is None:
        raise BuildError("gridledger/__init__.py names no __version__")
    return found[1]


def install_wheels(architecture: str, program: Path) -> None:
    """The pinned wheels of others, for the architecture, unpacked."""
    with_pinned_wheels(architecture, "install", "--no-compile", "--target", str(program))
    for rest in ("bin", "share"):
        shutil.rmtree(program / rest, ignore_errors=True)


def with_pinned_wheels(architecture: str, *action: str) -> None:
    """What pip does with the pinned wheels of others for the architecture, checked by their hashes. BuildError."""
    platforms = [word for platform in PLATFORMS[architecture] for word in ("--platform", platform)]
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", *action, "--quiet")
    which = ("--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp")
    with tempfile.NamedTemporaryFile("w", suffix=".lock", encoding="utf-8") as pinned:
        pinned.write(lock_of(architecture))
        pinned.flush()
        lock = ("--require-hashes", "--no-deps", "-r", pinned.name)
        run((*pip, *which, *platforms, *lock), f"pip cannot fetch the wheels for {architecture}")


def lock_of(architecture: str) -> str:
    """The lock file of the wheels that an architecture has."""
    lock = (ROOT / "requirements-edge.lock").read_text("utf-8")
    return lock_without(lock, FROM_DEBIAN.get(architecture, ()))


def lock_without(lock: str, names: Iterable[str]) -> str:
    """The lock file ``lock`` without these distributions: an entry goes on in the lines that begin with a blank."""
    kept, is_kept = [], True
    for line in lock.splitlines(keepends=True):
        if not line[:1].isspace():
            is_kept = line.partition("==")[0] not in names
        if is_kept:
            kept.append(line)
    return "".join(kept)


def install_ours(folder: Path, program: Path) -> None:
    """Our packages that a gateway runs, as the wheel has them."""
    wheel = build_wheel(folder)
    unpacked = folder / "unpacked"
    shutil.unpack_archive(wheel, unpacked, "zip")
    for name in (*OURS, f"gridledger-{version_of(ROOT)}.dist-info"):
        shutil.copytree(unpacked / name, program / name)


def build_wheel(folder: Path) -> Path:
    """Our own wheel, in ``folder``."""
    run((sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)), "the wheel cannot be built")
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_files(tree: Path) -> None:
    """The program, its unit, an example of its configuration, and the licence."""
    write(tree / "usr/bin/gridledger", LAUNCHER, MODE_PROGRAM)
    copies = {
        "deploy/gridledger-edge.service": "usr/lib/systemd/system/gridledger-edge.service",
        "examples/edge.toml": f"usr/share/doc/{PACKAGE}/examples/edge.toml",
        "docs/operating/edge.md": f"usr/share/doc/{PACKAGE}/edge.md",
        "docs/operating/edge.zh.md": f"usr/share/doc/{PACKAGE}/edge.zh.md",
        "LICENSE": f"usr/share/doc/{PACKAGE}/copyright",
    }
    for source, target in copies.items():
        write(tree / target, (ROOT / source).read_text(encoding="utf-8"))


def write(path: Path, text: str, mode: int = MODE_FILE) -> None:
    """A file of the package."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def set_modes(tree: Path) -> None:
    """Modes that do not depend on who builds."""
    programs = {tree / "usr/bin/gridledger", *(tree / "DEBIAN").glob("p*")}
    for path in (tree, *tree.rglob("*")):
        path.chmod(MODE_FOLDER if path.is_dir() else MODE_PROGRAM if path in programs else MODE_FILE)


def run(command: Iterable[str], what: str, **environ: str) -> str:
    """What a command prints. BuildError with its last line when it fails."""
    done = subprocess.run(
        tuple(command), cwd=ROOT, env={**os.environ, **environ}, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise BuildError(f"{what}: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
