"""What a stranger who asks a node for receipts learns of the orders of households: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest

from gridcore.envelope import encode_signed
from gridcore.sm3 import sm3
from ledger.client import NodeRefused
from tests.worlds.consortium import FIRST_S
from tests.worlds.nodes import running_node, submit_all
from tests.worlds.transactions import transaction_id

QUANTITIES_WH: Final = range(50, 550, 50)
PRICES_MICRO_PER_KWH: Final = range(370_000, 450_000, 5_000)


def guessed_ids(chain: str, identity: dict[str, Any]) -> Iterator[bytes]:
    """Transaction ids of the 160 orders that a household may have sent, each with the rest of its identity as given."""
    for quantity_wh, price in product(QUANTITIES_WH, PRICES_MICRO_PER_KWH):
        body = {"area": "a-1", "price_micro_per_kwh": price, "quantity_wh": quantity_wh, "side": "buy"}
        yield sm3(encode_signed(chain=chain, kind="market/order", signer="p-1", identity=identity, body=body))


async def test_receipts_of_guessed_orders_tell_neither_quantity_nor_price(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        wire = node.sender().order("p-1", "a-1", "buy", 300, 420_000, FIRST_S)
        await submit_all(node.client("p-1"), [[wire]])
        stranger, known = node.client(), {"counter": 1, "slot_start_s": FIRST_S}
        for identity in (known, known | {"nonce": bytes(16)}):
            for guess in guessed_ids(node.chain, identity):
                assert await stranger.receipt(guess) is None
        assert await stranger.receipt(transaction_id(wire)) is not None


async def test_what_is_held_for_an_order_is_told_to_its_party_and_to_readers(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        wire = node.sender().order("p-1", "a-1", "buy", 300, 420_000, FIRST_S)
        await submit_all(node.client("p-1"), [[wire]])
        pending = {"party": "p-1", "area": "a-1", "credit_nano": None, "held_nano": 300 * 420_000, "owes_nano": 0}
        pending["shares_points"] = False
        assert await node.client("p-1").query("credit", party="p-1") == pending
        assert await node.client("util").query("credit", party="p-2") == pending | {"party": "p-2", "held_nano": 0}
        for signer, party, status in (("p-2", "p-1", 403), ("util", "p-9", 404)):
            with pytest.raises(NodeRefused) as raised:
                await node.client(signer).query("credit", party=party)
            assert raised.value.status == status
