"""Households of a folder's ledger that contest lines, slots and readings, before their final run and after it.

The importer signs whatever the files bring; here each household has a key of its own beside, the utility one that answers, and a regulator one that decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.envelope import decode_transaction
from gridcore.governance.membership import MEMBERSHIP, ChangeMembers
from gridcore.governance.table import Action
from gridcore.master_data import Named
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.registry.row import Row
from gridcore.registry.signer import SIGNER, Signer
from gridcore.signers import open_signer
from gridcore.transactions.dispute_step import DisputeAnswer, DisputeDecision, DisputeStep, DisputeWithdrawal
from gridledger.settling.chain.founding import IMPORTER, OPERATOR, ZONE_NAME
from gridledger.settling.dataset import PointRow
from ledger.leaves.dispute import DISPUTE, DisputeLeaf
from ledger.leaves.disputes import DISPUTES
from ledger.leaves.runs import RUNS
from ledger.store.ledger import Ledger
from tests.worlds.keys import key
from tests.worlds.ledgers import decide
from tests.worlds.transactions import Sender

REGULATOR: Final = "regulator"
WEEK_SLOTS: Final = 672
STEPS: Final[dict[str, tuple[type[DisputeStep], str]]] = {
    "agreed": (DisputeAnswer, IMPORTER),
    "rejected": (DisputeAnswer, IMPORTER),
    "upheld": (DisputeDecision, REGULATOR),
    "dismissed": (DisputeDecision, REGULATOR),
    "withdrawn": (DisputeWithdrawal, ""),
}
"""What each outcome is a step of, and who says it: "" the party."""


class Case(NamedTuple):
    """opened, closed: after which edition of the data; outcomes: what is said when it closes, in order; wrong_wh: by how much its reading is too high until it is
    corrected, with the edition after it closed; is_made: whether a run then corrects it.
    """

    opened: int
    closed: int
    ground: str
    line_kind: str
    outcomes: tuple[str, ...]
    wrong_wh: int = 0
    is_made: bool = True


FINAL: Final = 3
"""With this edition the final runs are made."""
CASES: Final = (
    Case(0, 0, "reading", "", ("agreed",), wrong_wh=250),
    Case(0, 1, "tariff", "levy", ("rejected", "dismissed")),
    Case(1, 2, "energy", "", ("withdrawn",)),
    Case(1, 2, "reading", "", ("rejected", "upheld"), wrong_wh=300),
    Case(2, FINAL, "energy", "", ("upheld",), wrong_wh=6_000),  # nobody has answered in ten days
    Case(FINAL, FINAL, "reading", "", ("rejected", "upheld"), wrong_wh=7_000),
    Case(FINAL, FINAL, "price", "community_buy", ("agreed",), wrong_wh=20, is_made=False),
    Case(FINAL, FINAL, "other", "levy", ("rejected", "dismissed")),
)  # fmt: skip
"""Of each week."""


class Contested(NamedTuple):
    """A slot of a household, by its places in the data, and what becomes of it."""

    case: Case
    slot: int
    place: int


def contested(days: int, places: Sequence[int]) -> list[Contested]:
    """The cases of each week, each of another slot and, as far as there are so many, of another household."""
    found = []
    for week in range(days * 96 // WEEK_SLOTS):
        for number, case in enumerate(CASES):
            slot = week * WEEK_SLOTS + 37 + number * 79
            found.append(Contested(case, slot, places[(week * len(CASES) + number) % len(places)]))
    return found


class Kept(NamedTuple):
    """A dispute on the ledger. run: the contested one."""

    contested: Contested
    id: bytes
    run: str


class Quarrels:
    """Opens and ends the disputes of a folder's ledger. points, slot_start_s: of the data; outcomes: what has been said."""

    def __init__(self, cases: Sequence[Contested], points: Sequence[PointRow], slot_start_s: Sequence[int]) -> None:
        self.kept: list[Kept] = []
        self.outcomes = Counter[str]()
        self._cases = cases
        self._points = points
        self._slot_start_s = slot_start_s

    def go_on(self, ledger: Ledger, folder: Path, edition: int) -> None:
        """What is opened and closed after an edition of the data has been settled."""
        sender = _sender(ledger, folder)
        if edition == 0:
            keys = sender.register(list(_keys_of(self._points, sender.now_s)), signer=IMPORTER)
            _decide(ledger, [keys, sender.propose(_regulator(), signer=IMPORTER)])
            _decide(ledger, [sender.clock(sender.now_s + 60, signer=IMPORTER)])
        for one in [one for one in self._cases if one.case.opened == edition]:
            self._open(ledger, sender, one)
        for kept in [kept for kept in self.kept if kept.contested.case.closed == edition]:
            for outcome in kept.contested.case.outcomes:
                self._step(ledger, sender, kept, outcome)

    def party(self, one: Contested) -> str:
        """Who contests."""
        return self._points[one.place].party

    def start_s(self, one: Contested) -> int:
        """When the contested slot begins, UTC seconds."""
        return self._slot_start_s[one.slot]

    def leaves(self, ledger: Ledger) -> Iterator[tuple[Kept, DisputeLeaf]]:
        """Every dispute as the ledger has it in the end; none of them is open."""
        for kept in self.kept:
            assert not DISPUTES.must(ledger, self.party(kept.contested)).open
            yield kept, DISPUTE.must(ledger, kept.id.hex())

    def _open(self, ledger: Ledger, sender: Sender, one: Contested) -> None:
        run = RUNS.must(ledger, self.start_s(one), ZONE_NAME).last
        point, case = self._points[one.place], one.case
        wire = sender.dispute(
            point.party, point.point, self.start_s(one), run=run, ground=case.ground, line_kind=case.line_kind
        )
        _decide(ledger, [wire])
        self.kept.append(Kept(one, decode_transaction(wire).id, run))

    def _step(self, ledger: Ledger, sender: Sender, kept: Kept, outcome: str) -> None:
        kind, signer = STEPS[outcome]
        _decide(ledger, [sender.step(kind, kept.id, signer or self.party(kept.contested), outcome)])
        self.outcomes[outcome] += 1


def _keys_of(points: Sequence[PointRow], from_s: int) -> Iterator[Row]:
    for point in points:
        signer = Signer(OPERATOR, key(point.party).public_key, ["prosumer"])
        yield from Named(SIGNER, point.party, signer, from_s).rows()


def _regulator() -> Action:
    organisation, signer = (
        Organisation(["regulator"], "Who decides"),
        Signer(REGULATOR, key(REGULATOR).public_key, ["regulator"]),
    )
    named = (Named(ORGANISATION, REGULATOR, organisation, 0), Named(SIGNER, REGULATOR, signer, 0))
    return Action(MEMBERSHIP, ChangeMembers([[row.key, row.value] for one in named for row in one.rows()], bytes(32)))


def _sender(ledger: Ledger, folder: Path) -> Sender:
    importer = open_signer(f"file:{folder / 'keys' / IMPORTER}.pem", f"file:{folder / 'keys' / IMPORTER}.password")

    def sign(name: str, signed: bytes) -> bytes:
        return (importer if name == IMPORTER else key(name)).sign(signed)

    return Sender(ledger.chain, ledger.ledger_time_s, sign)


def _decide(ledger: Ledger, wires: Sequence[bytes]) -> None:
    codes = decide(ledger, wires)
    assert codes == [0] * len(wires), codes
