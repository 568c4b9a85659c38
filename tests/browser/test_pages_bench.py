"""The benchmark ``pages`` finds every page that it measures."""

from __future__ import annotations

import pytest

from benchmarks import find_benchmarks
from benchmarks.pages import BENCHMARKS, DEMO, DISTRICT, DISTRICT_PAGES, PAGES, measure_pages
from tests.demo.live import LiveDemo

pytestmark = pytest.mark.slow


def test_every_page_of_the_benchmark_is_answered_and_counted(demonstration: LiveDemo) -> None:
    found = measure_pages(demonstration.url(), demonstration.out, requests=3)

    assert {name: len(seconds) for name, seconds in found.items()} == dict.fromkeys(PAGES, 3)
    assert all(seconds == sorted(seconds) and seconds[0] > 0 for seconds in found.values())


def test_each_page_has_its_median_its_95th_percentile_and_those_of_a_district() -> None:
    names = {f"pages/{DEMO}/{page}_p{percent}" for page in PAGES for percent in (50, 95)}
    names |= {f"pages/{DISTRICT}/{page}_{what}" for page in DISTRICT_PAGES for what in ("p95", "first")}

    assert names == set(BENCHMARKS)
    assert names <= set(find_benchmarks())
