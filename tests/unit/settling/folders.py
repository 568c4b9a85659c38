"""Small folders of files for tests: a valid one, and the same with some files changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

RULES = """\
[market]
contract = "mid_market_rate/1"
[prices]
residual_price_micro_per_kwh = 460000
feed_in_price_micro_per_kwh = 280000
network_traded_micro_per_kwh = 180000
network_residual_micro_per_kwh = 180000
levy_micro_per_kwh = 40000
[timeline]
slot_s = 900
timezone = "Europe/Berlin"
"""
AUCTION = """\
[market]
contract = "p2p_call_auction/1"
reference_price_micro_per_kwh = 370000
rationing = "pro_rata"
[prices]
residual_price_micro_per_kwh = 460000
feed_in_price_micro_per_kwh = 280000
surplus_price_micro_per_kwh = 280000
shortfall_price_micro_per_kwh = 460000
network_traded_micro_per_kwh = 180000
network_residual_micro_per_kwh = 180000
levy_micro_per_kwh = 40000
[timeline]
slot_s = 900
gate_before_start_s = 300
metering_deadline_s = 900
"""
POINTS = "point,party,area\nP1,M1,A1\nP2,M2,A1\n"
READINGS = """\
start,point,import_kwh,export_kwh,quality
2025-06-01T00:00:00Z,P1,0.5,0,
2025-06-01T00:00:00Z,P2,0,0.25,measured
2025-06-01T02:15:00+02:00,P1,1.125,0,estimated
2025-06-01T02:15:00,P2,0.001,12,corrected
"""
VALID = {"rules.toml": RULES, "points.csv": POINTS, "readings.csv": READINGS}


def make_folder(folder: Path, changes: Mapping[str, str | bytes | None]) -> Path:
    """Write the valid folder with ``changes``: other content of a file, None for none. Names may lie in a folder of their own."""
    for name, content in {**VALID, **changes}.items():
        if content is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder
