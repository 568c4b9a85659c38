"""Gateways come in by mutual TLS: who has no certificate of the node's authority, or another gateway's, gets one line."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import CertificateBuilder, Name, NameAttribute, load_pem_x509_certificate
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from edge.batches import BatchMaker
from edge.nodes import Nodes
from edge.outbox import Outbox
from edge.outbox_file import QueuedBatch, create_outbox
from edge.progress import Progress
from edge.receipts import ReceiptTrust
from edge.submit import Outcome, Submitter
from gridcore.clock import WallClock
from gridcore.config import load_config
from gridcore.light.state import LightState
from gridcore.light.trusted import begin
from gridcore.serving.tls import TlsFiles
from gridcore.sm3 import sm3
from gridcore.tls_certificates import issue, load_authority, make_authority
from gridcore.transactions.reading_batch import ClockState
from gridcore.transactions.readings import Reading
from gridledger.cli import main
from gridledger.founding import config as founding
from ledger.client import Client, NodeRefused, NodeUnreachable
from ledger.config import NodeConfig, check_node
from tests.unit.edge_agent.edge_world import append
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.keys import key
from tests.worlds.nodes import RunningNode, running_node

NOW_S = WallClock().now_s()
DAY = timedelta(days=1)
OWN = 'node_certificate = "a.crt"\nnode_certificate_key = "a.key"\n'
LONG_AGO_S = NOW_S - 10 * 86_400


class World(NamedTuple):
    """A node with a door for gateways, and a folder of certificates."""

    node: RunningNode
    tls: Path

    def client(self, certificate: str = "gw-1", signer: str = "gw-1", authority: str = "authority") -> Client:
        """A client that shows a certificate and signs as somebody."""
        own = TlsFiles(self.tls / f"{certificate}.crt", self.tls / f"{certificate}.key") if certificate else None
        return Client(
            self.node.gateways_url,
            chain=self.node.chain,
            signer_id=signer,
            signer=key(signer),
            timeout_s=10,
            authority=self.tls / f"{authority}.crt",
            own=own,
        )


@asynccontextmanager
async def world(folder: Path, server: str = "node") -> AsyncIterator[World]:
    tls = folder / "tls"
    tls.mkdir()
    (tls / "other").mkdir()
    authority = make_authority("connections", NOW_S, tls)
    other = make_authority("strangers", NOW_S, tls / "other")
    (tls / "strangers.crt").write_bytes((tls / "other" / "authority.crt").read_bytes())
    for name in ("gw-1", "gw-2", "util"):
        issue(authority, name, (), NOW_S, tls)
    issue(authority, "expired", (), LONG_AGO_S, tls, days=1)
    issue(other, "stranger", (), NOW_S, tls)
    issue(authority, "node", ["127.0.0.1"], NOW_S, tls)
    issue(authority, "old-node", ["127.0.0.1"], LONG_AGO_S, tls, days=1)
    issue(authority, "elsewhere", ["node.example"], NOW_S, tls)
    files = TlsFiles(tls / f"{server}.crt", tls / f"{server}.key", tls / "authority.crt")
    async with running_node(folder / "node", gateways=files) as node:
        yield World(node, tls)


def new_outbox_of(folder: Path, chain: str) -> Outbox:
    create_outbox(folder / "o", Progress("gw-1", chain, 1))
    return Outbox.open(folder / "o", gateway="gw-1", chain=chain)


def outbox_of(folder: Path, chain: str) -> Outbox:
    outbox = new_outbox_of(folder, chain)
    maker = BatchMaker("gw-1", chain, key("gw-1"), "test/1", bytes(32), sm3(b"profiles"))
    readings = [Reading(1, 0, 0, 1000, 0)]
    append(outbox, lambda progress: maker.make(FIRST_S, readings, progress, ClockState(0, "simulated")))
    return outbox


def submitter(node: Client | Nodes, outbox: Outbox, chain: str) -> Submitter:
    trusted = begin(chain, bytes(32), [(key("operator").public_key, 1)])
    return Submitter(node, outbox, trust=ReceiptTrust(LightState(trusted, ()), Path("never-written")))


async def test_gateway_with_its_certificate_delivers_and_asks(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        sender = here.node.sender()
        await here.node.client("clock").submit([sender.clock(FIRST_S)])
        outbox = outbox_of(tmp_path, here.node.chain)
        async with here.client() as client:
            assert await submitter(client, outbox, here.node.chain).submit_once() is Outcome.ALL_DONE
            assert (await client.query("gateways/gw-1"))["counter"] == 1
        outbox.close()


async def test_connection_is_tls_1_3_over_p_256_and_nothing_older(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(here.tls / "authority.crt")
        context.load_cert_chain(here.tls / "gw-1.crt", here.tls / "gw-1.key")
        port = urlsplit(here.node.gateways_url).port
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        secured = writer.get_extra_info("ssl_object")
        assert secured.version() == "TLSv1.3"
        writer.close()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=context)


class Meter:
    """A relay in front of a node's door that counts the bytes of both ways."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.bytes = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        ways = [self._carry(reader, far_writer), self._carry(far_reader, writer)]
        await asyncio.gather(*ways)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                self.bytes += len(data)
                writer.write(data)
                await writer.drain()
        writer.close()


async def test_a_day_of_fifty_meters_takes_less_than_a_mebibyte_on_the_way_to_the_node(tmp_path: Path) -> None:
    """A connection of its own for each boundary: handshake, batch, answer and receipt. Shown by ``pytest -s``; without TCP's headers."""
    boundaries, meters = 3, 50
    async with world(tmp_path) as here:
        port = urlsplit(here.node.gateways_url).port
        assert port is not None
        relay = Meter(port)
        server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
        node = replace(here.node, gateways_url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        sender = here.node.sender()
        outbox, chain = new_outbox_of(tmp_path, here.node.chain), here.node.chain
        maker = BatchMaker("gw-1", chain, key("gw-1"), "test/1", bytes(32), sm3(b"profiles"))
        spent = []
        for slot in range(boundaries):
            rows = [Reading(n, 90 * n, 0, 1_000_000 * n + 700 * slot, 3 * n) for n in range(1, meters + 1)]
            boundary_s = FIRST_S + slot * SLOT_S
            await here.node.client("clock").submit([sender.clock(boundary_s)])
            append(outbox, partial(_batch, maker, boundary_s, rows))
            before = relay.bytes
            async with World(node, here.tls).client() as client:
                assert await submitter(client, outbox, chain).submit_once() is Outcome.ALL_DONE
            spent.append(relay.bytes - before)
        outbox.close()
        server.close()
    day_bytes = 96 * max(spent)
    print(f"{meters} meters: {max(spent)} bytes a boundary, {day_bytes} a day of 96")
    assert day_bytes < 1 << 20


def _batch(maker: BatchMaker, boundary_s: int, rows: list[Reading], progress: Progress) -> QueuedBatch:
    return maker.make(boundary_s, rows, progress, ClockState(0, "synced"))


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ("stranger", "it does not know who signed our certificate: node_certificate is by another authority"),
        ("expired", "our certificate has expired: have a new one issued for node_certificate"),
        ("", "it wants a certificate: give node_certificate and node_certificate_key"),
    ],
)
async def test_gateway_without_a_good_certificate_gets_one_line(tmp_path: Path, certificate: str, reason: str) -> None:
    async with world(tmp_path) as here:
        outbox = outbox_of(tmp_path, here.node.chain)
        async with here.client(certificate) as client:
            with capture_logs() as logs:
                assert await submitter(client, outbox, here.node.chain).submit_once() is Outcome.RETRY
        (line,) = [line for line in logs if line["event"] == "node_does_not_answer"]
        assert reason in line["reason"]
        assert "\n" not in line["reason"]
        assert outbox.depth == 1
        outbox.close()


@pytest.mark.parametrize(
    ("server", "authority", "reason"),
    [
        ("node", "strangers", "its certificate is by none of node_authority"),
        ("old-node", "authority", "its certificate has expired, or this machine's clock is wrong"),
        ("elsewhere", "authority", "its certificate is of another host"),
    ],
)
async def test_node_that_cannot_prove_itself_gets_nothing(
    tmp_path: Path, server: str, authority: str, reason: str
) -> None:
    async with world(tmp_path, server) as here, here.client(authority=authority) as client:
        with pytest.raises(NodeUnreachable) as caught:
            await client.status()
        assert str(caught.value) == f"{here.node.gateways_url}: no node answers there ({reason})"


async def test_certificate_of_another_gateway_is_refused_with_both_names(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        outbox = outbox_of(tmp_path, here.node.chain)
        async with here.client("gw-2") as client:
            with capture_logs() as logs:
                assert await submitter(client, outbox, here.node.chain).submit_once() is Outcome.RETRY
            (line,) = [line for line in logs if line["event"] == "node_refused"]
            assert "this connection's certificate is of gw-2, what it sends is signed by gw-1" in line["reason"]
            with pytest.raises(NodeRefused, match="certificate is of gw-2"):
                await client.query("gateways/gw-1")
        assert (await here.node.client("reg").query("gateways/gw-1"))["counter"] == 0
        outbox.close()


@pytest.mark.parametrize(("names", "said"), [((), "nobody in particular"), (("gw-2", "gw-1"), "gw-2 and gw-1")])
async def test_certificate_without_one_name_speaks_for_no_gateway(
    tmp_path: Path, names: tuple[str, ...], said: str
) -> None:
    async with world(tmp_path) as here:
        authority, own = load_authority(here.tls), ec.generate_private_key(ec.SECP256R1())
        builder = CertificateBuilder(authority.certificate.subject).public_key(own.public_key()).serial_number(1)
        subject = Name([NameAttribute(NameOID.COMMON_NAME, name) for name in names])
        begins = datetime.fromtimestamp(NOW_S, UTC)
        builder = builder.subject_name(subject).not_valid_before(begins - DAY).not_valid_after(begins + DAY)
        certificate = builder.sign(authority.key, SHA256())
        (here.tls / "odd.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
        (here.tls / "odd.key").write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        async with here.client("odd") as client:
            with pytest.raises(NodeRefused, match=f"certificate is of {said}, what it sends is signed by gw-1"):
                await client.query("gateways/gw-1")


async def test_organisation_opens_an_epoch_over_its_gateway_s_connection(tmp_path: Path) -> None:
    """An engineer on the gateway signs by the organisation's key; only what gateways sign is bound to the certificate."""
    async with world(tmp_path) as here, here.client("gw-1", signer="reg") as client:
        assert (await client.query("gateways/gw-1"))["epoch"] == 1


async def test_other_door_stays_as_it_is(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        assert (await here.node.client("gw-1").query("gateways/gw-1"))["counter"] == 0


async def test_another_node_is_asked_where_one_does_not_answer_and_stays_the_one(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        outbox = outbox_of(tmp_path, here.node.chain)
        await here.node.client("clock").submit([here.node.sender().clock(FIRST_S)])
        dead = Client("http://127.0.0.1:9", chain=here.node.chain, timeout_s=2)
        async with Nodes([dead, here.client()]) as nodes:
            with capture_logs() as logs:
                assert await submitter(nodes, outbox, here.node.chain).submit_once() is Outcome.ALL_DONE
                await nodes.status()
            assert [line["instead_of"] for line in logs if line["event"] == "another_node_is_asked"] == [dead.url]
        outbox.close()


async def test_no_node_at_all_is_the_trouble_of_the_last_one() -> None:
    async with Nodes([Client("http://127.0.0.1:9"), Client("http://127.0.0.1:10")]) as nodes:
        with pytest.raises(NodeUnreachable, match=r"127\.0\.0\.1:(9|10): no node answers there"):
            await nodes.status()


def test_genesis_new_makes_certificates_that_node_and_gateways_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = founding.EXAMPLE.read_text(encoding="utf-8").replace("[listen]", "[listen]\ngateways_port = 7071", 1)
    (tmp_path / "village.toml").write_text(text, encoding="utf-8")
    out = tmp_path / "village"
    assert main(["genesis", "new", "--config", str(tmp_path / "village.toml"), "--out", str(out)]) == 0
    config = load_config(out / "node.toml", NodeConfig)
    check_node(config)
    assert config.gateways is not None
    assert config.gateways.port == 7071
    assert main(["edge", "check", "--config", str(out / "edge-1.toml")]) == 0
    assert 'node = "https://127.0.0.1:7071"' in (out / "edge-1.toml").read_text()
    assert [path.name for path in sorted((out / "tls").glob("*.key"))] == ["authority.key", "gateway-1.key", "node.key"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (out / "tls").glob("*.key"))
    capsys.readouterr()
    words = [
        "certificate",
        "connection",
        "--authority",
        str(out / "tls"),
        "--name",
        "gateway-1",
        "--out",
        str(tmp_path),
    ]
    assert main(words) == 0
    renewed = load_pem_x509_certificate((tmp_path / "gateway-1.crt").read_bytes())
    renewed.verify_directly_issued_by(load_authority(out / "tls").certificate)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda text: text.replace("http:", "https:") + OWN.partition("\n")[0] + "\n",
            "node_certificate and node_certificate_key go together",
        ),
        (lambda text: text + 'more_nodes = ["http://127.0.0.1:9"]\n', "node and more_nodes: URL"),
        (lambda text: text + 'more_nodes = ["ftp://x"]\n', "write http://HOST:PORT"),
        (
            lambda text: text + OWN,
            "node_certificate: http://127.0.0.1:9 would be sent to without it, in the clear; write https://",
        ),
        (
            lambda text: text.replace("http:", "https:") + 'more_nodes = ["http://127.0.0.1:8"]\n' + OWN,
            "node_certificate: http://127.0.0.1:8 would be sent to without it",
        ),
        (lambda text: text.replace("http:", "https:") + OWN, "no certificate with its key, in PEM"),
        (
            lambda text: text.replace("http:", "https:") + OWN.replace("a.key", "open.key"),
            "open.key: mode 0644 lets others use the secret",
        ),
        (lambda text: text.replace("http:", "https:") + OWN.replace("a.key", "none"), "node_certificate_key: file:"),
    ],
)
def test_configuration_of_connections_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[str], str], reason: str
) -> None:
    from tests.unit.edge_agent.edge_world import write_config

    path = write_config(tmp_path)
    for name, mode in (("a.key", 0o600), ("open.key", 0o644)):
        (tmp_path / name).write_text("no key")
        (tmp_path / name).chmod(mode)
    head, mark, rest = path.read_text().partition("[[lines]]")
    path.write_text(change(head) + mark + rest)
    assert main(["edge", "check", "--config", str(path)]) == 2
    assert reason in capsys.readouterr().err
