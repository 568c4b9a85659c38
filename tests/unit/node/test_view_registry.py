"""What the node tells of its registry is that of the newest state: nothing is kept as if genesis had the last word."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from ledger.http.view import LedgerView
from ledger.leaves.family import Value
from ledger.leaves.installation import INSTALLATION
from ledger.leaves.party import PARTY, PartyLeaf
from ledger.leaves.signer import SIGNER
from ledger.state.block import Block
from ledger.store.ledger import Ledger
from settlement import statements
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import FIRST_S, START_S, Consortium, household
from tests.worlds.keys import key
from tests.worlds.ledgers import open_ledger


def register(ledger: Ledger, values: dict[str, Value]) -> None:
    """A block that wrote these leaves, as one with registry transactions will."""
    application = ledger.application
    decided = application.apply(Block(ledger.height + 1, START_S, ()))
    decided = replace(decided, state=application.state.changed(values))
    ledger._db.save_block(decided, [], 0)
    application.commit(decided)


def test_areas_tables_and_gateways_follow_what_a_block_registers(tmp_path: Path) -> None:
    consortium = Consortium(meters=[household(1, "p-1"), household(2, "p-2")])
    with closing(open_ledger(tmp_path, consortium)) as ledger:
        view = LedgerView(ledger, CONTRACTS, statements)
        before = view.area("a-1")
        assert view.table(before).trades == (True, True)
        assert view.reads_of["gw-1"] == (2, ("a-1",))
        meter = INSTALLATION.must(ledger, 2)._replace(number=3, party="p-3", meter="M-3", from_s=FIRST_S)
        register(
            ledger,
            {
                INSTALLATION.key(3): INSTALLATION.encode(meter),
                PARTY.key("p-3"): PARTY.encode(PartyLeaf("a-1", 3, trades=False)),
            },
        )
        after = view.area("a-1")
        assert view.table(after).meters == ("M-1", "M-2", "M-3")
        assert view.table(after).trades == (True, True, False)
        assert view.reads_of["gw-1"] == (3, ("a-1",))
        assert view.table(before).meters == ("M-1", "M-2"), "who still holds the earlier area gets its rows"
        register(ledger, {PARTY.key("p-3"): PARTY.encode(PartyLeaf("a-1", 3, trades=True))})
        assert view.table(view.area("a-1")).trades == (True, True, True)


def test_the_name_of_a_signer_of_blocks_is_the_one_that_its_key_has_now(tmp_path: Path) -> None:
    consortium = Consortium(meters=[household(1, "p-1")], roles={"operator": ["administrator"]})
    with closing(open_ledger(tmp_path, consortium)) as ledger:
        view = LedgerView(ledger, CONTRACTS, statements)
        certifier = key("operator").public_key
        assert view.signer_names == {certifier: "operator"}
        record = SIGNER.must(ledger, "operator")
        register(ledger, {SIGNER.key("operator"): SIGNER.encode(record._replace(public_key=key("p-1").public_key))})
        assert view.signer_names == {}
        register(ledger, {SIGNER.key("board"): SIGNER.encode(record)})
        assert view.signer_names == {certifier: "board"}
