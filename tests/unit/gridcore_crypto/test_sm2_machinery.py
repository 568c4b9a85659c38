"""SM2 backends as machinery: nonces, freed objects, threads, caches, and keys that never show themselves (traps 10, 11, 13)."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gridcore import sm
from gridcore.errors import GridError
from gridcore.sm import curve, pure
from gridcore.sm.backend import KeyCache
from gridcore.sm.curve import G, N
from gridcore.sm.libcrypto import LibcryptoBackend
from tests.unit.gridcore_crypto.test_sm2_traps import (
    MESSAGE,
    PUBLIC_KEY,
    SCALAR,
    SIGNATURE,
    SIGNING_BACKENDS,
    TABLE,
    scalar_of,
)


@pytest.fixture(params=SIGNING_BACKENDS)
def signing_backend(request: pytest.FixtureRequest) -> sm.Backend:
    """Each backend that signs, in turn."""
    return sm.load_backend(request.param)


def test_trap_10_no_nonce_is_shared_by_threads(signing_backend: sm.Backend) -> None:
    # One message under one key: r = e + x1, so equal r would mean equal nonces, and with them the private key.
    key = sm.SigningKey.from_scalar(SCALAR, signing_backend)
    with ThreadPoolExecutor(4) as pool:
        signatures = list(pool.map(lambda _: key.sign(MESSAGE), range(200)))
    assert len({signature[:32] for signature in signatures}) == 200


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork on this system")
@pytest.mark.parametrize("name", SIGNING_BACKENDS)
def test_trap_10_no_nonce_is_shared_after_a_fork(name: str) -> None:
    program = f"""
import os
from gridcore import sm, verify
key = sm.SigningKey.from_scalar(bytes.fromhex("{SCALAR.hex()}"), sm.load_backend("{name}"))
key.sign(b"before")
child = os.fork()
lines = "".join(key.sign(b"after")[:32].hex() + "\\n" for _ in range(4))
os.write(1, lines.encode())
if child:
    os.waitpid(child, 0)
else:
    os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    lines = done.stdout.split()
    assert len(lines) == len(set(lines)) == 8


class CountingLibrary:
    """Passes calls on to libcrypto and counts what is made and freed."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.alive: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self.library, name)
        made = {"d2i_PUBKEY": "EVP_PKEY", "d2i_AutoPrivateKey": "EVP_PKEY"}.get(name, name.removesuffix("_new"))

        def call(*arguments: Any) -> Any:
            result = function(*arguments)
            if name.endswith("_free"):
                self.alive[name.removesuffix("_free")] -= 1 if arguments[0] else 0
            elif name.endswith("_new") or name.startswith("d2i_"):
                self.alive[made] += 1 if result else 0
            return result

        return call


def test_trap_11_every_evp_object_is_freed_and_the_error_queue_left_empty() -> None:
    backend = LibcryptoBackend()
    counting = CountingLibrary(backend._lib)
    backend._lib = counting  # type: ignore[assignment]  # a stand-in that counts
    backend._keys = KeyCache(4)
    _, handle = backend.open_key(SCALAR)
    for case in TABLE.values():
        backend.is_valid_signature(case.public_key, case.message, case.signature, case.distinguishing_id)
    for value in range(1, 13):
        backend.is_valid_signature(sm.SigningKey.from_scalar(scalar_of(value)).public_key, MESSAGE, SIGNATURE)
    backend.sign(handle, MESSAGE)
    backend._parse(b"\x30\x03\x02\x01\x00", counting.d2i_PUBKEY)
    gc.collect()
    assert counting.alive == {"EVP_MD_CTX": 0, "EVP_PKEY_CTX": 0, "EVP_PKEY": 4 + 1}
    del handle
    backend._keys = KeyCache(4)
    gc.collect()
    assert counting.alive["EVP_PKEY"] == 0
    peek = counting.library.ERR_peek_error
    peek.argtypes, peek.restype = [], __import__("ctypes").c_ulong
    assert peek() == 0


def test_trap_11_threads_share_keys_while_the_cache_evicts_them() -> None:
    keys = [sm.SigningKey.from_scalar(scalar_of(value)) for value in range(1, 7)]
    signed = [(key.public_key, bytes([number]), key.sign(bytes([number]))) for number, key in enumerate(keys)]
    backend = LibcryptoBackend()
    backend._keys = KeyCache(2)
    wrong: list[int] = []

    def verify_all(start: int) -> None:
        for step in range(60):
            number = (start + step) % len(signed)
            public_key, message, signature = signed[number]
            if not backend.is_valid_signature(public_key, message, signature):
                wrong.append(number)
            if backend.is_valid_signature(public_key, message + b"!", signature):
                wrong.append(number)

    threads = [threading.Thread(target=verify_all, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(backend._keys) <= 2


def test_trap_13_an_error_inside_libcrypto_is_not_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = LibcryptoBackend()
    counting = CountingLibrary(backend._lib)
    backend._lib = counting  # type: ignore[assignment]  # a stand-in whose verification fails
    monkeypatch.setattr(counting, "EVP_DigestVerify", lambda *_: -1, raising=False)
    assert backend.is_valid_signature(PUBLIC_KEY, MESSAGE, SIGNATURE) is True
    assert backend.is_valid_signature(PUBLIC_KEY, MESSAGE + b"!", SIGNATURE) is False
    monkeypatch.setattr(counting, "EVP_DigestVerifyInit", lambda *_: 0, raising=False)
    with pytest.raises(sm.SmBackendError, match="could not set up"):
        backend.is_valid_signature(PUBLIC_KEY, MESSAGE, SIGNATURE)


def test_signing_keys_are_neither_shown_nor_copied_nor_pickled() -> None:
    key = sm.SigningKey.from_scalar(SCALAR)
    for text in (repr(key), str(key), f"{key}", f"{[key]}"):
        assert SCALAR.hex()[:8] not in text
        assert "3945" not in text
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(GridError, match="not pickled or copied"):
            attempt(key)


def test_generated_keys_differ_and_sign() -> None:
    first, second = sm.SigningKey.generate(), sm.SigningKey.generate()
    assert first.public_key != second.public_key
    assert sm.is_valid_signature(first.public_key, MESSAGE, first.sign(MESSAGE))
    assert not sm.is_valid_signature(second.public_key, MESSAGE, first.sign(MESSAGE))


def test_window_tables_and_ladder_agree_with_repeated_addition() -> None:
    table = pure.window_table(G)
    total: pure.Jacobian = (1, 1, 0)
    for scalar in range(1, 300):
        total = pure._add(total, *G)
        expected = pure._affine(total)
        assert pure._affine(pure.multiply_by_table(table, scalar)) == expected
        assert pure._affine(pure.multiply(G, scalar)) == expected
    for scalar in (N - 1, N, N + 1, (1 << 256) - 1, 1 << 255, 0):
        by_table, by_ladder = pure.multiply_by_table(table, scalar), pure.multiply(G, scalar)
        assert bool(by_table[2]) == bool(by_ladder[2]) == (scalar % N != 0)
        if scalar % N:
            assert pure._affine(by_table) == pure._affine(by_ladder)


def test_more_keys_than_tables_do_not_rebuild_them_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    verify = sm.load_backend("python").is_valid_signature  # its start-up test, before anything is counted
    monkeypatch.setattr(pure, "_keys", KeyCache(8))
    monkeypatch.setattr(pure, "_tables", KeyCache(2))
    built: list[pure.Affine] = []
    real = pure.window_table

    def counted(point: pure.Affine) -> pure.Table:
        built.append(point)
        return real(point)

    monkeypatch.setattr(pure, "window_table", counted)
    keys = [sm.SigningKey.from_scalar(scalar_of(value)) for value in (5, 6, 7)]
    signed = [(key.public_key, key.sign(MESSAGE)) for key in keys]
    for _ in range(6):
        assert all(verify(public_key, MESSAGE, signature) for public_key, signature in signed)
    assert built == [curve.parse_public_key(key.public_key) for key in keys[:2]]  # the third goes without
    for _ in range(pure.USES_PER_REBUILD - 6):
        assert verify(signed[2][0], MESSAGE, signed[2][1])
    assert built[2:] == [curve.parse_public_key(keys[2].public_key)]
