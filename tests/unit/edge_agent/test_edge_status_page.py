"""The status page: what it says of a running agent, and what hostile clients of the loopback get."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

import edge.status_page
from edge.nodes import Nodes
from edge.status_html import LANGUAGES, render
from edge.status_page import CONNECTIONS_MAX, HEAD_BYTES_MAX, HOST, StatusPage, gauges, status_served
from ledger.client import Client
from tests.unit.edge_agent.edge_world import CHAIN, FIRST_S, GATEWAY, SLOT_S
from tests.unit.edge_agent.test_edge_agent_path import World, running
from tests.waiting import until

WRITE_BUFFER_BYTES = 60_000
"""Less than what asyncio buffers of an answer before it makes its writer wait."""
GET = "GET {} HTTP/1.1\r\nHost: 127.0.0.1:9480\r\nAccept-Language: {}\r\n\r\n"


async def told_by_an_agent(folder: Path) -> dict[str, Any]:
    """The facts of an agent that has sampled two boundaries; meter 2 was silent at the second."""
    async with running(World(folder)) as world:
        await world.node.move_clock(FIRST_S)
        await world.arrived(1)
        world.line.silent.add(2)
        await world.node.move_clock(FIRST_S + SLOT_S)
        await world.arrived(2)
        nodes = Nodes([Client("http://192.0.2.1:8470", chain=CHAIN), Client("http://192.0.2.2:8470", chain=CHAIN)])
        return world.agent.facts(nodes, "1.2.3")


async def test_the_facts_name_clock_outbox_nodes_and_each_meter_s_last_read(tmp_path: Path) -> None:
    told = await told_by_an_agent(tmp_path)
    assert (told["gateway"], told["chain"], told["version"], told["signer"]) == (GATEWAY, CHAIN, "1.2.3", "file")
    assert told["clock"] == {"state": "simulated", "offset_ms": 0, "source": "ledger"}
    outbox = told["outbox"]
    assert (outbox["batches"], outbox["counter"], outbox["last_boundary_s"]) == (0, 2, FIRST_S + SLOT_S)
    assert outbox["acknowledged_s"] == FIRST_S + SLOT_S
    assert [(node["url"], node["is_asked"], node["last"]) for node in told["nodes"]] == [
        ("http://192.0.2.1:8470", True, ""),
        ("http://192.0.2.2:8470", False, ""),
    ]
    (line,) = told["lines"]
    rows = {meter["number"]: meter for meter in line["meters"]}
    assert (rows[1]["last_boundary_s"], rows[1]["failures"], rows[1]["reason"]) == (FIRST_S + SLOT_S, 0, "")
    assert (rows[2]["last_boundary_s"], rows[2]["failures"], rows[2]["reason"]) == (FIRST_S, 1, "no_answer")
    assert told["alarms"] == [f"no reading at {FIRST_S + SLOT_S} of installations 2"]
    numbers = {name: value for name, (_, value) in gauges(told).items()}
    assert (numbers["meters"], numbers["meters_failing"], numbers["alarms"]) == (3, 1, 1)


@asynccontextmanager
async def served(told: dict[str, Any]) -> AsyncIterator[int]:
    """The page on a free port."""
    page = StatusPage(lambda: told)
    server = await asyncio.start_server(page.serve, HOST, 0, limit=HEAD_BYTES_MAX)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        page.close()
        await server.wait_closed()


async def asked(port: int, request: str | bytes) -> tuple[str, str]:
    """Head and body of the answer; two empty texts where the connection just ends."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request.encode() if isinstance(request, str) else request)
    try:
        answer = (await reader.read()).decode()
    except ConnectionResetError:
        answer = ""
    finally:
        writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return head, body


async def test_pages_answer_in_two_languages_with_json_metrics_and_health(tmp_path: Path) -> None:
    async with served(await told_by_an_agent(tmp_path)) as port:
        head, english = await asked(port, GET.format("/", "de"))
        assert head.startswith("HTTP/1.1 200 OK")
        assert "default-src 'none'" in head
        assert "Somebody must look at this" in english
        _, chinese = await asked(port, GET.format("/", "zh-CN,en"))
        assert '<html lang="zh-CN">' in chinese
        assert "需要处理" in chinese
        assert (await asked(port, GET.format("/?lang=zh", "en")))[1] == chinese
        head, body = await asked(port, GET.format("/status.json", "en"))
        assert json.loads(body)["gateway"] == GATEWAY
        _, body = await asked(port, GET.format("/metrics", "en"))
        assert f"gridledger_edge_last_boundary_timestamp_seconds {FIRST_S + SLOT_S}\n" in body
        assert "gridledger_edge_meters_failing 1\n" in body
        assert (await asked(port, GET.format("/healthz", "en")))[1] == "OK\n"
        head, body = await asked(port, GET.format("/", "en").replace("GET", "HEAD"))
        assert (f"Content-Length: {len(english.encode())}" in head, body) == (True, "")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET.format("/nothing", "en"), "404"),
        (GET.format("/", "en").replace("GET", "POST"), "405"),
        (GET.format("/", "en").replace("127.0.0.1:9480", "bank.example"), "421"),
        (GET.format("/", "en").replace("Host: 127.0.0.1:9480\r\n", ""), "421"),
        (GET.format("/", "en").replace("127.0.0.1:9480", "[::"), "400"),
        (GET.format("/", "en").replace("HTTP/1.1", "HTTP/9"), "400"),
        (GET.format("http://127.0.0.1/", "en"), "400"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", "400"),
        ("\r\n\r\n", "400"),
        (GET.format("/?" + "a=1&" * 100, "en"), "400"),
    ],
)
async def test_what_is_no_request_for_this_page_is_refused(tmp_path: Path, request_: str | bytes, status: str) -> None:
    async with served({"gateway": "g"}) as port:
        head, _ = await asked(port, request_)
        assert head.startswith(f"HTTP/1.1 {status} ")


async def test_heads_without_end_and_clients_without_words_cost_their_connection_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with served({"gateway": "g"}) as port:
        assert await asked(port, "GET /healthz HTTP/1.1\r\n" + "X: y\r\n" * HEAD_BYTES_MAX) == ("", "")
        silent = [await asyncio.open_connection(HOST, port) for _ in range(CONNECTIONS_MAX)]
        assert await asked(port, GET.format("/healthz", "en")) == ("", ""), "one more is closed unheard"
        for _, writer in silent:
            writer.close()
        for reader, _ in silent:
            await reader.read()

        async def has_room() -> bool:
            return (await asked(port, GET.format("/healthz", "en")))[1] == "OK\n"

        await until(has_room)
    monkeypatch.setattr(edge.status_page, "REQUEST_S_MAX", 0.05)
    async with served({"gateway": "g"}) as port:
        assert await asked(port, "GET / HTTP") == ("", "")


async def test_clients_that_do_not_read_the_answer_hold_no_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.status_page, "REQUEST_S_MAX", 0.2)
    page = StatusPage(lambda: {"gateway": "g" * WRITE_BUFFER_BYTES})
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        room = writer.get_extra_info("socket")
        room.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the kernel takes as little as it can
        writers.append(writer)
        await page.serve(reader, writer)

    server = await asyncio.start_server(serve, HOST, 0, limit=HEAD_BYTES_MAX)
    with ExitStack() as clients:
        for _ in range(3):
            client = clients.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            await asyncio.to_thread(client.connect, server.sockets[0].getsockname())
            client.sendall(GET.format("/status.json", "en").encode())
        await until(lambda: len(writers) == 3)
        ends = [asyncio.ensure_future(writer.wait_closed()) for writer in writers]
        await until(lambda: all(end.done() for end in ends))
        await asyncio.gather(*ends, return_exceptions=True)
    server.close()
    await server.wait_closed()


async def test_names_of_meters_are_text_in_the_page(tmp_path: Path) -> None:
    told = await told_by_an_agent(tmp_path)
    told["lines"][0]["meters"][0]["meter"] = "<script>alert(1)</script>"
    told["lines"][0]["meters"][1]["detail"] = '"><img src=x>'
    told["alarms"], told["gateway"] = ["<b>"], "</title>"
    for language in LANGUAGES:
        page = render(told, language)
        assert not any(text in page for text in ("<script>alert", "<img", "<b>", "<title></title>"))


async def test_a_port_that_is_taken_costs_the_page_alone() -> None:
    async with served({"gateway": "g"}) as port:
        with capture_logs() as logs:
            async with status_served(port, dict) as got:
                assert got == 0
        assert [line["event"] for line in logs] == ["status_page_not_served"]
    async with status_served(port, lambda: {"gateway": "g"}) as got:
        assert (await asked(got, GET.format("/status.json", "en")))[1] == '{"gateway": "g"}'
    async with status_served(0, dict) as got:
        assert got == 0
