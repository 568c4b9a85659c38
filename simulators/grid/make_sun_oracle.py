"""Make the frozen oracle of sun and clear sky with pvlib: places, moments, the sun's place and the irradiance after Haurwitz.

Runs outside the project's environment:

    uv venv VENV && uv pip install --python VENV/bin/python pvlib==0.16.1
    VENV/bin/python -m simulators.grid.make_sun_oracle tests/unit/simgrid/oracle_sun.json
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

PLACES_MILLI_DEGREES = ((31_200, 121_500), (52_500, 13_400), (-33_900, 151_200), (0, -78_500), (65_000, 25_500))
DAYS = ("2026-03-20", "2026-06-21", "2026-10-25", "2027-01-14")
STEP = "47min"


def main(arguments: Sequence[str]) -> int:
    """Write the oracle to the one path given; 2 on bad usage."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m simulators.grid.make_sun_oracle OUTPUT.json\n")
        return 2
    pandas, pvlib = importlib.import_module("pandas"), importlib.import_module("pvlib")
    rows = []
    for latitude, longitude in PLACES_MILLI_DEGREES:
        for day in DAYS:
            times = pandas.date_range(day, periods=30, freq=STEP, tz="UTC")
            place = pvlib.solarposition.get_solarposition(times, latitude / 1000, longitude / 1000)
            level = pvlib.clearsky.haurwitz(place["zenith"])["ghi"]
            for time, zenith, azimuth, ghi in zip(times, place["zenith"], place["azimuth"], level, strict=True):
                at_s = int(time.timestamp())
                rows.append([latitude, longitude, at_s, round(zenith, 4), round(azimuth, 4), round(ghi, 3)])
    names = [
        "latitude_milli_degrees",
        "longitude_milli_degrees",
        "utc_s",
        "zenith_degrees",
        "azimuth_degrees",
        "level_w_per_m2",
    ]
    lines = ",\n".join(json.dumps(row) for row in rows)
    text = f'{{"versions": "pvlib {version("pvlib")}", "columns": {json.dumps(names)}, "rows": [\n{lines}\n]}}\n'
    Path(arguments[0]).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
