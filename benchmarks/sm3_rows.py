"""sm3_rows: the salted root over a million rows of 25 bytes, as the ledger computes it.

Bound (INTERFACE): the native kernel alone on the same rows, called with buffers that stand ready.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import CDLL, c_char_p, c_int, c_size_t, create_string_buffer

from gridcore import merkle
from gridcore.errors import GridError, require
from gridcore.rows import PackedRows
from gridcore.sm3 import DIGEST_BYTES, ROWS, native
from gridledger.bench import Measurement, best_seconds

ROWS_HASHED = 1_000_000
ROW_BYTES = 25
SEED = bytes(32)
ROUNDS = 20


def sm3_rows() -> Measurement:
    """Salts, leaves and nodes of a million rows; GridError where there is no native kernel."""
    if ROWS.name not in native.KERNELS:
        raise GridError(f"sm3_rows: no native kernel here ({ROWS.description}); see gridledger doctor")
    rows = PackedRows(b"".join(number.to_bytes(ROW_BYTES, "big") for number in range(ROWS_HASHED)), ROW_BYTES)
    bare = _bare_kernel(rows.data)
    require(bare() == merkle.salted_root(SEED, rows), "both hash the same rows")
    seconds, bound_seconds = [], []
    for _ in range(ROUNDS):
        # In turns, so that what else the machine does meets both alike.
        bound_seconds.append(best_seconds(bare, rounds=1))
        seconds.append(best_seconds(lambda: merkle.salted_root(SEED, rows), rounds=1))
    return Measurement(ROWS_HASHED, min(seconds), "the native kernel alone", min(bound_seconds))


def _bare_kernel(rows: bytes) -> Callable[[], bytes]:
    """The library's own function, called with buffers that are made once."""
    function = CDLL(str(native.LIBRARY)).sm3_salted_root
    function.restype, function.argtypes = None, [c_int, c_char_p, c_size_t, c_char_p, c_size_t, c_size_t, c_char_p]
    roots = create_string_buffer(len(rows))
    lanes = native.KERNELS[ROWS.name]

    def work() -> bytes:
        function(lanes, SEED, len(SEED), rows, ROW_BYTES, ROWS_HASHED, roots)
        return bytes(memoryview(roots)[:DIGEST_BYTES])

    return work


BENCHMARKS = {"sm3_rows": sm3_rows}
