"""The anonymous order book adds the claim that price, volume and fills follow from all orders; a wrong one is about the book."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gridcore import cbor, verify
from tests.second_verifier.story import Story
from tests.second_verifier.test_second_trust import BOOK_CHANGES
from tests.unit.verify.honest import BOOK_LIES, HONEST, TRADE, evidence, refuted, trust_of

TRUST = trust_of(TRADE)
BUNDLE = TRADE.bundle_bytes


def test_the_book_adds_the_claim_that_the_price_follows_from_all_orders() -> None:
    verdict = verify.verify_bundle(BUNDLE, TRUST, TRADE.book_bytes)
    assert verdict.answer == verify.VERIFIED, verdict.reason
    assert "book" in verdict.claims
    assert verdict.not_checked == verify.NEVER_CHECKED


def test_no_changed_byte_of_a_book_is_verified_and_the_reason_is_about_the_book() -> None:
    book = TRADE.book_bytes
    for offset in range(len(book)):
        for mask in (0x01, 0x80):
            changed = bytearray(book)
            changed[offset] ^= mask
            verdict = verify.verify_bundle(BUNDLE, TRUST, bytes(changed))
            assert (verdict.answer, verdict.claim) == (verify.CANNOT_BE_DECIDED, None), offset
            assert verdict.reason.startswith("book:"), offset


@pytest.mark.parametrize("name", BOOK_LIES)
def test_a_clearing_that_does_not_follow_from_its_book_is_refuted(name: str) -> None:
    lie = evidence(BOOK_LIES[name])
    assert refuted(lie.bundle_bytes, trust_of(lie), lie.book_bytes) == "book"
    assert refuted(lie.bundle_bytes, trust_of(lie)) == verify.VERIFIED, "without the book nobody sees it"


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in BOOK_CHANGES])
def test_a_book_of_another_slot_says_nothing_about_the_line(change: Callable[[Any], object]) -> None:
    book = cbor.decode(TRADE.book_bytes)
    change(book)
    verdict = verify.verify_bundle(BUNDLE, TRUST, cbor.encode(book))
    assert verdict.answer == verify.CANNOT_BE_DECIDED
    assert verdict.reason.startswith("book:")
    assert "certificate" in verdict.claims


def test_a_book_without_a_clearing_in_the_bundle_cannot_be_decided() -> None:
    alone = HONEST["a community without orders"]
    verdict = verify.verify_bundle(alone.bundle_bytes, trust_of(alone), TRADE.book_bytes)
    assert (verdict.answer, verdict.reason.partition(":")[0]) == (verify.CANNOT_BE_DECIDED, "book")


def test_a_wrong_book_does_not_hide_a_refuted_line() -> None:
    lie = evidence(replace(Story(), limit_wh=999))
    assert refuted(lie.bundle_bytes, trust_of(lie), b"no book") == "energy"


def test_one_filled_order_is_not_called_orders() -> None:
    assert verify.verify_bundle(BUNDLE, None).claims["orders"].startswith("1 filled order of the party")
