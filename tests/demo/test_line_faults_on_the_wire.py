"""Answers that come twice or out of their order are written to the sockets of a real agent, and the ledger has what the meters counted."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from gridledger.cli import main
from gridledger.simulating.fault_scores import score_run
from simulators.meters.bus import TcpClient
from tests.demo.test_simulate_small import short_copy

pytestmark = pytest.mark.slow
SLOTS = 6
EVENTS = (("duplicated", 2), ("reordered", 4))
HEADER_BYTES = 6


@dataclass
class Tap:
    """What meters write to the agent's connections: the transaction ids of the answers, connection by connection, while a line is faulty."""

    twice: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    overtaken: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))


def numbers_in(data: bytes) -> Iterator[int]:
    """The transaction ids of whole Modbus TCP frames."""
    while data:
        yield int.from_bytes(data[:2], "big")
        data = data[HEADER_BYTES + int.from_bytes(data[4:6], "big") :]


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def tapped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tap]:
    """A run in this process, its node and its agent in theirs."""
    folder, tap, write = tmp_path_factory.mktemp("wire"), Tap(), TcpClient.write

    def noted(client: TcpClient, data: bytes) -> None:
        fault = client._bus.fault
        numbers = tap.twice if fault.twice else tap.overtaken if fault.overtaken_every else None
        if numbers is not None:
            numbers[id(client)] += numbers_in(data)
        write(client, data)

    path = Path(short_copy("village_day", folder, SLOTS))
    with path.open("a") as file:
        for kind, slot in EVENTS:
            file.write(f'\n[[events]]\nlabel = "a {kind}"\nkind = "{kind}"\ntarget = "A1"\n')
            file.write(f"from_slot = {slot}\nuntil_slot = {slot + 1}\n")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TcpClient, "write", noted)
        assert main(["simulate", "run", str(path), "--out", str(folder / "out")]) == 0
    return folder / "out", tap


def test_each_answer_reaches_the_agent_twice(tapped: tuple[Path, Tap]) -> None:
    out, tap = tapped
    meters = len(rows(out / "meters.csv"))
    assert sum(map(len, tap.twice.values())) >= 2 * meters
    for numbers in tap.twice.values():
        assert numbers[::2] == numbers[1::2]
        assert len(set(numbers)) == len(numbers) // 2


def test_answers_reach_the_agent_behind_later_ones(tapped: tuple[Path, Tap]) -> None:
    _, tap = tapped
    overtaken = [later for numbers in tap.overtaken.values() for later, number in pairwise(numbers) if number < later]
    assert overtaken


def test_both_are_reported_as_measured_and_as_counted(tapped: tuple[Path, Tap]) -> None:
    out, _ = tapped
    scores = {score.kind: score for score in score_run(out)}
    assert set(scores) == {kind for kind, _ in EVENTS}
    for score in scores.values():
        assert (score.recall_percent, score.precision_percent, score.qualities) == (100, 100, {"measured"})
    reported = rows(out / "reported.csv")
    assert {row["quality"] for row in reported} == {"measured"}
