"""What a stranger who asks a node for receipts learns of the orders of households: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Final

from gridcore.envelope import encode_signed
from gridcore.sm3 import sm3
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
