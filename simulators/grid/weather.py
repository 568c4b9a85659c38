"""Sun and temperature by our own models: the sun's place, the clear sky after Haurwitz, clouds from a seed, and what a tilted roof gets.

Sources: J. J. Michalsky, Solar Energy 40(3) 1988 (place of the sun by the Astronomical Almanac, within 0.01 degrees until 2050); B. Haurwitz, J. Meteorology 2,
1945 (clear sky); F. Kasten and G. Czeplak, Solar Energy 24, 1980 (clouds); D. G. Erbs and others, Solar Energy 28(4) 1982 (diffuse part); the
diffuse sky is taken as equally bright. Checked against pvlib (``make_sun_oracle.py``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.grid.local_time import is_first_of_day
from simulators.scenarios.schema import SLOT_S, Weather

J2000_S = 946_728_000  # 1 January 2000 12:00 UTC
DAY_S = 86_400
SOLAR_CONSTANT_W_PER_M2 = 1367.0
RATED_W_PER_M2 = 1000.0  # at which a panel gives its peak power
GROUND_REFLECTS = 0.2
SLOTS_PER_HOUR = 4
CLOUD_SPREAD = 0.45  # how far an hour's cover lies from the mean at most
WARMEST_HOUR = 15
DAY_TEMPERATURE_SPREAD_K = 3.0
COS_ZENITH_MIN = 0.01  # below 0.6 degrees above the horizon nothing comes from the sun itself

Floats = NDArray[np.float64]


class Sun(NamedTuple):
    """Where the sun stands, [slots]: a vector of length 1 to the east, to the north and up (the last is the cosine of the zenith angle)."""

    east: Floats
    north: Floats
    up: Floats


def place_of_sun(utc_s: NDArray[np.int64], weather: Weather) -> Sun:
    """The sun seen from the scenario's place at moments in UTC seconds [slots]."""
    days = (utc_s - J2000_S) / DAY_S
    mean_longitude = 280.460 + 0.9856474 * days
    anomaly = np.radians(357.528 + 0.9856003 * days)
    ecliptic = np.radians(mean_longitude + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.radians(23.439 - 0.0000004 * days)
    declination = np.arcsin(np.sin(obliquity) * np.sin(ecliptic))
    ascension = np.arctan2(np.cos(obliquity) * np.sin(ecliptic), np.cos(ecliptic))
    utc_hour = (utc_s % DAY_S) / 3600
    sidereal_hour = 6.697375 + 0.0657098242 * days + utc_hour
    hour_angle = np.radians(15 * sidereal_hour + weather.longitude_milli_degrees / 1000) - ascension
    latitude = np.radians(weather.latitude_milli_degrees / 1000)
    return Sun(
        east=-np.cos(declination) * np.sin(hour_angle),
        north=np.sin(declination) * np.cos(latitude) - np.cos(declination) * np.sin(latitude) * np.cos(hour_angle),
        up=np.sin(declination) * np.sin(latitude) + np.cos(declination) * np.cos(latitude) * np.cos(hour_angle),
    )


def clear_sky_w_per_m2(sun_up: Floats) -> Floats:
    """Irradiance of a level plane under a clear sky, after Haurwitz; 0 by night."""
    up = np.maximum(sun_up, 0.001)
    return np.where(sun_up > 0.001, 1098.0 * up * np.exp(-0.059 / up), 0.0)


def cloud_cover(rng: np.random.Generator, slots: int, weather: Weather) -> Floats:
    """Which part of the sky is covered, 0 to 1 [slots]: drawn by the hour about the mean, straight between the hours."""
    hours = -(-slots // SLOTS_PER_HOUR) + 1
    drawn = rng.integers(-1000, 1000, size=hours, endpoint=True) / 1000
    knots = np.clip(weather.cloud_percent / 100 + CLOUD_SPREAD * drawn * (weather.cloud_percent > 0), 0.0, 1.0)
    at = np.arange(slots) / SLOTS_PER_HOUR
    return np.interp(at, np.arange(hours), knots)


def level_w_per_m2(slot_start_s: NDArray[np.int64], cover: Floats, weather: Weather) -> tuple[Sun, Floats]:
    """Where the sun stands in the middle of each slot, and the irradiance of a level plane then."""
    sun = place_of_sun(slot_start_s + SLOT_S // 2, weather)
    return sun, clear_sky_w_per_m2(sun.up) * (1.0 - 0.75 * cover**3.4)


def diffuse_part(level: Floats, sun_up: Floats) -> Floats:
    """Which part of a level plane's irradiance comes from the whole sky and not from the sun's disc, after Erbs."""
    clearness = level / (SOLAR_CONSTANT_W_PER_M2 * np.maximum(sun_up, COS_ZENITH_MIN))
    middle = 0.9511 - 0.1604 * clearness + 4.388 * clearness**2 - 16.638 * clearness**3 + 12.336 * clearness**4
    return np.where(clearness <= 0.22, 1.0 - 0.09 * clearness, np.where(clearness <= 0.80, middle, 0.165))


def roof_shares(sun: Sun, level: Floats, tilt_degrees: int, azimuth_degrees: NDArray[np.int64]) -> Floats:
    """What panels get, as a share of the irradiance at which they give their peak [slots, roofs].

    azimuth_degrees [roofs]: where each roof looks to, from the north over the east.
    """
    tilt, azimuth = np.radians(tilt_degrees), np.radians(azimuth_degrees)
    toward = (
        sun.east[:, None] * np.sin(tilt) * np.sin(azimuth)
        + sun.north[:, None] * np.sin(tilt) * np.cos(azimuth)
        + sun.up[:, None] * np.cos(tilt)
    )
    diffuse = diffuse_part(level, sun.up) * level
    beam = np.where(sun.up > COS_ZENITH_MIN, (level - diffuse) / np.maximum(sun.up, COS_ZENITH_MIN), 0.0)
    from_sky = diffuse * (1 + np.cos(tilt)) / 2 + level * GROUND_REFLECTS * (1 - np.cos(tilt)) / 2
    share: Floats = (beam[:, None] * np.maximum(toward, 0.0) + from_sky[:, None]) / RATED_W_PER_M2
    return share


def temperature_c(rng: np.random.Generator, local_slot: NDArray[np.int64], weather: Weather) -> Floats:
    """Outside temperature in degrees Celsius [slots]; local_slot: 0 to 95 of the local wall clock. Warmest in the afternoon, days differ."""
    days = np.cumsum(is_first_of_day(local_slot)) - 1
    drawn = rng.integers(-1000, 1000, size=int(days[-1]) + 1, endpoint=True) / 1000
    angle = 2 * np.pi * (local_slot / SLOTS_PER_HOUR - WARMEST_HOUR) / 24
    mean, swing = weather.temperature_mean_c, weather.temperature_swing_k
    outside_c: Floats = mean + swing * np.cos(angle) + DAY_TEMPERATURE_SPREAD_K * drawn[days]
    return outside_c
