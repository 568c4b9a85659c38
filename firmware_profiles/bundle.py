"""A bundle of profiles: one file that carries them to gateways, signed with SM2 over the SM3 digest of each (docs/spec/profiles.md).

Whoever vouches for a set of profiles signs their manifest; a gateway that is told to trust that key takes its profiles from the
bundle and from nowhere else but its owner's folder. Each batch names the manifest's digest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from firmware_profiles.files import PROFILE_BYTES_MAX, PROFILES_MAX, profile_digest
from firmware_profiles.schema import ID, ProfileError
from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.files import read_bounded
from gridcore.sm import Signer, is_valid_signature
from gridcore.sm3 import sm3

FORMAT: Final = "gridledger-profiles/1"
BUNDLE_BYTES_MAX: Final = 16 * 1024 * 1024
NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
PUBLIC_KEY_BYTES: Final = 65


@dataclass(frozen=True, slots=True)
class ProfileBundle:
    """A bundle whose signature and digests are right: ``files`` by id, ``digest`` the SM3 of its manifest."""

    name: str
    public_key: bytes
    digest: bytes
    files: Mapping[str, bytes]


def make_bundle(name: str, files: Mapping[str, bytes], signer: Signer) -> bytes:
    """Sign ``files`` (profile files by id) as the bundle ``name``. ProfileError for a name that is none, or too many of them."""
    if not NAME.fullmatch(name):
        raise ProfileError(f"name {name!r} is no name of a bundle; use 1 to 64 of A-Z a-z 0-9 . _ -")
    if not 1 <= len(files) <= PROFILES_MAX:
        raise ProfileError(f"a bundle holds 1 to {PROFILES_MAX} profiles, not {len(files)}")
    profiles: list[cbor.Value] = [[profile_id, profile_digest(files[profile_id])] for profile_id in sorted(files)]
    manifest = cbor.encode({"format": FORMAT, "name": name, "profiles": profiles})
    bundle = cbor.encode(
        {
            "files": dict(files),
            "manifest": manifest,
            "public_key": signer.public_key,
            "signature": signer.sign(manifest),
        }
    )
    if len(bundle) > BUNDLE_BYTES_MAX:
        raise ProfileError(f"the bundle has {len(bundle)} bytes; at most {BUNDLE_BYTES_MAX} are read")
    return bundle


def load_bundle(path: Path, trusted_key: bytes) -> ProfileBundle:
    """Read the bundle at ``path``. UsageError in one line unless ``trusted_key`` (65 bytes) has signed it, and every file is in it as signed."""
    data = read_bounded(path, BUNDLE_BYTES_MAX, "check the path of the bundle")
    try:
        bundle = decode_profile_bundle(data)
    except (EncodingError, ProfileError) as error:
        raise ProfileError(f"{path}: no bundle of profiles: {error}") from None
    if bundle.public_key != trusted_key:
        raise ProfileError(
            f"{path}: signed by {bundle.public_key.hex()}, which is not trusted; trusted is {trusted_key.hex()}"
        )
    return bundle


def decode_profile_bundle(data: bytes) -> ProfileBundle:
    """The bundle in ``data``, checked against the key that it names itself: whoever asks compares that one.

    EncodingError or ProfileError for anything else than a whole bundle: form, signature, digests, names.
    """
    table = _fields(cbor.decode(data), {"files": dict, "manifest": bytes, "public_key": bytes, "signature": bytes})
    manifest = _fields(cbor.decode(table["manifest"]), {"format": str, "name": str, "profiles": list})
    if manifest["format"] != FORMAT:
        raise ProfileError(f"format {manifest['format'][:40]!r} is not {FORMAT!r}")
    if not NAME.fullmatch(manifest["name"]):
        raise ProfileError("its name is none")
    key, signature = table["public_key"], table["signature"]
    if len(key) != PUBLIC_KEY_BYTES or not is_valid_signature(key, table["manifest"], signature):
        raise ProfileError("the signature does not fit its manifest and key")
    _check_files(manifest["profiles"], table["files"])
    return ProfileBundle(manifest["name"], key, sm3(table["manifest"]), table["files"])


def _fields(value: Any, kinds: Mapping[str, type]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(kinds):
        raise ProfileError(f"it is no table of {', '.join(kinds)}")
    for name, kind in kinds.items():
        if not isinstance(value[name], kind):
            raise ProfileError(f"{name} is of another type")
    return value


def _check_files(listed: list[Any], files: dict[str, Any]) -> None:
    """Every listed profile is there with the digest that was signed, and no other."""
    if not 1 <= len(listed) <= PROFILES_MAX or len(files) != len(listed):
        raise ProfileError(
            f"{len(listed)} profiles are signed and {len(files)} are in it; 1 to {PROFILES_MAX} belong there"
        )
    previous = ""
    for row in listed:
        if not isinstance(row, list) or len(row) != 2 or not isinstance(row[0], str) or not ID.fullmatch(row[0]):
            raise ProfileError("a row of its manifest is no profile id with a digest")
        profile_id, digest = row
        if profile_id <= previous:
            raise ProfileError(f"its manifest lists {profile_id} out of order or twice")
        previous = profile_id
        content = files.get(profile_id)
        if not isinstance(content, bytes) or len(content) > PROFILE_BYTES_MAX:
            raise ProfileError(f"{profile_id} is not in it, or larger than {PROFILE_BYTES_MAX} bytes")
        if profile_digest(content) != digest:
            raise ProfileError(f"{profile_id} is not as it was signed")
