"""Every byte of a bundle counts: whichever is changed, the bundle is no longer verified."""

from __future__ import annotations

import pytest

from gridcore import verify
from tests.unit.verify.bundle_world import World, trust_of, with_one_order

SMALL = with_one_order(World())
SMALL_BUNDLE = SMALL.bundle()
TRUST = trust_of(SMALL)


@pytest.mark.parametrize("mask", [0x01, 0x80])
@pytest.mark.parametrize("quarter", range(4))
def test_no_bundle_with_one_changed_byte_is_verified(mask: int, quarter: int) -> None:
    assert verify.verify_bundle(SMALL_BUNDLE, TRUST).answer == verify.VERIFIED
    for offset in range(quarter, len(SMALL_BUNDLE), 4):
        changed = bytearray(SMALL_BUNDLE)
        changed[offset] ^= mask
        verdict = verify.verify_bundle(bytes(changed), TRUST)
        assert verdict.answer != verify.VERIFIED, offset
        assert verdict.answer == verify.NOT_VERIFIED or "version" in verdict.reason or "absent" in verdict.reason, (
            offset
        )
