"""An engine that is started again while the commit that it asked for before is under way."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.framing import FrameReader, frame
from ledger.engines.cometbft.server import AbciServer
from ledger.store.errors import StoreWriteError

TIMEOUT_S = 20


class FullDisk:
    """A machine at height 1 whose second block is decided, and cannot be kept until there is room."""

    def __init__(self) -> None:
        self.height = 1
        self.tried, self.room = threading.Event(), threading.Event()

    def info(self, _: abci.InfoRequest) -> abci.InfoResponse:
        return abci.InfoResponse(last_block_height=self.height)

    def commit(self, _: abci.CommitRequest) -> abci.CommitResponse:
        self.tried.set()
        if not self.room.is_set():
            raise StoreWriteError("no room")
        self.height = 2
        return abci.CommitResponse()

    def load_snapshot_chunk(self, _: abci.LoadSnapshotChunkRequest) -> abci.LoadSnapshotChunkResponse:
        return abci.LoadSnapshotChunkResponse(chunk=b"chunk")

    def check_txs(self, requests: object) -> list[abci.CheckTxResponse]:
        raise AssertionError(requests)


class BrokenDisk:
    """A machine that cannot read what it has."""

    def info(self, _: abci.InfoRequest) -> abci.InfoResponse:
        raise OSError(5, "Input/output error")

    def check_txs(self, requests: object) -> list[abci.CheckTxResponse]:
        raise AssertionError(requests)


def connected(path: Path) -> socket.socket:
    end = socket.socket(socket.AF_UNIX)
    end.settimeout(TIMEOUT_S)
    end.connect(str(path))
    return end


def send(end: socket.socket, request: abci.Request) -> None:
    end.sendall(frame([request.SerializeToString()]))


def answer(end: socket.socket) -> abci.Response:
    reader, messages = FrameReader(), list[bytes]()
    while not messages:
        messages = reader.feed(end.recv(1 << 16))
    return abci.Response.FromString(messages[0])


def test_an_engine_that_starts_again_is_told_a_height_only_when_no_commit_is_under_way(tmp_path: Path) -> None:
    machine, stopped = FullDisk(), list[BaseException]()
    server = AbciServer(machine, f"unix://{tmp_path / 'abci.sock'}", stopped.append, retry_s=0.01)
    server.start()
    try:
        with closing(connected(tmp_path / "abci.sock")) as died:
            send(died, abci.Request(commit=abci.CommitRequest()))
            assert machine.tried.wait(TIMEOUT_S)
        with closing(connected(tmp_path / "abci.sock")) as again:
            send(again, abci.Request(info=abci.InfoRequest()))
            again.settimeout(0.2)
            with pytest.raises(TimeoutError):
                answer(again)
            again.settimeout(TIMEOUT_S)
            machine.room.set()
            assert answer(again).info.last_block_height == 2
    finally:
        machine.room.set()
        server.close()
    assert stopped == []


def test_a_peer_that_reads_a_snapshot_waits_for_no_commit_and_ends_no_stall(tmp_path: Path) -> None:
    machine = FullDisk()
    server = AbciServer(machine, f"unix://{tmp_path / 'abci.sock'}", lambda _: None, retry_s=TIMEOUT_S)
    server.start()
    try:
        with (
            closing(connected(tmp_path / "abci.sock")) as consensus,
            closing(connected(tmp_path / "abci.sock")) as snapshot,
        ):
            send(consensus, abci.Request(commit=abci.CommitRequest()))
            deadline_s = time.monotonic() + TIMEOUT_S
            while not server.is_stalled and time.monotonic() < deadline_s:
                time.sleep(0.01)
            send(snapshot, abci.Request(load_snapshot_chunk=abci.LoadSnapshotChunkRequest()))
            snapshot.settimeout(TIMEOUT_S / 4)
            assert answer(snapshot).load_snapshot_chunk.chunk == b"chunk"
            assert server.is_stalled
    finally:
        machine.room.set()
        server.close()


def test_disk_that_cannot_be_read_stops_the_machine_and_is_no_lost_connection(tmp_path: Path) -> None:
    stopped: list[BaseException] = []
    server = AbciServer(BrokenDisk(), f"unix://{tmp_path / 'abci.sock'}", stopped.append)
    server.start()
    with closing(connected(tmp_path / "abci.sock")) as end:
        send(end, abci.Request(info=abci.InfoRequest()))
        assert "Input/output error" in str(answer(end).exception)
    server.close()
    assert [type(error) for error in stopped] == [OSError]


def test_address_that_cannot_be_had_is_named_with_the_key_that_says_where_it_is(tmp_path: Path) -> None:
    server = AbciServer(FullDisk(), f"unix://{tmp_path / 'absent' / 'abci.sock'}", print)
    with pytest.raises(
        UsageError, match=r"abci.sock: No such file or directory; it is that of abci.sock in engine.home"
    ):
        server.start()
