"""The streams of a day: everything that entered the feeder left it, and what is not known is not drawn."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from gridseries.series import SLOTS
from gridweb.access import Role
from gridweb.pages.day_figures import Balance
from gridweb.sankey import GAP, HEIGHT, MIDDLE, Stream, sankey_of
from tests.unit.web.test_utility_pages import utility_world

DAY = Balance(
    96, 96, import_wh=700, export_wh=400, feeder_import_wh=600, feeder_export_wh=280, loss_wh=20, fed_in_wh=1_000
)


def middle_of(stream: Stream) -> tuple[int, int]:
    """From where to where a stream reaches in the middle."""
    top, bottom = re.findall(rf"{MIDDLE} (\d+)", stream.path)[-2:]
    return int(top), int(bottom)


def test_both_sides_meet_in_the_middle_and_their_energies_are_the_same_in_sum() -> None:
    found = sankey_of(DAY)

    assert found is not None
    for side in (found.sources, found.sinks):
        assert sum(stream.energy_wh for stream in side) == found.entered_wh == 1_000
        ends = [middle_of(stream) for stream in side]
        assert (ends[0][0], ends[-1][1]) == (GAP, HEIGHT - GAP)
        assert all(one[1] == following[0] for one, following in pairwise(ends))
        assert all(stream.node_top >= 0 and stream.node_top + stream.node_height <= HEIGHT for stream in side)
    assert [(stream.name, stream.ppm) for stream in found.sinks] == [
        ("taken", 700_000),
        ("to-grid", 280_000),
        ("lost", 20_000),
    ]


@pytest.mark.parametrize(
    "balance",
    [
        Balance(),
        Balance(0, 96, import_wh=700, export_wh=400),
        Balance(1, 1, import_wh=0, export_wh=0, feeder_import_wh=0, feeder_export_wh=0, loss_wh=0),
        Balance(1, 1, import_wh=700, export_wh=0, feeder_import_wh=690, feeder_export_wh=0, loss_wh=-10),
    ],
    ids=["nothing", "no feeder meter", "no energy", "losses below 0"],
)
def test_what_does_not_add_up_is_not_drawn(balance: Balance) -> None:
    assert sankey_of(balance) is None


def test_a_stream_of_nothing_has_no_place() -> None:
    found = sankey_of(Balance(1, 1, import_wh=90, export_wh=0, feeder_import_wh=100, feeder_export_wh=0, loss_wh=10))

    assert found is not None
    assert [stream.name for stream in (*found.sources, *found.sinks)] == ["from-grid", "taken", "lost"]


async def test_the_page_says_what_entered_the_feeder_and_where_it_went(tmp_path: Path) -> None:
    page = await (await utility_world(tmp_path, ["a-1"])).browser(Role.UTILITY).text("/flow")

    assert (
        "1.000 kWh entered the feeder in 1 slots of which all is known; 0.300 kWh was traded between neighbours" in page
    )
    assert "from the grid above <strong>60.0 %</strong> 0.600 kWh" in page
    assert "lost in the lines <strong>10.0 %</strong> 0.100 kWh" in page


async def test_of_an_area_without_a_feeder_meter_the_page_says_why_nothing_is_drawn(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    kept = world.series.rows[SLOTS.name]
    for key, slot in kept.items():
        values = SLOTS.values_type(*slot.values)._replace(feeder_import_wh=None, feeder_export_wh=None, loss_wh=None)
        kept[key] = slot._replace(values=values)
    page = await world.browser(Role.UTILITY).text("/flow")

    assert "No slot of this day has a feeder meter" in page
    assert "<path" not in page
