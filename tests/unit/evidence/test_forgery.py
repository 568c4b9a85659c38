"""Trying to cheat: whatever is altered in a copy, the verifier names the claim that fails."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from gridcore import cbor, verify
from gridcore.errors import EncodingError
from gridevidence import forgery
from tests.unit.verify.honest import HONEST, TRADE, refuted, trust_of
from tests.unit.verify.vector_cases import FORGED

WORLDS = {name: HONEST[name] for name in HONEST if name != "a later run"}
APPROVED = "a register that an organisation answers for"
AUCTIONS = [name for name in WORLDS if not name.startswith("a community")]


SHARED_OUT = {
    ("forged_reading", "a community without orders"): "lines",
    ("forged_reading", "a party with two points"): "orders",
}
"""Forgeries of an energy by which something was shared out, and the claim that they break: the other shares stay as they are."""


def claim_of(what: str, world: str) -> str:
    """The claim that an alteration breaks."""
    return SHARED_OUT.get((what, world), FORGED[what])


def test_the_table_of_claims_is_complete() -> None:
    assert FORGED.keys() == forgery.ALTERATIONS.keys()


POSSIBLE = {world: set(forgery.alterations(of.bundle_bytes)) for world, of in WORLDS.items()}


def test_everything_can_be_altered_but_orders_and_meters_that_are_not_there() -> None:
    for world in WORLDS:
        impossible = set() if world in AUCTIONS else set(forgery.OF_ORDERS)
        impossible |= set(forgery.OF_READINGS) if world == APPROVED else set()
        is_read = world not in ("an energy that is estimated", "an energy that was imported")
        impossible |= set() if is_read else set(forgery.OF_READINGS | forgery.OF_METERS)
        impossible |= set() if world == "an energy that was imported" else set(forgery.OF_IMPORTS)
        assert FORGED.keys() - POSSIBLE[world] == impossible


@pytest.mark.parametrize(
    ("world", "what"), [(world, what) for world in WORLDS for what in FORGED if what in POSSIBLE[world]]
)
def test_every_alteration_is_not_verified_by_the_claim_it_breaks(what: str, world: str) -> None:
    bundle, trust = WORLDS[world].bundle_bytes, trust_of(WORLDS[world])
    altered = forgery.alter(bundle, what)
    assert altered.data != bundle
    assert altered.change.before != altered.change.after
    assert refuted(altered.data, trust) == claim_of(what, world)


@pytest.mark.parametrize(
    ("what", "world"),
    [
        (name, world)
        for world in AUCTIONS
        for name in FORGED
        if forgery.is_forgery(name)
        and name != "forged_amount"
        and name in POSSIBLE[world]
        and (name, world) not in SHARED_OUT
    ],
)
def test_a_forgery_with_all_digests_anew_fails_at_nothing_but_signatures(
    what: str, world: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With signatures taken for good, the forged bundle holds: every digest in it was made anew."""
    altered = forgery.alter(WORLDS[world].bundle_bytes, what)
    monkeypatch.setattr(verify, "is_valid_signature", lambda *_: True)
    assert refuted(altered.data, trust_of(WORLDS[world])) == verify.VERIFIED


@pytest.mark.parametrize("number", [0, 1, 9, 10, 190_000_000, -2_000, 10**13])
def test_one_digit_changes_and_length_and_sign_stay(number: int) -> None:
    changed = forgery.other_digit(number)
    assert len(str(changed)) == len(str(number))
    assert (changed < 0) == (number < 0)
    assert sum(one != other for one, other in zip(str(number), str(changed), strict=True)) == 1


def test_the_bundle_itself_is_left_as_it_was() -> None:
    bundle = TRADE.bundle_bytes
    before = bytes(bundle)
    for what in forgery.alterations(bundle):
        forgery.alter(bundle, what)
    assert bundle == before


def test_another_name_or_other_bytes_are_refused() -> None:
    with pytest.raises(KeyError):
        forgery.alter(TRADE.bundle_bytes, "weather")
    with pytest.raises(KeyError):
        forgery.alter(WORLDS["a community without orders"].bundle_bytes, "order_limit")
    with pytest.raises(EncodingError):
        forgery.alter(b"\xa0", "amount")


def test_a_bundle_without_a_certificate_offers_no_signature_of_a_signer_to_alter() -> None:
    parts = cbor.decode(TRADE.bundle_bytes)
    parts["certificate"] = []
    bundle = cbor.encode(parts)
    assert set(FORGED) - set(forgery.alterations(bundle)) == {"signer_signature"} | forgery.OF_IMPORTS
    for what in forgery.alterations(bundle):
        assert forgery.alter(bundle, what).data != bundle


@pytest.mark.parametrize("what", sorted(FORGED.keys() - forgery.OF_IMPORTS))
def test_a_bundle_that_is_broken_inside_is_said_to_be_none(what: str) -> None:
    """Every row cut short, every leaf and every signed map emptied: no other error than that comes out."""
    for cut in ("row", "leaf", "signed", "header"):
        parts = cbor.decode(TRADE.bundle_bytes)
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
