"""Meters and devices as data: one TOML file per model, schemas that refuse what they do not understand, and loaders.

A profile holds facts with their sources and no logic. ``edge`` reads real meters by it, ``simulators.meters`` serves
virtual ones by the same file, so a wrong line shows itself in a test instead of on a bill.
"""

from firmware_profiles.formats import NATURE, ORDERS, WORDS, parse_scale
from firmware_profiles.loader import FOLDER, load_profile, profile_digest, profile_ids
from firmware_profiles.mqtt import DEVICES_FOLDER, DeviceProfile, JsonPoint, RpcRequest, load_device_profile
from firmware_profiles.schema import BILLING_OBIS, Identity, Point, Profile, ProfileError, ReadableBlock

__all__ = [
    "BILLING_OBIS",
    "DEVICES_FOLDER",
    "FOLDER",
    "NATURE",
    "ORDERS",
    "WORDS",
    "DeviceProfile",
    "Identity",
    "JsonPoint",
    "Point",
    "Profile",
    "ProfileError",
    "ReadableBlock",
    "RpcRequest",
    "load_device_profile",
    "load_profile",
    "parse_scale",
    "profile_digest",
    "profile_ids",
]
