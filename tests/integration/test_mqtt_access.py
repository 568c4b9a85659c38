"""A broker that asks who one is, over TLS: who may in gets in, everyone else is told why in one line, and tried again."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTErrorCode
from structlog.testing import capture_logs

from edge.links.broker import BrokerConfig, BrokerLink, broker_tls
from gridcore.serving.ports import free_port
from simulators.meters import mosquitto_program
from tests.integration.mqtt_world import INSTALL, skip_without_mosquitto
from tests.waiting import until

pytestmark = pytest.mark.external
MESSAGES = 300


@asynccontextmanager
async def guarded_broker(folder: Path) -> AsyncIterator[int]:
    """Mosquitto with TLS and passwords; yields its port. ``cert.pem`` in the folder vouches for it."""
    skip_without_mosquitto()
    for program in ("openssl", "mosquitto_passwd"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} {INSTALL}")
    _run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem", "-subj", "/CN=broker",
        "-addext", "subjectAltName=IP:127.0.0.1",
    )  # fmt: skip
    _run("mosquitto_passwd", "-b", "-c", f"{folder}/users", "gw-1", "hush")
    port = free_port()
    (folder / "guarded.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {folder}/users\nuser root\n"
        f"certfile {folder}/cert.pem\nkeyfile {folder}/key.pem\n"
    )
    program = mosquitto_program() or "mosquitto"
    with (folder / "guarded.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(program, "-c", f"{folder}/guarded.conf", stdout=log, stderr=log)
    try:
        yield port
    finally:
        process.terminate()
        await process.wait()


def link_to(
    port: int, folder: Path, *, password: bytes | None = b"hush", ca: bool = True, name: str = "gw-1"
) -> BrokerLink:
    """A link as the agent makes it."""
    user = None if password is None else "gw-1"
    config = BrokerConfig(
        "b", "127.0.0.1", port, user=user, tls=True, ca=folder / "cert.pem" if ca else None, retry_ms_max=200
    )
    return BrokerLink(config, name, password=password, tls=broker_tls(config))


async def test_agent_gets_in_over_tls_and_every_message_of_a_burst_arrives(tmp_path: Path) -> None:
    async with guarded_broker(tmp_path) as port:
        heard: list[bytes] = []
        link, speaker = link_to(port, tmp_path), link_to(port, tmp_path, name="speaker")
        link.subscribe("burst", lambda arrival: heard.append(arrival.payload))
        for each in (link, speaker):
            each.start()
            await until(partial(each.wait_usable, 1))  # the broker may still be starting
        sent = [b"%d " % number + b"x" * 5000 for number in range(MESSAGES)]
        for payload in sent:
            speaker.publish("burst", payload)
        await until(lambda: len(heard) >= MESSAGES)
        assert heard == sent
        await link.close()
        await speaker.close()


def count_attempts(link: BrokerLink) -> list[bool]:
    """A list that grows with every attempt to connect that ends."""
    attempts: list[bool] = []
    reconnect = link._client.reconnect

    def connect_again() -> MQTTErrorCode:
        try:
            return reconnect()
        finally:
            attempts.append(True)

    link._client.reconnect = connect_again  # type: ignore[method-assign]  # watched, not changed
    return attempts


@pytest.mark.parametrize(
    ("password", "ca", "reason"),
    [
        (b"wrong", True, "the broker refuses us: Not authorized"),
        (None, True, "the broker refuses us: Not authorized"),
        (b"hush", False, "certificate verify failed"),
    ],
)
async def test_agent_that_may_not_in_says_why_once(
    tmp_path: Path, password: bytes | None, ca: bool, reason: str
) -> None:
    async with guarded_broker(tmp_path) as port:
        with capture_logs() as lines:
            link = link_to(port, tmp_path, password=password, ca=ca)
            link.start()
            await until(lambda: reason in link.trouble)  # the broker may still be starting
            attempts = count_attempts(link)
            await until(lambda: len(attempts) >= 3)
        assert not await link.wait_usable(0.1)
        told = [line["reason"] for line in lines if line["event"] == "broker_down" and reason in line["reason"]]
        assert len(told) == 1
        assert "hush" not in str(lines)
        await link.close()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
