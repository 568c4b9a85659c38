"""Handlers about bytes and cryptography. Hex of either case is read, lower case is written."""

from __future__ import annotations

from collections.abc import Callable

from gridcore import cbor, merkle, sm
from gridcore.sm3 import sm3
from gridledger.vectors.cases import CaseInput, CaseRefusedError

DISTINGUISHING_ID_BYTES_MAX = 8191
"""The id's length in bits travels in 16 bits (GB/T 32918.2)."""


def sm3_digest(case: CaseInput) -> dict[str, object]:
    """``sm3/1``."""
    return {"digest": sm3(case.data("message")).hex()}


def _verdict(check: Callable[[], bool]) -> dict[str, object]:
    """``valid``: where a handler answers that, malformed input is not refused but not valid."""
    try:
        return {"valid": check()}
    except CaseRefusedError:
        return {"valid": False}


def sm2_verify(case: CaseInput) -> dict[str, object]:
    """``sm2_verify/1``."""
    distinguishing_id = case.text("distinguishing_id").encode("utf-8")

    def check() -> bool:
        public_key, message, signature = case.data("public_key"), case.data("message"), case.data("signature")
        if len(distinguishing_id) > DISTINGUISHING_ID_BYTES_MAX:
            return False
        return sm.is_valid_signature(public_key, message, signature, distinguishing_id)

    return _verdict(check)


def merkle_root(case: CaseInput) -> dict[str, object]:
    """``merkle_root/1``."""
    return {"root": merkle.root(case.data_list("leaves")).hex()}


def merkle_inclusion(case: CaseInput) -> dict[str, object]:
    """``merkle_inclusion/1``."""
    return _verdict(
        lambda: merkle.is_included(
            case.data("leaf"), case.integer("index"), case.integer("size"), case.data_list("path"), case.data("root")
        )
    )


def merkle_consistency(case: CaseInput) -> dict[str, object]:
    """``merkle_consistency/1``."""
    return _verdict(
        lambda: merkle.is_consistent(
            case.integer("size_old"),
            case.data("root_old"),
            case.integer("size_new"),
            case.data("root_new"),
            case.data_list("path"),
        )
    )


def salted_root(case: CaseInput) -> dict[str, object]:
    """``salted_root/1``: rows of any length (only the ledger's own rows are bounded)."""
    seed, rows = case.data("seed"), case.data_list("rows")
    salts = merkle.salts(seed, len(rows))
    hashes = [merkle.salted_leaf_hash(salt, row) for salt, row in zip(salts, rows, strict=True)]
    return {"root": merkle.root_of_hashes(hashes).hex(), "salts": [salt.hex() for salt in salts]}


def cbor_canonical(case: CaseInput) -> dict[str, object]:
    """``cbor_canonical/1``."""
    return {"canonical": cbor.is_canonical(case.data("bytes"))}
