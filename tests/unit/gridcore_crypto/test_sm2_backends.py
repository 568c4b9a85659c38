"""Which backend works: known answers at the start, the fallback for verification, and none for signing keys (trap 12)."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import structlog

from gridcore import sm
from gridcore.errors import UsageError
from gridcore.sm import backend as backend_module
from gridcore.sm import gmssl_check, libcrypto, libgmssl, registry
from gridcore.sm.backend import KeyCache, check_known_answers
from gridcore.sm.curve import DISTINGUISHING_ID


def _absent() -> None:
    raise sm.SmBackendError("no native SM2 kernel: not built")


@pytest.fixture
def fresh_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The choice of backends forgotten before and after the test, and made without the operator's libgmssl and the native kernel."""
    monkeypatch.delenv(libgmssl.LIBRARY_VARIABLE, raising=False)
    monkeypatch.setattr(registry, "NativeBackend", _absent)
    registry.load_backend.cache_clear()
    registry.verifying_backend.cache_clear()
    yield
    registry.load_backend.cache_clear()
    registry.verifying_backend.cache_clear()


@pytest.fixture
def without_libcrypto(fresh_registry: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose libcrypto cannot be loaded."""
    monkeypatch.setenv(libcrypto.LIBRARY_VARIABLE, "libcrypto-that-is-not-there.so")


class Pretender:
    """Passes on to plain Python, except for what a test overrides."""

    def __init__(self, **overrides: Any) -> None:
        self._real = sm.load_backend("python")
        self._overrides = overrides

    def __getattr__(self, name: str) -> Any:
        return self._overrides[name] if name in self._overrides else getattr(self._real, name)


_TURNS = itertools.count()

FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "refuses everything": ({"is_valid_signature": lambda *_: False}, "signature does not verify"),
    "accepts everything": ({"is_valid_signature": lambda *_: True}, "over another message"),
    "ignores the ID": (
        {
            "is_valid_signature": lambda key, message, signature, _id: sm.load_backend("python").is_valid_signature(
                key, message, signature, DISTINGUISHING_ID
            )
        },
        "distinguishing ID is ignored",
    ),
    "another public key": ({"open_key": lambda _: (bytes(65), None)}, "another public key"),
    "constant nonce": ({"sign": lambda *_: bytes(64)}, "share one nonce"),
    "signs nonsense": ({"sign": lambda *_: next(_TURNS).to_bytes(64, "big")}, "own signature"),
}


@pytest.mark.parametrize(("overrides", "reason"), FAULTS.values(), ids=FAULTS.keys())
def test_trap_12_a_faulty_backend_fails_its_known_answers(overrides: dict[str, Any], reason: str) -> None:
    faulty: Any = Pretender(**overrides)
    with pytest.raises(sm.SmBackendError, match=reason):
        check_known_answers(faulty)


@pytest.mark.parametrize("name", sm.BACKEND_NAMES)
def test_trap_12_every_backend_passes_its_known_answers_and_names_its_version(name: str) -> None:
    loaded = sm.load_backend(name)
    check_known_answers(loaded)
    assert loaded.name == name
    assert any(character.isdigit() for character in loaded.version)
    assert loaded.can_sign is (name in ("libcrypto", "python", "native"))
    assert sm.load_backend(name) is loaded


def test_trap_12_without_a_native_kernel_the_default_is_libcrypto_chosen_once_and_logged(
    fresh_registry: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = structlog.testing.CapturingLogger()
    monkeypatch.setattr(registry, "get_logger", lambda _: log)
    first = registry.verifying_backend()
    assert registry.verifying_backend() is first
    assert first.name == "libcrypto"
    assert [(call.method_name, call.args) for call in log.calls] == [("info", ("sm2_backend_chosen",))]
    assert log.calls[0].kwargs == {"backend": "libcrypto", "version": first.version}


def test_trap_12_without_libcrypto_verification_falls_back_with_a_warning(without_libcrypto: None) -> None:
    key = sm.SigningKey.generate(sm.load_backend("python"))
    with structlog.testing.capture_logs() as lines:
        assert sm.is_valid_signature(key.public_key, b"m", key.sign(b"m"))
        assert not sm.is_valid_signature(key.public_key, b"n", key.sign(b"m"))
    assert [(line["event"], line["log_level"]) for line in lines] == [("sm2_verification_falls_back", "warning")]
    assert "libcrypto-that-is-not-there.so" in lines[0]["reason"]


def test_trap_12_without_libcrypto_signing_keys_never_fall_back(without_libcrypto: None) -> None:
    with pytest.raises(sm.SmBackendError, match=r"no backend to sign with.*GRIDLEDGER_LIBCRYPTO"):
        sm.SigningKey.generate()
    with pytest.raises(sm.SmBackendError, match="no backend to sign with"):
        sm.SigningKey.from_scalar(b"\1" * 32)


def test_a_library_that_is_no_libcrypto_is_named(fresh_registry: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(libcrypto.LIBRARY_VARIABLE, "libc.so.6")
    with pytest.raises(sm.SmBackendError, match=r"libc\.so\.6"):
        sm.load_backend("libcrypto")


def test_a_libcrypto_named_by_path_is_used(fresh_registry: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(libcrypto.LIBRARY_VARIABLE, "libcrypto.so.3")
    assert sm.load_backend("libcrypto").can_sign


def test_a_libgmssl_that_is_named_and_not_there_stops_verification(
    fresh_registry: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(libgmssl.LIBRARY_VARIABLE, "libgmssl-that-is-not-there.so")
    with pytest.raises(sm.SmBackendError, match=r"GRIDLEDGER_LIBGMSSL=libgmssl-that-is-not-there\.so: no libgmssl"):
        registry.verifying_backend()


def test_a_library_that_is_no_libgmssl_is_named(fresh_registry: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(libgmssl.LIBRARY_VARIABLE, "libc.so.6")
    with pytest.raises(sm.SmBackendError, match=r"libc\.so\.6"):
        sm.load_backend("libgmssl")


def test_a_libcrypto_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = libcrypto._load_library()

    class Old:
        def __getattr__(self, name: str) -> Any:
            return (lambda: 0x1010117F) if name == "OpenSSL_version_num" else getattr(real, name)

    monkeypatch.setattr(libcrypto, "_load_library", Old)
    with pytest.raises(sm.SmBackendError, match="too old"):
        libcrypto.LibcryptoBackend()


def test_a_libcrypto_without_sm2_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    real = libcrypto._load_library()

    class WithoutSm2:
        def __getattr__(self, name: str) -> Any:
            return (lambda *_: None) if name.startswith("d2i_") else getattr(real, name)

    monkeypatch.setattr(libcrypto, "_load_library", WithoutSm2)
    with pytest.raises(sm.SmBackendError, match="built without SM2"):
        check_known_answers(libcrypto.LibcryptoBackend())
    with pytest.raises(sm.SmBackendError, match="built without SM2"):
        libcrypto.LibcryptoBackend().open_key(b"\1" * 32)


def test_gmssl_never_holds_a_key_and_never_signs() -> None:
    cross_check = sm.load_backend("gmssl")
    with pytest.raises(sm.SmBackendError, match="never holds a private key"):
        sm.SigningKey.generate(cross_check)
    with pytest.raises(sm.SmBackendError, match="never signs"):
        cross_check.sign(None, b"m")


def test_a_missing_gmssl_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(module: str) -> None:
        raise ImportError(module)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(sm.SmBackendError, match="needs the Python package gmssl"):
        gmssl_check.GmsslBackend()


def test_an_unknown_backend_is_bad_usage() -> None:
    with pytest.raises(UsageError, match="one of libcrypto, python, gmssl"):
        sm.load_backend("openssl")


def test_key_cache_keeps_what_was_used_last_up_to_its_limit() -> None:
    cache: KeyCache[str] = KeyCache(3)
    made: list[bytes] = []

    def make(key: bytes) -> str | None:
        made.append(key)
        return None if key == b"bad" else key.hex()

    for key in (b"a", b"b", b"c", b"a", b"d"):
        assert cache.get(key, make) == key.hex()
    assert len(cache) == 3
    assert cache.get(b"a", make) == "61"  # used again before d came: still there
    assert made == [b"a", b"b", b"c", b"d"]
    cache.get(b"b", make)
    assert made[-1] == b"b"  # the least recently used one had gone
    assert cache.get(b"bad", make) is cache.get(b"bad", make) is None
    assert made[-2:] == [b"bad", b"bad"]
    assert len(cache) == 3


def test_key_cache_gives_all_threads_one_entry() -> None:
    cache: KeyCache[object] = KeyCache(backend_module.KEYS_CACHED_MAX)
    with ThreadPoolExecutor(4) as pool:
        entries = set(pool.map(lambda _: cache.get(b"k", lambda _: object()), range(100)))
    assert len(entries) == 1
