"""Sun, clouds, roofs and temperature: against pvlib's frozen figures, and by what must hold of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from simulators.grid.diversity import generator
from simulators.grid.weather import (
    clear_sky_w_per_m2,
    cloud_cover,
    diffuse_part,
    level_w_per_m2,
    place_of_sun,
    roof_shares,
    temperature_c,
)
from simulators.scenarios.schema import CLEAR_SKY, Weather

ORACLE = json.loads((Path(__file__).parent / "oracle_sun.json").read_text())
SHANGHAI = Weather(CLEAR_SKY, latitude_milli_degrees=31_200, longitude_milli_degrees=121_500)
DAY_S = 1_781_971_200 + 900 * np.arange(96)  # 21 June 2026 in Shanghai


def test_sun_and_clear_sky_agree_with_pvlib_at_five_places_and_four_days() -> None:
    rows = np.array(ORACLE["rows"])
    assert len(rows) == 600
    for latitude, longitude in sorted({(int(row[0]), int(row[1])) for row in ORACLE["rows"]}):
        own = rows[(rows[:, 0] == latitude) & (rows[:, 1] == longitude)]
        place = Weather(CLEAR_SKY, latitude_milli_degrees=latitude, longitude_milli_degrees=longitude)
        sun = place_of_sun(own[:, 2].astype(np.int64), place)
        zenith = np.degrees(np.arccos(sun.up))
        assert np.abs(zenith - own[:, 3]).max() < 0.02
        azimuth = np.degrees(np.arctan2(sun.east, sun.north)) % 360
        turned = np.abs((azimuth - own[:, 4] + 180) % 360 - 180) * np.sin(np.radians(own[:, 3]))
        assert turned.max() < 0.02
        level = clear_sky_w_per_m2(sun.up)
        is_day = own[:, 3] < 88
        assert np.abs(level - own[:, 5])[is_day].max() < 0.3
        assert (level[own[:, 3] > 90.1] == 0).all()


def test_a_summer_day_in_shanghai_has_the_energy_that_was_measured_for_it() -> None:
    _, level = level_w_per_m2(DAY_S, np.zeros(96), SHANGHAI)
    assert level.sum() / 4000 == pytest.approx(8.7, abs=0.05)  # kWh per square metre, pvlib


def test_clouds_take_away_and_stay_within_a_covered_sky() -> None:
    clear = level_w_per_m2(DAY_S, np.zeros(96), SHANGHAI)[1]
    covers = [cloud_cover(generator(7, 1), 96, Weather(CLEAR_SKY, 0, 1, 1, percent)) for percent in (0, 40, 100)]
    assert (covers[0] == 0).all()
    for cover in covers:
        assert cover.min() >= 0
        assert cover.max() <= 1
    levels = [level_w_per_m2(DAY_S, cover, SHANGHAI)[1].sum() for cover in covers]
    assert clear.sum() == levels[0] > levels[1] > levels[2] > 0.25 * levels[0]
    assert (cloud_cover(generator(7, 2), 96, Weather(CLEAR_SKY, 0, 1, 1, 40)) != covers[1]).any()


def test_a_level_roof_gets_what_a_level_plane_gets_and_a_tilted_one_more_toward_the_sun() -> None:
    sun, level = level_w_per_m2(DAY_S, np.zeros(96), SHANGHAI)
    flat = roof_shares(sun, level, 0, np.array([0, 180]))
    high = sun.up > 0.05
    assert flat[high, 0] == pytest.approx(level[high] / 1000)
    assert (flat[:, 0] == flat[:, 1]).all()
    winter = level_w_per_m2(DAY_S + 86_400 * 200, np.zeros(96), SHANGHAI)
    north, east, south, west = roof_shares(*winter, 35, np.array([0, 90, 180, 270])).sum(axis=0)
    assert south > 1.2 * winter[1].sum() / 1000 > east > north
    assert west == pytest.approx(east, rel=0.1)
    assert (roof_shares(sun, level, 90, np.array([0])) >= 0).all()


def test_less_light_is_more_diffuse() -> None:
    parts = diffuse_part(np.array([0.0, 200.0, 400.0, 700.0, 1100.0]), np.full(5, 0.9))
    assert (np.diff(parts) < 0).all()
    assert parts[0] == 1
    assert parts[-1] == pytest.approx(0.165)


def test_temperature_swings_about_its_mean_and_is_lowest_before_dawn() -> None:
    weather = Weather(CLEAR_SKY, 0, 31_200, 121_500, temperature_mean_c=-5, temperature_swing_k=4)
    days = temperature_c(generator(3), np.tile(np.arange(96), 30), weather).reshape(30, 96)
    assert days.mean() == pytest.approx(-5, abs=1.2)
    assert set(days.argmin(axis=1)) == {12}
    assert set(days.argmax(axis=1)) == {60}
    assert len({round(float(day.mean()), 6) for day in days}) == 30
