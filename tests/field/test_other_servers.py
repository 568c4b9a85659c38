"""Our agent reads servers that we did not write: libmodbus, modbus-tk (TCP and a serial line), and PyPI dlt645."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edge.lines import LineConfig
from edge.meters import MeterConfig, build_lines, close_lines
from firmware_profiles import load_profile
from gridcore.quality import MEASURED
from tests.field.field_world import BILLED, POLICY, libmodbus_server, reading, sample, sdm_words, serial_pair
from tests.field.peers import peer_server, serving

pytestmark = pytest.mark.external
HOST = "127.0.0.1"
WORDS = sdm_words()


@asynccontextmanager
async def _modbus_tk(*unit_ids: int) -> AsyncIterator[int]:
    units = [f"{unit_id}:4:0:{','.join(WORDS)}" for unit_id in unit_ids]
    async with serving(peer_server("serve_modbus_tk", "tcp", *units)) as port:
        yield int(port)


@pytest.mark.parametrize("answers_per_connection", [0, 1], ids=["stays open", "closes after each answer"])
async def test_libmodbus_server_is_read(tmp_path: Path, answers_per_connection: int) -> None:
    command = [*libmodbus_server(tmp_path), "0", str(answers_per_connection), "4", "0", *WORDS]
    async with serving(command) as port, reading(LineConfig("L", HOST, int(port)), [1, 2]) as line:
        for _ in range(3):
            found = await sample([line])
            assert found.registers_wh == {"M1": BILLED, "M2": BILLED}


async def test_modbus_tk_server_is_read_and_a_unit_that_it_lacks_costs_nobody_else() -> None:
    async with _modbus_tk(1, 3) as port, reading(LineConfig("L", HOST, port, drain_ms=50), [1, 2, 3]) as line:
        found = await sample([line], replace(POLICY, window_ms=2_000))
    assert found.registers_wh == {"M1": BILLED, "M3": BILLED}
    assert list(found.absent) == ["M2"]


async def test_modbus_tk_on_a_serial_line_is_read() -> None:
    async with serial_pair() as (ours, theirs):
        units = [f"{unit_id}:4:0:{','.join(WORDS)}" for unit_id in (1, 2, 31)]
        async with serving(peer_server("serve_modbus_tk", "rtu", theirs, *units)):
            config = LineConfig("L", serial=Path(ours), baud=9600, parity="none")
            async with reading(config, [1, 2, 31]) as line:
                found = await sample([line])
    assert found.registers_wh == {"M1": BILLED, "M2": BILLED, "M31": BILLED}


async def test_meter_by_pypi_dlt645_is_read_to_the_last_digit_and_its_serial_number_with_it() -> None:
    """It freezes nothing: what it shows counts."""
    address, profile = "202611290001", load_profile("dlt645_2007")
    command = peer_server("serve_dlt645", address, "00010000=1234.56", "00020000=89.99")
    async with serving(command) as port:
        config = LineConfig("L", HOST, int(port), "dlt645", drain_ms=50, timeout_ms=1000)
        lines = build_lines(
            [config], [MeterConfig(1, "M1", "L", profile.id, 5_000, address=address)], {profile.id: profile}
        )
        found = await sample(lines)
        again = await sample(lines, boundary_s=1800)
        await close_lines(lines)
    assert found.registers_wh == again.registers_wh == {"M1": BILLED}
    assert again.qualities == {"M1": MEASURED}
