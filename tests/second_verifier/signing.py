"""Keys and signatures for tests: SM2 with secrets and nonces that follow from names, so never for anything else."""

from dataclasses import dataclass
from functools import lru_cache

from tests.second_verifier.sm import G, N, P, Point, affine_x, message_digest, sm3, times


@dataclass(frozen=True)
class KeyPair:
    secret: int
    public: bytes

    @property
    def fingerprint(self) -> bytes:
        return sm3(self.public)


def _affine(point: Point) -> tuple[int, int]:
    inverse = pow(point.z, -1, P)
    return affine_x(point), point.y * inverse**3 % P


def key_pair(name: str) -> KeyPair:
    secret = int.from_bytes(sm3(name.encode()), "big") % (N - 2) + 1
    x, y = _affine(times(secret, G))
    return KeyPair(secret, b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big"))


@lru_cache(maxsize=1 << 14)
def sign(pair: KeyPair, message: bytes) -> bytes:
    """64 bytes `r || s`."""
    nonce = int.from_bytes(sm3(pair.secret.to_bytes(32, "big") + message), "big") % (N - 1) + 1
    r = (message_digest(pair.public, message) + affine_x(times(nonce, G))) % N
    s = pow(1 + pair.secret, -1, N) * (nonce - r * pair.secret) % N
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
