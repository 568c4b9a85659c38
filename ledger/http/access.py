"""Who asks, and what they may see: signed queries, replay protection, roles (docs/spec/http.md, "Access")."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from gridcore.clock import Clock
from gridcore.envelope import NAME, SIGNATURE_BYTES
from gridcore.registry.signer import Signer
from gridcore.serving.problems import Problem
from gridcore.signed_query import NONCE_BYTES, SCHEME, Audience, query_message
from gridcore.sm import is_valid_signature

READS_ALL: Final = frozenset({"administrator", "regulator", "utility"})
ISSUED_S_MAX: Final = 60
"""How far the time of a query may lie from the node's clock, in seconds."""
NONCES_MAX: Final = 262_144
"""Nonces remembered at once, over all signers."""
NONCES_OF_SIGNER_MAX: Final = 65_536
"""Of these, of one signer: about 546 queries a second."""
HEADER_CHARACTERS_MAX: Final = 512

_HEADER = re.compile(
    rf"{SCHEME} signer=(?P<signer>{NAME.pattern}), issued=(?P<issued>0|[1-9][0-9]{{0,11}}), "
    rf"nonce=(?P<nonce>[0-9a-f]{{{2 * NONCE_BYTES}}}), signature=(?P<signature>[0-9a-f]{{{2 * SIGNATURE_BYTES}}})",
    re.ASCII,
)


@dataclass(frozen=True)
class Caller:
    """A signer whose query was verified, with the roles that state gives it."""

    id: str
    roles: frozenset[str]

    @property
    def reads_all(self) -> bool:
        """Whether load curves of everybody are open to this caller."""
        return not READS_ALL.isdisjoint(self.roles)


class Nonces:
    """The nonces of the last two minutes, bounded; a signer that fills its share is told to slow down."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[int, set[tuple[str, bytes]]] = {}
        self._counts: Counter[str] = Counter()
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def spend(self, signer: str, nonce: bytes, issued_s: int, now_s: int) -> None:
        """Use up a nonce. Problem when it was used before, or when there is no room until older ones expire."""
        with self._lock:
            for second in [second for second in self._seen if second < now_s - ISSUED_S_MAX]:
                self._forget(self._seen.pop(second))
            seen = self._seen.setdefault(issued_s, set())
            if (signer, nonce) in seen:
                raise Problem("not-authenticated", "this query was made before: sign it anew, with another nonce")
            if self._counts[signer] >= NONCES_OF_SIGNER_MAX or len(self) >= NONCES_MAX:
                raise Problem("busy", f"too many queries within {2 * ISSUED_S_MAX} s; ask again in a minute")
            seen.add((signer, nonce))
            self._counts[signer] += 1
            self._total += 1

    def _forget(self, spent: set[tuple[str, bytes]]) -> None:
        self._total -= len(spent)
        for signer, _ in spent:
            self._counts[signer] -= 1
            if not self._counts[signer]:
                del self._counts[signer]


class Authenticator:
    """Checks the ``Authorization`` header of queries. Callable from several threads."""

    def __init__(self, audience: Audience, load_signer: Callable[[str], Signer | None], clock: Clock) -> None:
        """``audience``: whom queries must be meant for; ``load_signer``: the signer of an id that may ask now, or None."""
        self._audience = audience
        self._load_signer = load_signer
        self._clock = clock
        self._nonces = Nonces()

    def authenticate(self, header: str | None, method: str, path: str, pairs: Iterable[tuple[str, str]]) -> Caller:
        """The caller behind a query. Problem 401 saying what is wrong with it.

        ``path`` and ``pairs`` are the URL's, percent-decoded. Which of signer and signature is wrong is not told apart.
        """
        if header is None:
            raise Problem(
                "not-authenticated", f"this needs a signed query: Authorization: {SCHEME} signer=..., issued=..."
            )
        match = _HEADER.fullmatch(header) if len(header) <= HEADER_CHARACTERS_MAX else None
        if match is None:
            words = "signer=ID, issued=SECONDS, nonce=32 hex digits, signature=128 hex digits"
            raise Problem("not-authenticated", f"the Authorization header reads: {SCHEME} {words}")
        signer_id, issued_s = match["signer"], int(match["issued"])
        now_s = self._clock.now_s()
        if abs(now_s - issued_s) > ISSUED_S_MAX:
            detail = f"issued at {issued_s}, more than {ISSUED_S_MAX} s from the node's time {now_s}; check the clocks"
            raise Problem("not-authenticated", detail)
        nonce = bytes.fromhex(match["nonce"])
        message = query_message(self._audience, method, path, pairs, issued_s, nonce)
        signer = self._load_signer(signer_id)
        signature = bytes.fromhex(match["signature"])
        if signer is None or not is_valid_signature(signer.public_key, message, signature):
            raise Problem(
                "not-authenticated",
                f"no signature of {signer_id} on chain {self._audience.chain} over this very query to this node since its start",
            )
        self._nonces.spend(signer_id, nonce, issued_s, now_s)
        return Caller(signer_id, frozenset(signer.roles))
