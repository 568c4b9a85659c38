"""What a node and whoever asks it agree on: where its routes are, and bounds that both keep (docs/spec/http.md).

Apart from the client: a node that only answers loads no HTTP client.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

API: Final = "/api/v1"
CBOR_TYPE: Final = "application/cbor"
TRANSACTIONS_MAX: Final = 1_000
"""Transactions in one submission."""
SUBMISSION_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of one submission's body."""
WAIT_S_MAX: Final = 20
"""Longest that a node holds a question for the clock or a block: less than the silence after which it drops a connection."""
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of an answer that are read before the node is taken for broken."""
SHORT_BYTES_MAX: Final = 64 * 1024
"""The same of an answer of a few fields: status, clock, a problem."""
VERDICTS_BYTES_MAX: Final = 8 * 1024 * 1024
"""The same of the answers to one submission."""
SLOWEST_BYTES_S: Final = 16 * 1024
"""A node that answers more slowly, after its time-out, is given up: a byte now and then keeps nobody waiting."""
SLOWEST_SENT_BYTES_S: Final = 1024
"""What the way to a node takes at the least, over 2G too."""
RETRY_AFTER_S_MAX: Final = 3_600
"""What a node may ask for between two submissions; more is not believed."""


def parts_of(transactions: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Submissions within both limits; a transaction that is too long by itself goes alone, for the node to refuse."""
    part: list[bytes] = []
    size = 0
    for wire in transactions:
        cost = len(wire) + 16
        if part and (len(part) == TRANSACTIONS_MAX or size + cost > SUBMISSION_BYTES_MAX - 16):
            yield part
            part, size = [], 0
        part.append(wire)
        size += cost
    if part:
        yield part


def retry_after_s(header: str) -> int:
    """Whole seconds of a Retry-After header (RFC 9110, 10.2.3), at most RETRY_AFTER_S_MAX; 0 for a date, or nothing."""
    is_number = header.isascii() and header.isdigit() and len(header) <= 10
    return min(int(header), RETRY_AFTER_S_MAX) if is_number else 0
