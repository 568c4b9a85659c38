"""What a node and whoever asks it agree on: where its routes are, and bounds that both keep (docs/spec/http.md).

Apart from the client: a node that only answers loads no HTTP client.
"""

from __future__ import annotations

from typing import Final

API: Final = "/api/v1"
CBOR_TYPE: Final = "application/cbor"
TRANSACTIONS_MAX: Final = 1_000
"""Transactions in one submission."""
SUBMISSION_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of one submission's body."""
WAIT_S_MAX: Final = 20
"""Longest that a node holds a question for the clock or a block: less than the silence after which it drops a connection."""
