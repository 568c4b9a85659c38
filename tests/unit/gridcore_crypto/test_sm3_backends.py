"""SM3: the standard's examples and one digest from every implementation."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import sm3
from gridcore.errors import InvariantError
from gridcore.sm3 import hashers

# GB/T 32905-2016 annex A, and the empty string.
STANDARD = {
    b"abc": "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
    b"abcd" * 16: "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732",
    b"": "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b",
}
BACKENDS = ["hashlib", "cryptography", "python"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("message", STANDARD, ids=["abc", "two-blocks", "empty"])
def test_every_implementation_gives_the_standards_digests(backend: str, message: bytes) -> None:
    assert hashers.factory(backend)(message).digest().hex() == STANDARD[message]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("length", [1, 55, 56, 63, 64, 65, 119, 120, 128, 1000])
def test_all_implementations_agree_around_block_boundaries(backend: str, length: int) -> None:
    message = bytes(index % 251 for index in range(length))
    assert hashers.factory(backend)(message).digest() == sm3.sm3(message)


@given(st.lists(st.binary(max_size=100), max_size=5))
@settings(max_examples=40, deadline=None)
def test_updates_in_pieces_and_copies_change_nothing(pieces: list[bytes]) -> None:
    whole = sm3.sm3(b"".join(pieces))
    for backend in BACKENDS:
        running = hashers.factory(backend)(b"")
        for piece in pieces:
            assert len(running.digest()) == sm3.DIGEST_BYTES  # a digest in between ends nothing
            twin = running.copy()
            running.update(piece)
            twin.update(b"other" + piece)
        assert running.digest() == whole


def test_hasher_starts_with_its_prefix_and_copies_are_independent() -> None:
    prefixed = sm3.hasher(b"ab")
    copy = prefixed.copy()
    copy.update(b"c")
    assert copy.digest().hex() == STANDARD[b"abc"]
    assert prefixed.digest() == sm3.sm3(b"ab")


def test_chosen_implementation_is_named_and_an_unknown_one_refused() -> None:
    assert sm3.BACKEND in BACKENDS
    with pytest.raises(InvariantError):
        hashers.factory("md5")


def test_missing_implementations_fall_through_to_plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(backend: str) -> object:
        raise ValueError(f"unsupported hash type {backend}")

    monkeypatch.setattr(hashers, "factory", absent)
    name, new = hashers.choose()
    assert name == "python"
    assert new(b"abc").digest().hex() == STANDARD[b"abc"]


def test_an_implementation_with_a_wrong_digest_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    real = hashers.factory
    monkeypatch.setattr(
        hashers,
        "factory",
        lambda name: real(name) if name == "cryptography" else lambda _: real("python")(os.urandom(8)),
    )
    assert hashers.choose()[0] == "cryptography"
