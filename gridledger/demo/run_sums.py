"""What a run says as sums by account and by line, and the difference between two runs (INTERFACE.md, ``statements.csv``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from gridledger.tables.results import PostingRow, StatementRow


class Line(NamedTuple):
    """What tells a line of a slot: another price is another line."""

    party: str
    line_kind: str
    price_micro_per_kwh: int | Literal[""]
    account: str


class RunSums:
    """Energy and amount of each line, debit and credit of each account, in nano."""

    def __init__(self) -> None:
        self.lines: dict[Line, tuple[int, int]] = defaultdict(lambda: (0, 0))
        self.accounts: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))

    def add(self, other: RunSums, sign: int = 1) -> None:
        """Add what another says, or with ``sign`` -1 take it away."""
        for line, (energy_wh, amount_nano) in other.lines.items():
            energy, amount = self.lines[line]
            self.lines[line] = (energy + sign * energy_wh, amount + sign * amount_nano)
        for account, (debit_nano, credit_nano) in other.accounts.items():
            debit, credit = self.accounts[account]
            self.accounts[account] = (debit + sign * debit_nano, credit + sign * credit_nano)

    def less(self, other: RunSums) -> RunSums:
        """This less the other."""
        difference = RunSums()
        difference.add(self)
        difference.add(other, -1)
        return difference

    def statements(self, slot_start_s: int, run: str) -> list[StatementRow]:
        """A row a line, without those of which nothing is left."""
        return [
            StatementRow(
                run, line.party, slot_start_s, line.line_kind, energy_wh, *line[2:3], amount_nano, line.account
            )
            for line, (energy_wh, amount_nano) in self.lines.items()
            if energy_wh or amount_nano
        ]

    def postings(self, slot_start_s: int, run: str) -> list[PostingRow]:
        """A row an account, without those of which nothing is left; a debit that is taken back is a credit."""
        return [
            PostingRow(slot_start_s, account, max(debit, 0) - min(credit, 0), max(credit, 0) - min(debit, 0), run)
            for account, (debit, credit) in self.accounts.items()
            if debit or credit
        ]


def read_run(answer: Mapping[str, Any]) -> RunSums:
    """What the node says of a run."""
    sums = RunSums()
    for posting in answer["postings"]:
        debit, credit = sums.accounts[posting["account"]]
        sums.accounts[posting["account"]] = (debit + posting["debit_nano"], credit + posting["credit_nano"])
    for line in answer["lines"]:
        price = line["price_micro_per_kwh"]
        key = Line(line["party"], line["line_kind"], "" if price is None else int(price), line["account"])
        energy_wh, amount_nano = sums.lines[key]
        sums.lines[key] = (energy_wh + line["energy_wh"], amount_nano + line["amount_nano"])
    return sums
