"""The native SM2 kernel: points that plain Python computes too, at the borders of its windows and words; and a kernel that is not right is not used."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore import sm
from gridcore.public_key import P
from gridcore.sm import curve, libcrypto, native, registry
from gridcore.sm.backend import check_known_answers
from gridcore.sm.curve import DISTINGUISHING_ID, N
from gridledger import build_row_kernel
from tests.external import needs

pytestmark = needs("cc", "apt-get install gcc libc6-dev")

MESSAGE = b"16 kWh"
NUMBERS = st.one_of(
    st.integers(1, N - 2),
    st.integers(1, 1 << 40),
    st.integers(1, 1 << 40).map(lambda less: N - 1 - less),
    st.builds(lambda word, bit: (word << bit) % (N - 2) + 1, st.integers(1, 63), st.integers(0, 250)),
)
"""Anything; small and large ones; some bits at a border of windows, of words, and many zeros around them."""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> native.NativeBackend:
    """The kernel, built for these tests alone."""
    path = tmp_path_factory.mktemp("kernel") / "sm2_kernel.so"
    build_row_kernel.build(build_row_kernel.find_compiler(), build_row_kernel.kernels()[1]._replace(library=path))
    return native.NativeBackend(path)


def scalar_of(value: int) -> bytes:
    return value.to_bytes(32, "big")


@given(number=NUMBERS)
def test_a_multiple_of_the_generator_is_what_plain_python_makes_it(kernel: native.NativeBackend, number: int) -> None:
    assert kernel.open_key(scalar_of(number))[0] == sm.load_backend("python").open_key(scalar_of(number))[0]


@given(key=NUMBERS, t=NUMBERS, s=NUMBERS, is_altered=st.booleans())
def test_a_signature_made_for_chosen_multiples_has_the_verdict_of_plain_python(
    kernel: native.NativeBackend, key: int, t: int, s: int, is_altered: bool
) -> None:
    """Which multiples are added is chosen, r follows: t = 1, s = 1 and a key of 1 are a doubling, a key of n - 1 the point at infinity."""
    public_key, _ = kernel.open_key(scalar_of(key))
    r = (t - s) % N
    signature = scalar_of(r) + scalar_of(s)
    found = kernel.is_valid_signature(public_key, MESSAGE, signature)
    assert found is sm.load_backend("python").is_valid_signature(public_key, MESSAGE, signature)
    x = int.from_bytes(_multiple(s, t, key)[:32], "big")
    entry = kernel._open_public_key(public_key)
    assert entry is not None
    wanted = [x + is_altered if x + is_altered < P else 0]
    has_x = kernel._releasing.sm2_has_x(
        kernel._table, entry.multiples, scalar_of(s), scalar_of(t), native._numbers(*wanted), 1
    )
    assert has_x == (not is_altered and (s + t * key) % N != 0)


def _multiple(s: int, t: int, key: int) -> bytes:
    """x||y of (s + t * key) * G by plain Python, zeros for the point at infinity."""
    number = (s + t * key) % N
    if number in (0, N - 1):
        return bytes(64) if number == 0 else curve.encode_point(curve.G)[1:]
    return sm.load_backend("python").open_key(scalar_of(number))[0][1:]


@pytest.mark.parametrize(
    ("key", "s", "t"), [(1, 1, 1), (1, 5, 5), (2, 2, 1), (N - 2, 2, 1), (N - 2, 4, 2), (16, 16, 1)]
)
def test_doublings_and_the_point_at_infinity_are_what_plain_python_says(
    kernel: native.NativeBackend, key: int, s: int, t: int
) -> None:
    entry = kernel._open_public_key(kernel.open_key(scalar_of(key))[0])
    assert entry is not None
    x = _multiple(s, t, key)[:32]
    found = kernel._releasing.sm2_has_x(kernel._table, entry.multiples, scalar_of(s), scalar_of(t), x, 1)
    assert found == ((s + t * key) % N != 0)


def test_an_x_between_n_and_p_is_found_by_its_rest_modulo_n(kernel: native.NativeBackend) -> None:
    """Such a point is never met by chance: the library is asked for both numbers that have the rest."""
    public_key, _ = kernel.open_key(scalar_of(7))
    entry = kernel._open_public_key(public_key)
    assert entry is not None
    x = _multiple(3, 5, 7)[:32]
    other = (int.from_bytes(x, "big") ^ 1).to_bytes(32, "big")
    ask = kernel._releasing.sm2_has_x
    assert ask(kernel._table, entry.multiples, scalar_of(3), scalar_of(5), other + x, 2) == 1
    assert ask(kernel._table, entry.multiples, scalar_of(3), scalar_of(5), other + other, 2) == 0


def test_its_signatures_are_valid_for_libcrypto_and_the_other_way_round(kernel: native.NativeBackend) -> None:
    other = sm.load_backend("libcrypto")
    scalars = [scalar_of(number) for number in (1, 2, 31, 32, 33, N - 2, N // 3)]
    for signer, verifier in ((kernel, other), (other, kernel)):
        pairs = [(signer.open_key(scalar)) for scalar in scalars]
        signed = [(public_key, signer.sign(handle, MESSAGE)) for public_key, handle in pairs]
        assert [verifier.is_valid_signature(public_key, MESSAGE, made) for public_key, made in signed] == [True] * 7
        assert not any(verifier.is_valid_signature(public_key, b"17 kWh", made) for public_key, made in signed)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("? digit - 2 * HALF :", "? digit - HALF :"),
        ("- 1], digit < 0);", "- 1], 0);"),
        ("UINT64_C(0xfffffffeffffffff)}", "UINT64_C(0xfffffffefffffffe)}"),
        ("subtract(point->y, u, gamma);", "add(point->y, u, gamma);"),
        ("return 1;\n    }\n    return 0;", "return 1;\n    }\n    return 1;"),
    ],
    ids=["digits", "signs", "prime", "doubling", "says yes"],
)
def test_a_kernel_with_wrong_answers_is_not_used(tmp_path: Path, right: str, wrong: str) -> None:
    text = native.SOURCE.read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "kernel.c").write_text(text.replace(right, wrong), encoding="utf-8")
    library = tmp_path / "sm2_kernel.so"
    compiler = build_row_kernel.find_compiler()
    subprocess.run([*compiler, *build_row_kernel.OPTIONS, tmp_path / "kernel.c", "-o", library], check=True)
    with pytest.raises(sm.SmBackendError, match="fails its known-answer test"):
        check_known_answers(native.NativeBackend(library))


@pytest.mark.parametrize("content", [None, b"", b"no library at all"], ids=["absent", "empty", "text"])
def test_a_file_that_is_no_library_is_no_backend(tmp_path: Path, content: bytes | None) -> None:
    library = tmp_path / "sm2_kernel.so"
    if content is not None:
        library.write_bytes(content)
    with pytest.raises(sm.SmBackendError, match="no native SM2 kernel"):
        native.NativeBackend(library)


def test_the_kernel_verifies_unless_the_operator_names_a_libcrypto(
    kernel: native.NativeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRIDLEDGER_LIBGMSSL", raising=False)
    monkeypatch.delenv(libcrypto.LIBRARY_VARIABLE, raising=False)
    monkeypatch.setattr(registry, "NativeBackend", lambda: kernel)
    registry.load_backend.cache_clear()
    registry.verifying_backend.cache_clear()
    assert registry.verifying_backend() is kernel
    assert registry.simulating_backend() is kernel
    assert registry.signing_backend().name == "libcrypto"
    monkeypatch.setenv(libcrypto.LIBRARY_VARIABLE, "libcrypto.so.3")
    registry.verifying_backend.cache_clear()
    assert registry.verifying_backend().name == "libcrypto"
    registry.load_backend.cache_clear()
    registry.verifying_backend.cache_clear()


def test_an_id_that_is_not_the_standard_s_is_part_of_what_is_signed(kernel: native.NativeBackend) -> None:
    public_key, handle = kernel.open_key(scalar_of(99))
    made = kernel.sign(handle, MESSAGE, b"another")
    assert kernel.is_valid_signature(public_key, MESSAGE, made, b"another")
    assert not kernel.is_valid_signature(public_key, MESSAGE, made, DISTINGUISHING_ID)
