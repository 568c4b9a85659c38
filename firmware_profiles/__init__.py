"""Meters as data: one TOML file per model, a schema that refuses what it does not understand, and a loader.

A profile holds facts with their sources and no logic. ``edge`` reads real meters by it, ``simulators.meters`` serves
virtual ones by the same file, so a wrong line shows itself in a test instead of on a bill.
"""

from firmware_profiles.formats import NATURE, ORDERS, WORDS, parse_scale
from firmware_profiles.loader import FOLDER, load_profile, profile_digest, profile_ids
from firmware_profiles.schema import BILLING_OBIS, Identity, Point, Profile, ProfileError, ReadableBlock

__all__ = [
    "BILLING_OBIS",
    "FOLDER",
    "NATURE",
    "ORDERS",
    "WORDS",
    "Identity",
    "Point",
    "Profile",
    "ProfileError",
    "ReadableBlock",
    "load_profile",
    "parse_scale",
    "profile_digest",
    "profile_ids",
]
