"""The ledger's codes: numbered, named, never renumbered (docs/spec/envelope.md).

A refusal is an answer. ``RETRY`` holds the codes for which sending the same bytes again can help.
"""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """What became of a transaction, or of one row of a reading batch (81 ... 91)."""

    ACCEPTED = 0
    EXISTS = 1
    WAITING = 2
    NODE_BUSY = 3
    NOT_CANONICAL = 10
    WRONG_CHAIN = 11
    UNKNOWN_KIND = 12
    UNKNOWN_SIGNER = 13
    WRONG_SIGNATURE = 14
    NOT_PERMITTED = 15
    REVOKED = 16
    CERTIFICATE_EXPIRED = 17
    EXPIRED = 18
    VALID_TOO_LONG = 19
    ID_REUSED = 20
    TOO_MANY_IDS = 21
    NOTHING_TO_VOTE = 22
    VOTED_ALREADY = 23
    PROPOSAL_FORM = 24
    TOO_MANY_PROPOSALS = 25
    LAST_OF_ITS_KIND = 26
    CLOCK_NOT_AHEAD = 30
    CLOCK_IS_BLOCK_TIME = 31
    CLOCK_STEP_TOO_LONG = 32
    CLOCK_WORK_PENDING = 33
    NOTHING_TO_ACCEPT = 34
    NOTHING_IMPORTED = 35
    WRONG_EPOCH = 40
    COUNTER_GAP = 41
    COUNTER_REUSED = 42
    COUNTER_PASSED = 43
    WRONG_PREVIOUS = 44
    FUTURE_BOUNDARY = 45
    NOT_A_BOUNDARY = 46
    ROWS_MISMATCH = 47
    INTERVALS_REFUSED = 48
    EPOCH_NOT_NEXT = 49
    REGISTRY_FORM = 50
    REGISTRY_NOT_AHEAD = 51
    REGISTRY_UNKNOWN = 52
    REGISTRY_CONFLICT = 53
    RULES_REFUSED = 54
    NOTHING_PENDING = 55
    APPROVED_ALREADY = 56
    BATCHES_AT_BOUNDARY = 57
    NOTHING_TO_APPROVE = 58
    SET_PENDING = 59
    GATE_CLOSED = 60
    NOT_OPEN_YET = 61
    NOT_A_SLOT = 62
    WRONG_AREA = 63
    QUANTITY_OUT_OF_RANGE = 64
    PRICE_OUT_OF_RANGE = 65
    ORDER_REUSED = 66
    DOES_NOT_TRADE = 67
    COUNTER_OUT_OF_RANGE = 68
    NO_ORDERS = 69
    ABOVE_POINT_LIMIT = 70
    CROSSES_OWN = 71
    NO_CREDIT = 72
    NO_MANDATE = 73
    ROW_CORRECTION_CANDIDATE = 81
    ROW_UNKNOWN_METER = 82
    ROW_GOES_BACK = 83
    ROW_EXCEEDS_LIMIT = 84
    ROW_TWICE = 85
    ROW_OTHER_GATEWAY = 86
    ROW_QUALITY = 87
    ROW_NOT_AT_BOUNDARY = 88
    ROW_CLOCK = 89
    ROW_FIRST_VALUE = 90
    ROW_FINAL = 91


RETRY = frozenset(
    {
        Code.WAITING,
        Code.NODE_BUSY,
        Code.CERTIFICATE_EXPIRED,
        Code.TOO_MANY_IDS,
        Code.TOO_MANY_PROPOSALS,
        Code.CLOCK_WORK_PENDING,
        Code.COUNTER_GAP,
        Code.FUTURE_BOUNDARY,
        Code.SET_PENDING,
        Code.NOT_OPEN_YET,
        Code.NO_CREDIT,
    }
)
