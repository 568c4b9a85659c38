"""SM2 verification by each backend: 200-byte messages, a few known keys, one thread.

The bound of every other backend is the same work by libcrypto through ctypes; libcrypto has none.
"""

from __future__ import annotations

from collections.abc import Callable

from gridcore.errors import require
from gridcore.sm import BACKEND_NAMES, SigningKey, load_backend
from gridledger.bench import Benchmark, Measurement, best_seconds

KEYS = 4
MESSAGE_BYTES = 200
SIGNATURES = {"libcrypto": 600, "native": 600, "libgmssl": 600, "python": 600, "gmssl": 24}
ROUNDS = 3


def _signed(count: int) -> list[tuple[bytes, bytes, bytes]]:
    """``count`` (public key, message, signature), made by libcrypto."""
    keys = [SigningKey.generate() for _ in range(KEYS)]
    out: list[tuple[bytes, bytes, bytes]] = []
    for number in range(count):
        key = keys[number % KEYS]
        message = number.to_bytes(MESSAGE_BYTES, "big")
        out.append((key.public_key, message, key.sign(message)))
    return out


def _verify_all(backend_name: str, signed: list[tuple[bytes, bytes, bytes]]) -> Callable[[], None]:
    verify = load_backend(backend_name).is_valid_signature

    def work() -> None:
        valid = sum(verify(public_key, message, signature) for public_key, message, signature in signed)
        require(valid == len(signed), "every benchmark signature is valid")

    work()  # key caches and window tables are part of the set-up
    return work


def _measure(backend_name: str) -> Measurement:
    signed = _signed(SIGNATURES[backend_name])
    seconds = best_seconds(_verify_all(backend_name, signed), ROUNDS)
    if backend_name == "libcrypto":
        return Measurement(len(signed), seconds)
    bound_seconds = best_seconds(_verify_all("libcrypto", signed), ROUNDS)
    return Measurement(len(signed), seconds, "the same signatures by libcrypto through ctypes", bound_seconds)


def _benchmark(backend_name: str) -> Benchmark:
    return lambda: _measure(backend_name)


BENCHMARKS: dict[str, Benchmark] = {f"sm2_verify/{name}": _benchmark(name) for name in BACKEND_NAMES}
"""Benchmarks by name, as ``gridledger bench run`` finds them."""
