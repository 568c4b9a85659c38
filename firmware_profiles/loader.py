"""Find a profile by its id and load it by the schema of its transport.

Profiles come from those shipped with the project, or from a signed bundle in their place; a folder of one's own adds to them.
An id that two of these have is refused, so that no file stands silently for another.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, overload

from firmware_profiles.bundle import ProfileBundle
from firmware_profiles.dlt645 import Dlt645Profile
from firmware_profiles.files import FOLDER, PROFILE_BYTES_MAX, PROFILES_MAX, profile_digest, profile_ids
from firmware_profiles.fixtures import check_fixtures
from firmware_profiles.modbus import ModbusProfile
from firmware_profiles.mqtt import MqttProfile
from firmware_profiles.schema import Profile, ProfileError, fill
from gridcore.config import decode_toml, parse_config
from gridcore.files import read_bounded

TRANSPORTS: dict[str, type[Profile]] = {"modbus": ModbusProfile, "dlt645": Dlt645Profile, "mqtt": MqttProfile}
"""The table that a profile has for its transport -> its schema."""

P = TypeVar("P", bound=Profile)


@dataclass(frozen=True, slots=True)
class ProfileLibrary:
    """All profiles that can be named: ``places`` by id, the content of those that lie in no file in ``contents``.

    ``bundle``: SM3 of the manifest of the signed bundle that they come from, empty without one.
    """

    places: Mapping[str, Path]
    contents: Mapping[str, bytes]
    bundle: bytes = b""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all profiles, sorted."""
        return tuple(sorted(self.places))

    def read(self, profile_id: str) -> bytes:
        """The bytes of the profile file ``profile_id``; ProfileError naming the nearest id when there is none."""
        if profile_id not in self.places:
            near = difflib.get_close_matches(profile_id, self.ids, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else "'gridledger profiles list' shows those known"
            raise ProfileError(f"unknown profile {profile_id!r}; {hint}")
        if profile_id in self.contents:
            return self.contents[profile_id]
        place = self.places[profile_id]
        if place.exists() and not place.is_file():  # a reader of a pipe or a device may wait for ever
            raise ProfileError(f"{place}: is no file; a profile is a file ID.toml, remove what is not one")
        return read_bounded(place, PROFILE_BYTES_MAX, "check the folder of profiles")

    @overload
    def load(self, profile_id: str) -> Profile: ...

    @overload
    def load(self, profile_id: str, *, kind: type[P]) -> P: ...

    def load(self, profile_id: str, *, kind: type[Profile] = Profile) -> Profile:
        """Load the profile ``profile_id``; ``kind`` says of which transport it has to be.

        Raises UsageErrors of one line (ProfileError, ConfigError) that name the file, the point or key, and what is right.
        """
        data = self.read(profile_id)
        place = self.places[profile_id]
        profile = decode_profile(data, place)
        if profile.id != profile_id:
            raise ProfileError(f"{place}: id is {profile.id!r}; it must be the file's name, {profile_id!r}")
        if not isinstance(profile, kind):
            names = {schema: name for name, schema in TRANSPORTS.items()}
            raise ProfileError(
                f"profile {profile_id!r} is read by {names[type(profile)]}; here belongs one of {names[kind]}"
            )
        return profile


def open_library(own: Path | None = None, bundle: ProfileBundle | None = None) -> ProfileLibrary:
    """The shipped profiles, or those of ``bundle`` in their place, and those in the folder ``own``.

    ProfileError for a folder that is none or holds too many, and for an id that stands in both.
    """
    if bundle is None:
        places = {profile_id: FOLDER / f"{profile_id}.toml" for profile_id in profile_ids()}
        contents, digest = {}, b""
    else:
        places = {profile_id: Path(f"bundle {bundle.name}") / f"{profile_id}.toml" for profile_id in bundle.files}
        contents, digest = dict(bundle.files), bundle.digest
    if own is not None and not own.is_dir():
        raise ProfileError(f"{own}: no folder of profiles; give one, or leave it out")
    if own is not None and own.resolve() != FOLDER.resolve():
        found = profile_ids(own)
        if len(found) > PROFILES_MAX:
            raise ProfileError(f"{own}: {len(found)} profiles; a folder holds at most {PROFILES_MAX}")
        for profile_id in found:
            if profile_id in places:
                raise ProfileError(
                    f"{own / profile_id}.toml: {profile_id!r} is the id of {places[profile_id]} too; give yours another id"
                )
            places[profile_id] = own / f"{profile_id}.toml"
    return ProfileLibrary(places, contents, digest)


@overload
def load_profile(profile_id: str, own: Path | None = None) -> Profile: ...


@overload
def load_profile(profile_id: str, own: Path | None = None, *, kind: type[P]) -> P: ...


def load_profile(profile_id: str, own: Path | None = None, *, kind: type[Profile] = Profile) -> Profile:
    """Load the profile ``profile_id`` of the shipped ones and those in the folder ``own``. Raises as ``ProfileLibrary.load`` does."""
    return open_library(own).load(profile_id, kind=kind)


def decode_profile(data: bytes, source: Path) -> Profile:
    """Turn the bytes of the profile file ``source`` into a profile, its fixtures proven. UsageError in one line names file and key."""
    table = decode_toml(data, source)
    profile = parse_config(table, _schema_of(table, source), source)
    try:
        check_fixtures(profile)
    except ProfileError as error:
        raise ProfileError(f"{source}: {error}") from None
    fill(profile, "digest", profile_digest(data))  # the one field that is no key of the file
    return profile


def _schema_of(table: dict[str, Any], source: Path) -> type[Profile]:
    found = [name for name in TRANSPORTS if name in table]
    if len(found) != 1:
        shown = " and ".join(f"[{name}]" for name in found) or "no table of a transport"
        raise ProfileError(f"{source}: it has {shown}; give one of {', '.join(f'[{name}]' for name in TRANSPORTS)}")
    return TRANSPORTS[found[0]]
