"""A validator whose signature is missing for long is counted, by the newest certificates alone."""

from __future__ import annotations

from pathlib import Path

from ledger.attendance import MISSED_MAX, absent_validators
from tests.worlds.quartet import Quartet, quartet


def decide(four: Quartet, heights: int, *, silent: int | None = None) -> None:
    """Blocks without transactions; one validator's votes have no signature."""
    for _ in range(heights):
        votes = [b"" if number == silent else vote for number, vote in enumerate(four.extensions)]
        four.decide(proposed=four.prepare([], votes or None))


def test_validator_is_away_once_64_certificates_in_a_row_lack_its_signature_and_no_more_with_the_next_one(
    tmp_path: Path,
) -> None:
    with quartet(tmp_path) as four:
        ledger = four.ledger()
        decide(four, 2)
        decide(four, MISSED_MAX - 1, silent=3)
        assert absent_validators(ledger) == [], "63 certificates do not make it"
        decide(four, 1, silent=3)
        assert ledger.certified_height == MISSED_MAX
        assert absent_validators(ledger) == [four.homes[3].validator.name]
        decide(four, 1)
        assert absent_validators(ledger) == []
