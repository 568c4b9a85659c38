"""What all tests of the verifier share."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from gridcore import verify


@pytest.fixture(autouse=True, scope="module")
def remembered_signatures() -> Iterator[None]:
    """Each signature is computed once: most changed bundles leave all but one as they are."""
    original = verify.is_valid_signature
    verify.is_valid_signature = functools.cache(original)
    yield
    verify.is_valid_signature = original
