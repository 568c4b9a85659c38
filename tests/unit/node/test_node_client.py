"""The client against servers that are away, slow, or no nodes at all: one line each, and nothing believed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gridcore import node_interface
from gridcore.errors import UsageError
from gridcore.signed_query import INSTANCE_BYTES, Audience
from ledger import client as client_module
from ledger.client import (
    Answer,
    Client,
    NodeBusy,
    NodeRefused,
    NodeUnreachable,
    run_with_client,
)
from tests.worlds.false_node import STATUS, answering, http
from tests.worlds.keys import key
from tests.worlds.nodes import running_node
from tests.worlds.two_areas import TWO_AREAS


async def test_nothing_listening_is_unreachable() -> None:
    async with Client("http://127.0.0.1:9", timeout_s=2) as client:
        with pytest.raises(NodeUnreachable, match=r"^http://127\.0\.0\.1:9: no node answers there") as raised:
            await client.status()
    assert "\n" not in str(raised.value)


async def test_silence_is_unreachable() -> None:
    async with answering(lambda _: None) as url, Client(url, timeout_s=0.1) as client:
        with pytest.raises(NodeUnreachable, match=r"no answer within 0\.1 s"):
            await client.status()


async def test_a_broken_answer_is_unreachable() -> None:
    async with answering(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{") as url, Client(url) as client:
        with pytest.raises(NodeUnreachable):
            await client.status()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http(b"<html>", kind="text/html"), "no JSON"),
        (http([]), "'chain' is not 1 to 64 of A-Z"),
        (http(STATUS | {"height": "1"}), "'height' is not a whole number"),
        (http(STATUS | {"height": True}), "'height' is not a whole number"),
        (http(STATUS | {"header_digest": "zz"}), "no hex digits under 'header_digest'"),
        (http(b"moved", "302 Found"), "status 302 Found"),
        (http(b"gone", "404 Not Found"), "status 404 Not Found"),
        (http(b"[1]", "500 Oops", "application/problem+json"), "status 500"),
        (http({"detail": 7}, "400 Bad", "application/problem+json"), "7"),
        (http({"detail": "no\nsuch  thing"}, "404 Not Found", "application/problem+json"), "no such thing"),
    ],
)
async def test_what_is_no_node_is_refused_in_one_line(answer: bytes, words: str) -> None:
    async with answering(lambda _: answer) as url, Client(url) as client:
        with pytest.raises(NodeRefused, match=words) as raised:
            await client.status()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("type_", "word"),
    [
        ({"type": "urn:gridledger:problem:not-yet"}, "not-yet"),
        ({"type": "urn:gridledger:problem:busy"}, "busy"),
        ({"type": "urn:gridledger:problem:of another time"}, "busy"),
        ({"type": ["?"]}, "busy"),
        ({}, "busy"),
    ],
)
async def test_not_now_is_unreachable_and_says_in_a_word_why(type_: dict[str, Any], word: str) -> None:
    problem = {"detail": "the node is going down", **type_}
    busy = http(problem, "503 Service Unavailable", "application/problem+json")
    async with answering(lambda _: busy) as url, Client(url) as client:
        with pytest.raises(NodeUnreachable, match="going down") as raised:
            await client.status()
    assert isinstance(raised.value, NodeBusy)
    assert raised.value.word == word


async def test_an_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ANSWER_BYTES_MAX", 1000)
    async with answering(lambda _: http(b"x" * 1001)) as url, Client(url) as client:
        with pytest.raises(NodeRefused, match="more than 1000 bytes"):
            await client.fetch_bytes("status")


async def test_another_chain_than_expected_is_refused() -> None:
    async with answering(lambda _: http(STATUS)) as url, Client(url, chain="d") as client:
        with pytest.raises(NodeRefused, match="is of chain c, expected d"):
            await client.status()


async def test_answers_are_read_whole_or_not_at_all() -> None:
    entry = {
        "id": "ab" * 32,
        "code": 2,
        "name": "WAITING",
        "retry": True,
        "height": None,
        "waiting_for": 7,
        "other_history": False,
        "rows": [[0, 1, 82]],
    }
    async with answering(lambda _: http({"answers": [entry]})) as url, Client(url) as client:
        assert await client.submit([b"x"]) == [Answer(b"\xab" * 32, 2, "WAITING", True, None, 7, ((0, 1, 82),))]
    for broken in (entry | {"height": "1"}, entry | {"rows": [[1]]}, {}):
        async with answering(lambda _, broken=broken: http({"answers": [broken]})) as url, Client(url) as client:  # type: ignore[misc]  # a default binds the loop's value
            with pytest.raises(NodeRefused):
                await client.submit([b"x"])
    async with answering(lambda _: http({"answers": []})) as url, Client(url) as client:
        with pytest.raises(NodeRefused, match="0 answers to 1 transactions"):
            await client.submit([b"x"])
        assert await client.submit([]) == []


async def test_a_receipt_that_is_none_is_refused() -> None:
    async with answering(lambda _: http(b"\x00", kind="application/cbor")) as url, Client(url) as client:
        with pytest.raises(NodeRefused, match="a receipt that cannot be decoded"):
            await client.receipt(bytes(32))


async def test_long_submissions_go_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_interface, "TRANSACTIONS_MAX", 3)
    monkeypatch.setattr(node_interface, "SUBMISSION_BYTES_MAX", 200)
    async with running_node(tmp_path / "ledger") as node:
        answers = await node.client().submit([bytes([index]) * (index * 10) for index in range(1, 12)])
    assert [answer.name for answer in answers] == ["NOT_CANONICAL"] * 11


def test_parts_keep_both_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_interface, "TRANSACTIONS_MAX", 3)
    monkeypatch.setattr(node_interface, "SUBMISSION_BYTES_MAX", 200)
    sizes = [1, 1, 1, 1, 90, 90, 500, 1]
    parts = list(node_interface.parts_of([bytes(size) for size in sizes]))
    assert [[len(wire) for wire in part] for part in parts] == [[1, 1, 1], [1, 90], [90], [500], [1]]


async def test_the_chain_is_asked_once_when_it_is_not_given(tmp_path: Path) -> None:
    async with (
        running_node(tmp_path / "ledger") as node,
        Client(node.url, signer_id="util", signer=key("util")) as client,
    ):
        assert await client.chain() == TWO_AREAS.chain
        assert len((await client.query("areas"))["areas"]) == 2


@pytest.mark.parametrize("url", ["http://me:hush@host:80", "https://hush@host", "http://me:hush@host:99999"])
def test_a_url_with_a_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match=r"^node URL: holds a user or a password") as caught:
        Client(url)
    assert "hush" not in str(caught.value)


def test_an_authority_is_not_ignored_for_a_node_in_the_clear(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"http://127\.0\.0\.1:7070': would be asked in the clear"):
        Client("http://127.0.0.1:7070", authority=tmp_path / "authority.crt")


@pytest.mark.parametrize("signer_id", ["", "\u00fc", "a\r\nb", "a, b", 65 * "x"])
def test_a_signer_whose_id_no_header_can_carry_is_named(signer_id: str) -> None:
    with pytest.raises(UsageError, match=r"^signer .*: is 1 to 64 of A-Z a-z 0-9 \. _ -$"):
        Client("http://127.0.0.1:7070", signer_id=signer_id, signer=key("util"))


@pytest.mark.parametrize("url", ["", "localhost:80", "ftp://host", "http://", "http://host/?x=1", "http://host:80/#a"])
def test_another_form_of_url_is_named(url: str) -> None:
    with pytest.raises(UsageError, match="write http://HOST:PORT"):
        Client(url)


def test_a_command_line_needs_no_event_loop_of_its_own() -> None:
    with pytest.raises(NodeUnreachable):
        run_with_client("http://127.0.0.1:9", lambda client: client.status(), timeout_s=2)


def test_a_gateway_loads_no_numpy_and_no_state_machine_with_the_client() -> None:
    code = (
        "import sys, ledger.client; heavy = {'numpy', 'quart', 'hypercorn', 'ledger.state', 'ledger.store', 'ledger.engines', "
        "'ledger.http'} & set(sys.modules); sys.exit(f'loads {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_a_client_that_knew_a_node_before_its_restart_signs_for_it_anew(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        client = node.client("util")
        client._meant = Audience(node.chain, bytes(INSTANCE_BYTES))
        assert await client.query("gateways")
        assert client._meant != Audience(node.chain, bytes(INSTANCE_BYTES))
        node.client("p-1")._credentials = ("p-1", key("stranger"))
        with pytest.raises(NodeRefused, match="no signature of p-1"):
            await node.client("p-1").query("areas")
