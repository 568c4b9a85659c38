"""What the node tells of its registry is that of the newest state: nothing is kept as if genesis had the last word."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore import merkle
from gridcore.registry.row import Row
from ledger.http import view as view_module
from ledger.http.view import LedgerView
from ledger.leaves.family import Value
from ledger.registry.entries import ENTITY_FAMILIES, EntityLeaf, Entry
from ledger.state.block import Block
from ledger.store import reader as reader_module
from ledger.store.ledger import Ledger
from ledger.store.reader import KEYS_TOGETHER
from settlement import statements
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import START_S, Consortium, area, household
from tests.worlds.ledgers import open_ledger

NUMBER = 2
"""What a further party and point get in a world that has two of each."""


def register(ledger: Ledger, *rows: Row) -> None:
    """A block that recorded these rows, as one with registry transactions of every entity will."""
    application, height = ledger.application, ledger.height + 1
    values: dict[str, Value] = {}
    bodies: dict[bytes, bytes] = {}
    for row in rows:
        kind, _, name = row.key.partition("/")
        family, body = ENTITY_FAMILIES[kind], bytes(16) + row.encode()
        number = NUMBER if kind in ("party", "point") else None
        leaf = family.load(ledger, name) or EntityLeaf((), number=number)
        bodies[merkle.leaf_hash(body)] = body
        values[row.key] = family.encode(leaf.added(Entry(row.from_s, height, merkle.leaf_hash(body))))
    decided = application.apply(Block(height, START_S, ()))
    state = application.state.changed(values, bodies)
    decided = replace(decided, state=state, header=replace(decided.header, state_root=state.tree.root))
    ledger._db.save_block(decided, [], 0)
    application.commit(decided)


def party(trades: bool) -> Row:
    return Row("party/p-3", START_S, {"area": "a-1", "organisation": "util", "trades": trades})


def test_areas_tables_and_gateways_follow_what_a_block_registers(tmp_path: Path) -> None:
    consortium = Consortium(meters=[household(1, "p-1"), household(2, "p-2")])
    with closing(open_ledger(tmp_path, consortium)) as ledger:
        view = LedgerView(ledger, CONTRACTS, statements)
        before = view.area("a-1")
        assert view.table(before).trades == (True, True)
        assert view.reads_of["gw-1"] == (2, ("a-1",))
        installation = next(row.value for row in consortium.rows() if row.key == "installation/2")
        register(
            ledger,
            party(False),
            Row("point/P-3", START_S, {"area": "a-1", "party": "p-3", "role": "household"}),
            Row("installation/3", START_S, {**installation, "meter": "M-3", "point": "P-3"}),
        )
        after = view.area("a-1")
        assert view.table(after).meters == ("M-1", "M-2", "M-3")
        assert view.table(after).trades == (True, True, False)
        assert view.reads_of["gw-1"] == (3, ("a-1",))
        assert view.table(before).meters == ("M-1", "M-2"), "who still holds the earlier area gets its rows"
        register(ledger, party(True))
        assert view.table(view.area("a-1")).trades == (True, True, True)


def test_what_is_registered_of_an_area_is_read_in_questions_of_many(tmp_path: Path) -> None:
    consortium = Consortium(meters=[household(number, f"p-{number}") for number in range(1, 151)])
    with closing(open_ledger(tmp_path, consortium)) as ledger:
        view, asked = LedgerView(ledger, CONTRACTS, statements), list[str]()
        ledger._db._tables.connection.set_trace_callback(asked.append)
        rows, codes = view.meters(view.area("a-1"), None)
        assert len(asked) < 12
        table = view.table(view.area("a-1"))
        assert len(table.meters) == len(rows) == 150
        assert list(table.meters) == codes
        assert len(asked) < 24
        assert view.meters(view.area("a-1"), None)[1] is table.meters
        of_one = view.metered(view.area("a-1"), "p-7")
        assert (of_one[0].tolist(), of_one[1].meters, of_one[1].trades) == ([6], ("M-7",), (True,))
        assert not len(view.metered(view.area("a-1"), "nobody")[0])


def test_what_is_registered_of_an_area_is_read_where_a_question_takes_few_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.state.state._LEAVES_TOGETHER", KEYS_TOGETHER)
    consortium = Consortium(meters=[household(number, f"p-{number}") for number in range(1, 2 * KEYS_TOGETHER)])
    with closing(open_ledger(tmp_path, consortium)) as ledger:
        ledger._db._tables.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, KEYS_TOGETHER)
        view = LedgerView(ledger, CONTRACTS, statements)
        assert len(view.table(view.area("a-1")).meters) == 2 * KEYS_TOGETHER - 1


def test_a_meter_is_found_by_its_code_for_as_long_as_it_hangs_somewhere(tmp_path: Path) -> None:
    consortium = Consortium(
        areas=[area("a-1"), area("a-2")], meters=[household(1, "p-1"), household(2, "p-2", area="a-2")]
    )
    with closing(open_ledger(tmp_path, consortium)) as ledger:
        view = LedgerView(ledger, CONTRACTS, statements)
        assert [view.area_of_meter(f"M-{number}") for number in (1, 2, 3)] == ["a-1", "a-2", None]
        installation = next(row.value for row in consortium.rows() if row.key == "installation/2")
        register(ledger, party(True), Row("point/P-3", START_S, {"area": "a-1", "party": "p-3", "role": "household"}))
        register(ledger, Row("installation/3", START_S, {**installation, "point": "P-3"}))
        assert view.area_of_meter("M-2") == "a-1", "of two areas the first by name"
        for number, left in ((3, "a-2"), (2, None)):
            register(ledger, Row(f"installation/{number}", START_S, {"removed": True, "point": f"P-{number}"}))
            assert view.area_of_meter("M-2") == left


def test_a_meter_is_found_by_what_is_registered_whatever_else_the_index_says(tmp_path: Path) -> None:
    consortium = Consortium(
        areas=[area("a-1"), area("a-2")], meters=[household(1, "p-1"), household(2, "p-2", area="a-2")]
    )
    with closing(open_ledger(tmp_path, consortium)) as ledger:
        view, meters = LedgerView(ledger, CONTRACTS, statements), ledger._db._tables.connection
        meters.executemany("INSERT INTO meters VALUES (?, ?)", [("M-2", 1), ("M-2", 4_000_000_000), ("M-9", 3)])
        assert [view.area_of_meter(code) for code in ("M-2", "M-9")] == ["a-2", None]


def test_the_table_of_a_large_area_is_made_and_kept_when_its_codes_alone_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    consortium = Consortium(meters=[household(number, f"p-{number}") for number in range(1, 6)])
    with closing(open_ledger(tmp_path, consortium)) as ledger:
        for most, is_kept in ((5, False), (4, True)):
            monkeypatch.setattr(view_module, "SMALL_AREA_ROWS_MAX", most)
            view = LedgerView(ledger, CONTRACTS, statements)
            codes = [view.meters(view.area("a-1"), None)[1] for _ in range(2)]
            assert list(codes[0]) == list(codes[1]) == [f"M-{number}" for number in range(1, 6)]
            assert (codes[0] is codes[1]) == is_kept


def test_more_leaves_than_are_read_in_one_go_are_all_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "KEYS_TOGETHER", 2)
    consortium = Consortium(meters=[household(number, f"p-{number}") for number in range(1, 6)])
    with closing(open_ledger(tmp_path, consortium)) as ledger:
        keys, asked = [f"point/P-{number}" for number in range(1, 8)], list[str]()
        ledger._db._tables.connection.set_trace_callback(asked.append)
        ledger.load_together(keys)
        assert len(asked) == 4
        assert [ledger.get(key) is not None for key in keys] == [True] * 5 + [False] * 2
        assert len(asked) == 6, "of what is not there each is asked for by itself"
