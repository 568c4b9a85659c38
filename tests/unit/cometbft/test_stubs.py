"""The committed stubs are what the generator makes of abci.proto."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.build_stubs import PROTO, REPOSITORY, build_stubs


@pytest.mark.parametrize("suffix", ["_pb2.py", "_pb2.pyi"])
def test_the_generator_gives_the_committed_bytes(tmp_path: Path, suffix: str) -> None:
    build_stubs(tmp_path)
    name = PROTO.removesuffix(".proto") + suffix
    assert (tmp_path / name).read_bytes() == (REPOSITORY / name).read_bytes()


def test_zero_values_are_no_bytes_and_come_back_as_zeros() -> None:
    request = abci.Request(apply_snapshot_chunk=abci.ApplySnapshotChunkRequest(index=0, sender="a"))
    found = abci.Request.FromString(request.SerializeToString())
    assert found.apply_snapshot_chunk.index == 0
    assert abci.Request(verify_vote_extension=abci.VerifyVoteExtensionRequest()).SerializeToString() == b"\x9a\x01\x00"


def test_an_empty_answer_is_set_all_the_same() -> None:
    answer = abci.Response(commit=abci.CommitResponse())
    assert answer.SerializeToString() == b"\x62\x00"
