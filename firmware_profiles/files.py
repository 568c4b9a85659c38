"""Profile files: their bounds, and the digest by which readings name them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gridcore.sm3 import sm3

FOLDER: Final = Path(__file__).parent / "meters"
"""The profiles shipped with the project."""
PROFILE_BYTES_MAX: Final = 256 * 1024
PROFILES_MAX: Final = 1024
"""Profiles in one folder or bundle."""


def profile_ids(folder: Path | None = None) -> tuple[str, ...]:
    """Return the ids of the profiles in ``folder`` (default: those shipped with the project), sorted."""
    return tuple(sorted(path.stem for path in (folder or FOLDER).glob("*.toml")))


def profile_digest(profile_bytes: bytes) -> bytes:
    """Return SM3 of a profile file's bytes with line ends made LF, so that a checkout on Windows names the same profile."""
    return sm3(profile_bytes.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
