"""The files that browsers load: our own, and those of others that set-up bundles (htmx, uPlot, Pico)."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from gridcore.errors import UsageError
from gridcore.sm3 import sm3

VENDORED: Final = ("vendor/htmx.min.js", "vendor/pico.min.css", "vendor/uPlot.iife.min.js", "vendor/uPlot.min.css")


def static_folder() -> Path:
    """Where they lie."""
    return Path(str(resources.files("gridweb") / "static"))


@cache
def static_names() -> frozenset[str]:
    """Their names below the folder, as they were at the start: nothing else is served from the disk."""
    folder = static_folder()
    return frozenset(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def check_static_files() -> None:
    """UsageError when files of others are not there."""
    for name in VENDORED:
        if not (static_folder() / name).is_file():
            raise UsageError(f"{static_folder() / name}: is not there; in a checkout, run: make setup")


def static_url(name: str) -> str:
    """The address of a file under ``static``, with its digest, so that browsers keep it until it changes."""
    return f"/static/{name}?v={_digest(name)}"


@cache
def _digest(name: str) -> str:
    file = static_folder() / name
    return sm3(file.read_bytes()).hex()[:12] if file.is_file() else "none"
