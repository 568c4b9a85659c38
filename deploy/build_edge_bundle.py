"""Builds one file from which a gateway is installed without a network: packages, pinned wheels, profiles, the page to read, checksums.

    python deploy/build_edge_bundle.py --out dist                   (make edge-bundle)

    gridledger-edge_VERSION_offline/
      edge.md, edge.zh.md       what the field engineer reads
      ARCHITECTURE/             the .deb; wheels/ of the [edge] extra; their lock file
      wheels/                   our own wheel, the same for all architectures
      profiles/                 the shipped firmware profiles
      SHA256SUMS, SM3SUMS       of every file above

The same checkout gives the same bytes. Needs what build_deb.py needs.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import build_deb
from build_deb import MODE_FILE, MODE_FOLDER, PACKAGE, PLATFORMS, ROOT, BuildError

from gridcore.sm3 import sm3

PAGES: Final = ("docs/operating/edge.md", "docs/operating/edge.zh.md", "LICENSE")
PROFILES: Final = "firmware_profiles/meters"
SUMS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "SHA256SUMS": lambda data: hashlib.sha256(data).digest(),
    "SM3SUMS": sm3,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Build the bundle and print its path."""
    parser = argparse.ArgumentParser(description="build the bundle from which gateways are installed without a network")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    args = parser.parse_args(argv)
    try:
        print(build(args.out))
    except BuildError as error:
        print(f"make edge-bundle: {error}", file=sys.stderr)
        return 2
    return 0


def build(out: Path) -> Path:
    """Build the bundle into ``out``; its path. BuildError."""
    name = f"{PACKAGE}_{build_deb.version_of(ROOT)}_offline"
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{name}.tar.gz"
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / name
        tree.mkdir()
        for page in PAGES:
            shutil.copy(ROOT / page, tree)
        shutil.copytree(ROOT / PROFILES, tree / "profiles", ignore=lambda _, names: {n for n in names if "." not in n})
        build_deb.build_wheel(tree / "wheels")
        for architecture in PLATFORMS:
            add_architecture(architecture, tree / architecture)
        write_sums(tree)
        pack(tree, target)
    build_deb.write_sums(target)
    return target


def add_architecture(architecture: str, folder: Path) -> None:
    """Package, wheels and lock file of an architecture."""
    package = build_deb.build(architecture, folder)
    for sums in folder.glob(f"{package.name}.*"):
        sums.unlink()  # those of the bundle have it
    build_deb.with_pinned_wheels(architecture, "download", "--dest", str(folder / "wheels"))
    build_deb.write(folder / "requirements-edge.lock", build_deb.lock_of(architecture))


def write_sums(tree: Path) -> None:
    """Lists for ``sha256sum -c SHA256SUMS``, and the same by SM3."""
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    for name, digest in SUMS.items():
        lines = [f"{digest(path.read_bytes()).hex()}  {path.relative_to(tree).as_posix()}\n" for path in files]
        build_deb.write(tree / name, "".join(lines))


def pack(tree: Path, target: Path) -> None:
    """One archive of a folder, its bytes given by the files and the checkout alone."""
    at_s = build_deb.moment_s()

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        entry.mtime, entry.mode = at_s, MODE_FOLDER if entry.isdir() else MODE_FILE
        return entry

    with (
        target.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        archive.add(tree, tree.name, filter=plain)  # in the order of names


if __name__ == "__main__":
    sys.exit(main())
