"""The anonymous book of a gate, as a node gives it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore import cbor, merkle
from ledger import evidence
from ledger.client import NodeRefused
from tests.unit.node.test_node_http import SLOT, settled
from tests.worlds.consortium import FIRST_S
from tests.worlds.nodes import running_node


async def test_the_book_is_the_one_under_the_clearings_root_and_given_where_verifiers_can_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        client = node.client("reg")
        data = await client.fetch_bytes("book", area="a-1", slot=FIRST_S)
        monkeypatch.setattr(evidence, "BOOK_BYTES_MAX", len(data) - 1)
        says = f"the book of 2 orders has {len(data)} bytes; verifiers read {len(data) - 1}: check bundles without it"
        with pytest.raises(NodeRefused, match=says) as raised:
            await client.fetch_bytes("book", area="a-1", slot=FIRST_S)
        assert raised.value.status == 413
        monkeypatch.setattr(evidence, "BOOK_BYTES_MAX", len(data))
        book = cbor.decode(await client.fetch_bytes("book", area="a-1", slot=FIRST_S))
        leaves = [merkle.salted_leaf_hash(salt, row) for salt, row in zip(book["salts"], book["book"], strict=True)]
        clearing = await client.query(f"{SLOT}/clearing")
        assert merkle.root_of_hashes(leaves).hex() == clearing["book_root"]
        assert (book["type"], book["version"], len(leaves)) == ("gridledger-book", 2, 2)
