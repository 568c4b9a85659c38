"""URLs of nodes as people type them, and an answer of something that is no node."""

from __future__ import annotations

import pytest

from gridcore import cbor
from gridcore.errors import GridError, UsageError
from gridcore.registry.row import Row
from gridledger.cli import main
from gridledger.commands.evidence import _area_of
from ledger.client import Client, check_url

WRONG = (
    "http://127.0.0.1:99999",
    "http://127.0.0.1:0",
    "http://127.0.0.1:abc",
    "http://[::1",
    "http://[::zz]",
    "http://",
    "ftp://h:1",
    "http://h:1?x=1",
    "http://h:1/\x07",
    "h:7070",
)


@pytest.mark.parametrize("url", WRONG)
def test_url_that_is_none_is_refused_in_one_line(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="write http://HOST:PORT"):
        check_url(url)
    with pytest.raises(UsageError):
        Client(url)
    assert main(["node", "status", "--url", url]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "write http://HOST:PORT or https://HOST:PORT" in line


def test_url_of_a_node_is_taken_apart() -> None:
    parts = check_url("https://[::1]:7070/north/")
    assert (parts.hostname, parts.port, parts.path) == ("::1", 7070, "/north/")


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        cbor.encode([1]),
        cbor.encode({"area": 1}),
        cbor.encode({"area": {"row": cbor.encode([])}}),
        cbor.encode({"area": {"row": Row("zone/Z", 0, {}).encode()}}),
    ],
)
def test_bundle_that_is_none_names_the_node(answer: bytes) -> None:
    with pytest.raises(GridError, match="http://h:1: does not answer like a GridLedger node"):
        _area_of(answer, "http://h:1")


def test_bundle_says_its_area() -> None:
    bundle = cbor.encode({"area": {"row": Row("area/A", 0, {}).encode()}})
    assert _area_of(bundle, "http://h:1") == "A"
