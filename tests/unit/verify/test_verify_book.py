"""The anonymous order book adds the claim that price, volume and fills follow from all orders."""

from __future__ import annotations

import pytest

from gridcore import verify
from tests.unit.verify.bundle_world import (
    CLEARING,
    Lie,
    World,
    claim_refuted,
    dearer,
    put,
    trust_of,
    with_one_order,
    without_orders,
)

WORLD = World()
BUNDLE = WORLD.bundle()
TRUST = trust_of(WORLD)


# ------------------------------------------------------------------------------------------------------------ the book


def test_the_book_adds_the_claim_that_the_price_follows_from_all_orders() -> None:
    verdict = verify.verify_bundle(BUNDLE, TRUST, WORLD.book())
    assert verdict.answer == verify.VERIFIED, verdict.reason
    assert "book" in verdict.claims
    assert len(verdict.not_checked) == 2


def test_no_changed_byte_of_a_book_is_verified() -> None:
    book = WORLD.book()
    for offset in range(len(book)):
        for mask in (0x01, 0x80):
            changed = bytearray(book)
            changed[offset] ^= mask
            verdict = verify.verify_bundle(BUNDLE, TRUST, bytes(changed))
            assert verdict.reason.startswith("book:") or "version" in verdict.reason, offset


def _dearer_for_all(world: World) -> None:
    dearer(world)
    world.orders[1]["signed"]["body"]["price_micro_per_kwh"] = 395_000
    world.rows["fills"][1][4] = 395_000
    world.rows["book"][1][3] = 395_000


def _swap_own_fill(world: World) -> None:
    world.rows["book"][0][3] = 400_001


BOOK_LIES: dict[str, Lie] = {
    "price is not the auction's": _dearer_for_all,
    "ranks out of order": put("rows", "book", 1, 0, 2),
    "fills are not pro rata": lambda world: (
        put("rows", "book", 0, 4, 299)(world),
        put("rows", "book", 1, 4, 201)(world),
    ),
    "an order was dropped": lambda world: (world.rows["book"].pop(), put("leaves", CLEARING, "orders", 2)(world)),
    "more orders than the clearing counted": put("leaves", CLEARING, "orders", 2),
    "own order with another fill": _swap_own_fill,
    "order without a quantity": put("rows", "book", 1, 2, 0),
    "order of a third side": put("rows", "book", 1, 1, 2),
}


@pytest.mark.parametrize("name", BOOK_LIES)
def test_a_clearing_that_does_not_follow_from_its_book_is_refuted(name: str) -> None:
    world = WORLD.copy()
    BOOK_LIES[name](world)
    world.sign()
    verdict = verify.verify_bundle(world.bundle(), TRUST, world.book())
    assert verdict.reason.startswith("book:"), verdict.reason
    assert claim_refuted(world, TRUST) == verify.VERIFIED  # without the book nobody sees it


def test_a_book_without_a_clearing_in_the_bundle_cannot_be_decided() -> None:
    world = without_orders(WORLD.copy())
    del world.leaves[CLEARING]
    world.certify()
    assert verify.verify_bundle(world.bundle(), TRUST, world.book()).answer == verify.CANNOT_BE_DECIDED


@pytest.mark.parametrize("rows", [0, 2, 4, 40])
def test_a_book_of_another_slot_is_called_that(rows: int) -> None:
    world = WORLD.copy()
    world.rows["book"] = (14 * world.rows["book"])[:rows]
    verdict = verify.verify_bundle(BUNDLE, TRUST, world.book())
    assert verdict.reason.startswith("book: the book file is another slot's, or altered:"), verdict.reason


def test_one_filled_order_is_not_called_orders() -> None:
    assert (
        verify.verify_bundle(with_one_order(WORLD.copy()).bundle(), None)
        .claims["orders"]
        .startswith("1 filled order of the party")
    )
    assert verify.verify_bundle(BUNDLE, None).claims["orders"].startswith("2 filled orders of the party")
