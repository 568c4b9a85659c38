"""Find a profile by its id, load it, and give the digest by which readings name it."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Protocol, TypeVar

from firmware_profiles.schema import Profile, ProfileError
from gridcore.config import decode_config
from gridcore.files import read_bounded
from gridcore.sm3 import sm3

FOLDER = Path(__file__).parent / "meters"
PROFILE_BYTES_MAX = 256 * 1024


class AnyProfile(Protocol):
    """What every kind of profile has."""

    @property
    def id(self) -> str:
        """The file's name."""


P = TypeVar("P", bound=AnyProfile)


def profile_ids(folder: Path | None = None) -> tuple[str, ...]:
    """Return the ids of the profiles in ``folder`` (default: those shipped with the project), sorted."""
    return tuple(sorted(path.stem for path in (folder or FOLDER).glob("*.toml")))


def profile_digest(profile_bytes: bytes) -> bytes:
    """Return SM3 of a profile file's bytes with line ends made LF, so that a checkout on Windows names the same profile."""
    return sm3(profile_bytes.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))


def load_profile(profile_id: str, folder: Path | None = None) -> Profile:
    """Load the profile ``profile_id`` from ``folder`` (default: the shipped ones).

    Raises UsageErrors of one line (ProfileError, ConfigError) that name the file, the point or key, and what is right.
    """
    return load_kind(Profile, profile_id, folder or FOLDER)


def load_kind(kind: type[P], profile_id: str, folder: Path) -> P:
    """Load a profile of a kind (it has an ``id``, and a ``digest`` that is set here). Raises as ``load_profile`` does."""
    path, data, digest = _profile_file(profile_id, folder)
    profile = decode_config(data, kind, source=path)
    if profile.id != profile_id:
        raise ProfileError(f"{path}: id is {profile.id!r}; it must be the file's name, {profile_id!r}")
    object.__setattr__(profile, "digest", digest)  # the one field that is no key of the file
    return profile


def _profile_file(profile_id: str, folder: Path) -> tuple[Path, bytes, bytes]:
    """Path, bytes and digest of the profile ``profile_id`` in ``folder``; ProfileError naming the nearest id when there is none."""
    known = profile_ids(folder)
    if profile_id not in known:
        near = difflib.get_close_matches(profile_id, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ProfileError(
            f"unknown profile {profile_id!r}; {hint}known in {folder.name}: {', '.join(known) or 'none'}"
        )
    path = folder / f"{profile_id}.toml"
    data = read_bounded(path, PROFILE_BYTES_MAX, "check the folder of profiles")
    return path, data, profile_digest(data)
