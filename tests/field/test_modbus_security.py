"""Modbus security: TLS on both sides, against pymodbus' server; who is not who it should be is one line."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pymodbus.server import ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge.lines import TLS_PORT, LineConfig
from edge.meters import build_lines
from edge.readers import LineDownError
from edge.readers.modbus import ModbusLine
from gridcore.errors import UsageError

HOST = "127.0.0.1"
WORDS = [0x449A, 0x51EC]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities, a certificate of the server, one of the agent."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")
    for name in ("ca", "other"):
        _openssl(
            folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
        )  # fmt: skip
    (folder / "server.cnf").write_text("subjectAltName=IP:127.0.0.1\n")
    (folder / "agent.cnf").write_text("extendedKeyUsage=clientAuth\n")
    for name in ("server", "agent"):
        _openssl(
            folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}",
        )  # fmt: skip
        _openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-out", f"{name}.pem", "-extfile", f"{name}.cnf",
        )  # fmt: skip
        (folder / f"{name}.key").chmod(0o600)
    return folder


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@asynccontextmanager
async def _serving(folder: Path) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    device = SimDevice(1, [SimData(72, values=WORDS, datatype=DataType.REGISTERS)])
    server = ModbusTlsServer([device], address=(HOST, 0), sslctx=context)
    await server.serve_forever(background=True)
    listener: object = server.transport
    assert isinstance(listener, asyncio.Server)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus annotates no result


def _config(folder: Path, port: int, *, ca: str = "ca.pem", is_known: bool = True) -> LineConfig:
    own = (folder / "agent.pem", folder / "agent.key") if is_known else (None, None)
    return LineConfig("l", HOST, port, tls=True, ca=folder / ca, certificate=own[0], key=own[1])


async def test_registers_are_read_over_tls_with_certificates_on_both_sides(folder: Path) -> None:
    async with _serving(folder) as port:
        line = ModbusLine(_config(folder, port))
        assert await line.read_words(1, 4, 72, 2, timeout_ms=5000) == WORDS
        await line.close()


async def test_server_whose_authority_is_not_ours_is_named(folder: Path) -> None:
    async with _serving(folder) as port:
        line = ModbusLine(_config(folder, port, ca="other.pem"))
        with pytest.raises(LineDownError, match="its certificate is not accepted"):
            await line.read_words(1, 4, 72, 2, timeout_ms=5000)


def test_line_without_a_port_has_the_one_of_modbus_security(folder: Path) -> None:
    assert LineConfig("l", HOST, tls=True).port == TLS_PORT == 802
    assert LineConfig("l", HOST).port == 502


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"ca": "none.pem"}, "ca .*none.pem cannot be used"),
        ({"certificate": "agent.pem", "key": "server.key"}, "cannot be used"),
        ({"certificate": "agent.pem", "key": "none.key"}, "key .*none.key: cannot be read"),
        ({"certificate": "agent.pem", "key": "ca.key"}, "others may read it"),
    ],
)
def test_certificate_or_key_that_cannot_be_used_is_one_line(folder: Path, keys: dict[str, str], message: str) -> None:
    (folder / "ca.key").chmod(0o644)
    files = {key: folder / name for key, name in keys.items()}
    config = replace(LineConfig("l", HOST, tls=True), **files)  # type: ignore[arg-type] # names of its fields
    with pytest.raises(UsageError, match=message):
        ModbusLine(config)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"host": "/dev/ttyUSB0"}, r"is a serial port; write serial = '/dev/ttyUSB0'"),
        ({}, "needs one place"),
        ({"host": HOST, "serial": Path("/dev/ttyUSB0")}, "needs one place"),
        ({"serial": Path("/dev/ttyUSB0"), "framer": "socket"}, "a serial port has 'rtu'"),
        ({"serial": Path("/dev/ttyUSB0"), "tls": True}, "a serial port has none"),
        ({"host": HOST, "ca": Path("ca.pem")}, "go with tls = true"),
        ({"host": HOST, "tls": True, "key": Path("agent.key")}, "go together"),
    ],
)
def test_line_that_contradicts_itself_is_one_line(keys: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LineConfig("l", **keys)  # type: ignore[arg-type] # what a file can say


def test_serial_port_of_two_lines_is_one_line() -> None:
    lines = [LineConfig(name, serial=Path("/dev/ttyUSB0")) for name in ("hall", "yard")]
    with pytest.raises(UsageError, match="lines: serial '/dev/ttyUSB0' is given twice"):
        build_lines(lines, [], {})
