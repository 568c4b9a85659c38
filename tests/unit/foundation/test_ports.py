"""Ports for servers that are started a moment later."""

from __future__ import annotations

import socket

import pytest

from gridcore.errors import UsageError
from gridcore.serving import ports


def test_a_free_port_can_be_bound_lies_below_those_of_connections_and_is_given_once() -> None:
    found = [ports.free_port() for _ in range(50)]
    assert len(set(found)) == 50
    assert all(ports.FIRST <= port <= ports.LAST < 32_768 for port in found)
    with socket.socket() as server:
        server.bind((ports.HOST, found[0]))
        server.listen()


def test_a_port_on_which_somebody_listens_is_not_given_and_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        taken = ports.free_port()
        server.bind((ports.HOST, taken))
        server.listen()
        with pytest.raises(UsageError, match=f"^port {taken}: Address already in use on 127.0.0.1; choose another"):
            ports.check_free(taken)
        monkeypatch.setattr(ports, "_given", set())
        monkeypatch.setattr(ports, "FIRST", taken)
        monkeypatch.setattr(ports, "LAST", taken)
        with pytest.raises(UsageError, match=f"^no free port from {taken} to {taken} on 127.0.0.1"):
            ports.free_port()
