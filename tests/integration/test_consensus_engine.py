"""The machine under the real engine: one validator that certifies what it decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.codes import Code
from gridcore.header import check_receipt, decode_receipt
from ledger.engines.cometbft.program import INSTALLED_BY
from tests.external import find_program, needs
from tests.worlds.feeders import FEEDERS, batches
from tests.worlds.validators import homes

pytestmark = [*needs("cometbft", INSTALLED_BY), pytest.mark.slow]
PROGRAM = find_program("cometbft") or ""


async def test_what_one_validator_decides_is_certified_before_it_is_acknowledged(tmp_path: Path) -> None:
    wires = batches("gw-1", 3)
    with homes(tmp_path, PROGRAM, ["operator"]) as [home]:
        async with home.running() as node:
            outcomes = await node.engine.submit(wires)
            assert [outcome.code for outcome in outcomes] == [Code.ACCEPTED] * 3
            height = max(outcome.height or 0 for outcome in outcomes)
            assert 0 < height <= node.ledger.certified_height
            receipt = decode_receipt(node.ledger.receipt(outcomes[-1].id) or b"")
            check_receipt(receipt, chain=FEEDERS.genesis.chain, digest=receipt.digest, signers=FEEDERS.genesis.signers)
            again = await node.engine.submit(wires)
            assert [outcome.code for outcome in again] == [Code.EXISTS] * 3
