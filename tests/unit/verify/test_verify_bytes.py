"""Every byte of a bundle counts: whichever is changed, the bundle is no longer verified."""

from __future__ import annotations

import pytest

from gridcore import verify
from tests.unit.verify.honest import HONEST, trust_of

SMALL = HONEST["a community without orders"]
SMALL_BUNDLE = SMALL.bundle_bytes
TRUST = trust_of(SMALL)


@pytest.mark.parametrize("quarter", range(4))
def test_no_bundle_with_one_changed_byte_is_verified(quarter: int) -> None:
    assert verify.verify_bundle(SMALL_BUNDLE, TRUST).answer == verify.VERIFIED
    for offset in range(quarter, len(SMALL_BUNDLE), 4):
        changed = bytearray(SMALL_BUNDLE)
        changed[offset] ^= 0x01 if offset // 4 % 2 else 0x80
        verdict = verify.verify_bundle(bytes(changed), TRUST)
        assert verdict.answer == verify.NOT_VERIFIED or "version" in verdict.reason, offset
