"""Meters and devices as data: one TOML file per model, a schema per transport that refuses what it does not understand, a loader.

A profile holds facts with their sources and no logic. ``edge`` reads real meters by it, ``simulators.meters`` serves
virtual ones by the same file, so a wrong line shows itself in a test instead of on a bill.
"""

from firmware_profiles.bundle import ProfileBundle, load_bundle, make_bundle
from firmware_profiles.dlt645 import Dlt645Point, Dlt645Profile
from firmware_profiles.files import FOLDER, profile_digest, profile_ids
from firmware_profiles.formats import NATURE, ORDERS, WORDS, parse_scale
from firmware_profiles.loader import ProfileLibrary, load_profile, open_library
from firmware_profiles.modbus import Identity, ModbusPoint, ModbusProfile, ReadableBlock
from firmware_profiles.mqtt import MqttPoint, MqttProfile, RpcRequest
from firmware_profiles.schema import BILLING_OBIS, Fixture, Point, Profile, ProfileError

__all__ = [
    "BILLING_OBIS",
    "FOLDER",
    "NATURE",
    "ORDERS",
    "WORDS",
    "Dlt645Point",
    "Dlt645Profile",
    "Fixture",
    "Identity",
    "ModbusPoint",
    "ModbusProfile",
    "MqttPoint",
    "MqttProfile",
    "Point",
    "Profile",
    "ProfileBundle",
    "ProfileError",
    "ProfileLibrary",
    "ReadableBlock",
    "RpcRequest",
    "load_bundle",
    "load_profile",
    "make_bundle",
    "open_library",
    "parse_scale",
    "profile_digest",
    "profile_ids",
]
