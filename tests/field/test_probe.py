"""``gridledger edge probe`` as a field engineer uses it: serial lines, DL/T 645, every meter of a configuration."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from firmware_profiles import FOLDER, ModbusProfile, load_profile
from gridledger.cli import main
from simulators.meters import Fault, MeterFleet, VirtualMeter
from simulators.meters.fleet import LineEndpoint
from tests.field.field_world import serial_pair
from tests.unit.edge_agent.edge_world import write_config

HOST = "127.0.0.1"
SDM = load_profile("eastron_sdm630", kind=ModbusProfile)
SDM630 = (FOLDER / "eastron_sdm630.toml").read_text("utf-8")
ABB = load_profile("abb_b23", kind=ModbusProfile)
DLT645 = "000000000005"
REQUEST_BYTES = 12
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def command(end: LineEndpoint, framer: str) -> list[str]:
    """The words that probe the meter of unit or number 5 at the end of a line."""
    scheme = framer if end.device else "tcp"
    place = [f"{scheme}:{end.device}", "--parity", "none"] if end.device else [f"tcp://{HOST}:{end.port}"]
    if framer == "dlt645":
        return ["edge", "probe", *place, "--address", DLT645, "--profile", "dlt645_2007"]
    words = ["edge", "probe", *place, "--unit", "5", "--profile", SDM.id]
    return [*words, "--framer", "rtu"] if framer == "rtu" and not end.device else words


@pytest.mark.parametrize(
    ("framer", "medium"),
    [("socket", "tcp"), ("rtu", "tcp"), ("rtu", "pty"), ("dlt645", "tcp"), ("dlt645", "pty")],
)
async def test_a_meter_is_shown_whole_over_every_kind_of_line(
    framer: str, medium: str, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = None if framer == "dlt645" else SDM
    fleet = MeterFleet([VirtualMeter("M-5", "l", 5, profile)], framer=framer, medium=medium)
    (end,) = await fleet.start()
    fleet.set_registers([1_234_000], [500], power_w=[3000.0])
    try:
        assert await asyncio.to_thread(main, [*command(end, framer), "--json"]) == 0, capsys.readouterr().out
        found = json.loads(capsys.readouterr().out)
        rows = {row["obis"]: row for row in found["points"]}
        assert (found["fine"], found["order_guess"]) == (True, None)
        assert (rows["1.8.0"]["kwh"], rows["2.8.0"]["kwh"]) == ("1234", "0.5")
        assert rows["1.8.0"]["raw"] == ("0034 1200" if framer == "dlt645" else "449a 4000")
        assert all(row["latency_ms"] >= 0 and row["raw"] for row in found["points"])
        if framer == "dlt645":
            facts = {row["obis"]: row["detail"] for row in found["identity"]}
            assert len(facts["serial"]) == 12
            assert len(facts["date"]) == 8
        assert await asyncio.to_thread(main, command(end, framer)) == 0
        assert "may produce billable readings" in capsys.readouterr().out
    finally:
        await fleet.close()


async def test_words_turned_around_on_their_way_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    turned = SDM630.replace('"eastron_sdm630"', '"turned"', 1).replace('order = "ABCD"', 'order = "CDAB"', 1)
    for first, second in (("47c3", "4f80"), ("43fa", "0000"), ("462c", "8000")):  # its fixtures, in the same order
        turned = turned.replace(f'raw = "{first} {second}"', f'raw = "{second} {first}"')
    (tmp_path / "turned.toml").write_text(turned, "utf-8")
    fleet = MeterFleet([VirtualMeter("M-5", "l", 5, load_profile("turned", tmp_path, kind=ModbusProfile))])
    (end,) = await fleet.start()
    fleet.set_registers([1_234_000], [500], power_w=[3000.0])
    try:
        assert await asyncio.to_thread(main, command(end, "socket")) == 1
        shown = capsys.readouterr().out
        assert "must not be used for billing like this" in shown
        assert "values look right in order CDAB" in shown
    finally:
        await fleet.close()


async def configured(folder: Path) -> tuple[list[MeterFleet], Path]:
    """Three lines of six meters: two over TCP, one serial DL/T 645; one more line that nobody serves."""
    tcp = MeterFleet([VirtualMeter(f"T-{n}", "tcp", n, SDM if n < 3 else ABB) for n in (1, 2, 3)])
    bus = MeterFleet([VirtualMeter(f"B-{n}", "bus", n) for n in (1, 2)], framer="dlt645", medium="pty")
    (one,), (two,) = await tcp.start(), await bus.start()
    tables = (
        f'[[lines]]\nline = "tcp"\nhost = "{HOST}"\nport = {one.port}\ntimeout_ms = 200\ndrain_ms = 20\n'
        f'[[lines]]\nline = "bus"\nserial = "{two.device}"\nframer = "dlt645"\nparity = "none"\n'
    )
    for number, line, place, profile in (
        (11, "tcp", "unit_id = 1", SDM.id),
        (12, "tcp", "unit_id = 2", SDM.id),
        (13, "tcp", "unit_id = 3", SDM.id),  # an ABB stands there
        (21, "bus", 'address = "000000000001"', "dlt645_2007"),
        (22, "bus", 'address = "000000000002"', "dlt645_2007"),
    ):
        tables += f'[[meters]]\nnumber = {number}\nmeter = "N-{number}"\nline = "{line}"\n{place}\n'
        tables += f'limit_wh = 10000\nprofile = "{profile}"\n'
    return [tcp, bus], write_config(folder, _tables=tables)


async def test_every_meter_of_a_configuration_is_one_line_and_all_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleets, path = await configured(tmp_path)
    fleets[0].set_registers([1_000, 2_000, 3_000], [0, 0, 0])
    fleets[1].set_registers([10_000, 20_000], [0, 0])
    fleets[0].set_fault("T-2", Fault(silent=True))
    words = ["edge", "probe", "--config", str(path)]
    try:
        assert await asyncio.to_thread(main, words) == 1
        lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
        assert set(lines) == {"N-11", "N-12", "N-13", "N-21", "N-22", "M-1", "3"}
        assert "fine: 1.8.0 1 kWh, 2.8.0 0 kWh" in lines["N-11"]
        assert "fine: 1.8.0 10 kWh" in lines["N-21"]
        assert "serial number" in lines["N-22"]
        assert "NOT FINE" in lines["N-12"]
        assert "no answer within 200 ms" in lines["N-12"]
        assert "NOT FINE" in lines["N-13"]
        assert "Connection refused" in lines["M-1"]  # of write_config: nobody is at that line
        assert lines["3"] == "3 of 6 meters may produce billable readings"
        assert await asyncio.to_thread(main, [*words, "--json"]) == 1
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert [(row["number"], row["fine"]) for row in found["meters"]] == [
            (1, False), (11, True), (12, False), (13, False), (21, True), (22, True)
        ]  # fmt: skip
        assert await asyncio.to_thread(main, [*words, "--meter", "N-21"]) == 0
        assert "00010000" in capsys.readouterr().out
    finally:
        for fleet in fleets:
            await fleet.close()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Whoever has as many clients as it serves."""
    writer.close()


async def is_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A host that takes the connection, and no meter behind it."""
    await reader.read()
    writer.close()


async def speaks_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The page of a gateway, where its port was confused with that of Modbus."""
    await reader.read(REQUEST_BYTES)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    writer.close()


def answers(make: Callable[[bytes], bytes]) -> Handler:
    """A device that answers each request with what ``make`` makes of it, behind the header's transaction and protocol id."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = await reader.readexactly(REQUEST_BYTES)
                body = make(asked)
                writer.write(asked[:4] + len(body).to_bytes(2, "big") + body)
        writer.close()

    return handle


def exception(code: int) -> Handler:
    """A device that answers each request with this exception."""
    return answers(lambda asked: bytes((asked[6], asked[7] | 0x80, code)))


def of_unit_7(asked: bytes) -> bytes:
    """Registers that another unit shows."""
    return bytes((7, asked[7], 2 * asked[11])) + bytes(2 * asked[11])


@pytest.mark.parametrize(
    ("handler", "said", "look_at"),
    [
        (hangs_up, "the connection was lost", "ends each connection at once"),
        (is_silent, "no answer within 1000 ms", "is the unit id right, or is it a serial device server, framer rtu?"),
        (speaks_http, "no Modbus TCP header but 48 54 54 50", "are port and framing right"),
        (answers(of_unit_7), "the answer is of unit 7, not of unit 5", "is one device alone at this unit id?"),
        (exception(11), "exception 11 (gateway target does not", "the gateway is there and the meter behind it silent"),
        (exception(10), "exception 10 (gateway path", "the gateway is there and the meter behind it silent"),
        (exception(2), "exception 2 (illegal data address)", "the meter is there and has nothing of this profile"),
    ],
    ids=["hangs_up", "silent_unit", "another_port", "another_unit", "gateway_waits", "gateway_has_no_way", "model"],
)
async def test_meter_that_is_out_of_reach_is_one_line_with_where_to_look(
    handler: Handler, said: str, look_at: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server = await asyncio.start_server(handler, HOST, 0)
    end = LineEndpoint("l", HOST, server.sockets[0].getsockname()[1])
    try:
        assert await asyncio.to_thread(main, command(end, "socket")) == 1
    finally:
        server.close()
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert said in line
    assert look_at in line


async def test_meter_that_is_silent_on_a_serial_bus_is_one_line_with_how_the_bus_is_set_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for framer, place in (("rtu", "unit id"), ("dlt645", "address")):
        async with serial_pair() as (ours, _):
            assert await asyncio.to_thread(main, command(LineEndpoint("l", "", 0, ours), framer)) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "no answer within" in line
        assert (
            f"is the {place} right, are {2400 if framer == 'dlt645' else 9600} baud, parity none, 1 stop bits" in line
        )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tcp://127.0.0.1:1"], "the host is there and nothing listens at this port"),
        (["tcp://no-such-host.invalid"], "no name service here knows this host"),
        (["rtu:/dev/nobody-has-this"], "is the adapter plugged in?"),
        (["rtu:/etc/hostname"], "is no serial port"),
    ],
)
def test_place_that_is_not_there_is_one_line_with_where_to_look(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["edge", "probe", *words, "--unit", "1", "--profile", SDM.id]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rtu:/dev/nobody-has-this", "--unit", "1", "--profile", SDM.id], "/dev/nobody-has-this"),
        (["/dev/ttyUSB0", "--unit", "1", "--profile", SDM.id], "write rtu:/dev/ttyUSB0, or dlt645:/dev/ttyUSB0"),
        (["ttyUSB0", "--unit", "1", "--profile", SDM.id], "write rtu:/dev/ttyUSB0, or dlt645:/dev/ttyUSB0"),
        (["dlt645:/dev/ttyUSB0", "--unit", "1", "--profile", SDM.id], "is read by rtu; write rtu:/dev/ttyUSB0"),
        (["rtu:/dev/ttyUSB0", "--address", DLT645, "--profile", "dlt645_2007"], "write dlt645:/dev/ttyUSB0"),
        (["tcp://h", "--unit", "1", "--profile", "dlt645_2007"], "give --address with its 12 digits"),
        (["tcp://h", "--address", "5", "--profile", "dlt645_2007"], "--address '5' is not 12 digits"),
        (["tcp://h", "--address", "5", "--profile", SDM.id], "give --unit N, and no --address"),
        (["tcp://h", "--unit", "1", "--profile", "shelly_pro3em"], "write mqtt://HOST:PORT/ADDRESS"),
        (["tcp://h", "--unit", "1"], "give --profile ID"),
        ([], "give the ADDRESS of a meter or device, or --config FILE"),
        (["tcp://h", "--config", "edge.toml"], "give the ADDRESS of a meter or device, or --config FILE"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "probe", *words]) in (1, 2)
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1
