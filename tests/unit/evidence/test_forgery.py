"""Trying to cheat: whatever is altered in a copy, the verifier names the claim that fails."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from gridcore import cbor, verify
from gridcore.errors import EncodingError
from gridevidence import forgery
from tests.unit.verify.bundle_world import CLEARING, World, trust_of, with_one_order, without_orders

CLAIM = {
    "amount": "line",
    "energy": "line",
    "price": "line",
    "rules_price": "header",
    "ratio": "header",
    "order_limit": "recorded",
    "filled": "orders",
    "start_register": "readings",
    "end_register": "readings",
    "gateway_signature": "recorded",
    "signer_signature": "certificate",
    "forged_amount": "line",
    "forged_reading": "signatures",
    "forged_limit": "signatures",
    "forged_rules": "certificate",
}


def _without_orders() -> World:
    world = without_orders(World())
    world.sign()
    return world


def _without_clearing() -> World:
    world = _without_orders()
    del world.leaves[CLEARING]
    world.sign()
    return world


def _in_one_block() -> World:
    world = World()
    world.block_of = dict.fromkeys(world.block_of, 2)
    world.sign()
    return world


WORLDS = {
    "two orders": World(),
    "one order": with_one_order(World()),
    "no order": _without_orders(),
    "no clearing": _without_clearing(),
    "all in one block": _in_one_block(),
}


def refuted(verdict: verify.Verdict) -> str:
    return verdict.reason.partition(":")[0] if verdict.answer == verify.NOT_VERIFIED else verdict.answer


def test_the_table_of_claims_is_complete() -> None:
    assert CLAIM.keys() == forgery.ALTERATIONS.keys()


POSSIBLE = {world: set(forgery.alterations(of.bundle())) for world, of in WORLDS.items()}


def test_everything_can_be_altered_but_orders_that_are_not_there() -> None:
    for world, of in WORLDS.items():
        impossible = set() if cbor.decode(of.bundle())["orders"] else set(forgery.OF_ORDERS)
        assert CLAIM.keys() - POSSIBLE[world] == impossible


@pytest.mark.parametrize(
    ("world", "what"), [(world, what) for world in WORLDS for what in CLAIM if what in POSSIBLE[world]]
)
def test_every_alteration_is_not_verified_by_the_claim_it_breaks(what: str, world: str) -> None:
    bundle, trust = WORLDS[world].bundle(), trust_of(WORLDS[world])
    assert verify.verify_bundle(bundle, trust).answer == verify.VERIFIED
    altered = forgery.alter(bundle, what)
    assert altered.data != bundle
    assert altered.change.before != altered.change.after
    assert refuted(verify.verify_bundle(altered.data, trust)) == CLAIM[what]


@pytest.mark.parametrize("what", [name for name in CLAIM if forgery.is_forgery(name) and name != "forged_amount"])
def test_a_forgery_with_all_digests_anew_fails_at_nothing_but_signatures(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With signatures taken for good, the forged bundle holds: every digest in it was made anew."""
    world = WORLDS["two orders"]
    altered = forgery.alter(world.bundle(), what)
    monkeypatch.setattr(verify, "is_valid_signature", lambda *_: True)
    assert verify.verify_bundle(altered.data, trust_of(world)).answer == verify.VERIFIED


@pytest.mark.parametrize("number", [0, 1, 9, 10, 190_000_000, -2_000, 10**13])
def test_one_digit_changes_and_length_and_sign_stay(number: int) -> None:
    changed = forgery.other_digit(number)
    assert len(str(changed)) == len(str(number))
    assert (changed < 0) == (number < 0)
    assert sum(one != other for one, other in zip(str(number), str(changed), strict=True)) == 1


def test_the_bundle_itself_is_left_as_it_was() -> None:
    bundle = WORLDS["two orders"].bundle()
    before = bytes(bundle)
    for what in forgery.alterations(bundle):
        forgery.alter(bundle, what)
    assert bundle == before


def test_another_name_or_other_bytes_are_refused() -> None:
    with pytest.raises(KeyError):
        forgery.alter(WORLDS["two orders"].bundle(), "weather")
    with pytest.raises(KeyError):
        forgery.alter(WORLDS["no order"].bundle(), "order_limit")
    with pytest.raises(EncodingError):
        forgery.alter(b"\xa0", "amount")


def test_a_bundle_without_a_certificate_offers_no_signature_of_a_signer_to_alter() -> None:
    parts = cbor.decode(WORLDS["two orders"].bundle())
    del parts["certificate"]
    bundle = cbor.encode(parts)
    assert set(CLAIM) - set(forgery.alterations(bundle)) == {"signer_signature"}
    for what in forgery.alterations(bundle):
        assert forgery.alter(bundle, what).data != bundle


@pytest.mark.parametrize("what", CLAIM)
def test_a_bundle_that_is_broken_inside_is_said_to_be_none(what: str) -> None:
    """Every row cut short, every leaf and every signed map emptied: no other error than that comes out."""
    for cut in ("row", "leaf", "signed", "header"):
        parts = cbor.decode(WORLDS["two orders"].bundle())
        cuts = _cut(parts, cut)
        assert cuts > 0
        with contextlib.suppress(EncodingError):
            forgery.alter(cbor.encode(parts), what)


def _cut(value: Any, name: str) -> int:
    """Cut the byte strings under ``name`` short, wherever they stand: rows by a byte, maps to an empty one; how many."""
    items = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    count = 0
    for key, item in items:
        if key == name and isinstance(item, bytes):
            value[key] = item[:-1] if name == "row" else cbor.encode(["x", {}] if name == "leaf" else {})
            count += 1
        else:
            count += _cut(item, name)
    return count
