"""Leaves: a record comes back from the map that is stored, and each family's key is its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ledger.leaves
from gridcore import cbor
from gridcore.errors import InvariantError
from ledger.leaves.account import AccountLeaf
from ledger.leaves.area import AreaLeaf
from ledger.leaves.balance import BalanceLeaf, no_balance
from ledger.leaves.book import BOOK, BookLeaf, Order, append_order, load_orders
from ledger.leaves.calendar import CalendarLeaf
from ledger.leaves.chain import ChainLeaf
from ledger.leaves.clearing import ClearingLeaf
from ledger.leaves.columns import CHUNK_ROWS
from ledger.leaves.exception import ExceptionLeaf, RowVerdict
from ledger.leaves.families import FAMILIES, GENESIS_FAMILIES
from ledger.leaves.family import Value
from ledger.leaves.fills import Fill, FillsLeaf, load_fills, save_fills
from ledger.leaves.gateway import GatewayLeaf
from ledger.leaves.installation import InstallationLeaf
from ledger.leaves.latest import LatestLeaf
from ledger.leaves.ledger_time import TimeLeaf
from ledger.leaves.party import PARTY, PartyLeaf
from ledger.leaves.positions import PositionsLeaf, join_positions
from ledger.leaves.progress import ProgressLeaf
from ledger.leaves.registers import RegistersLeaf
from ledger.leaves.rules import RulesLeaf
from ledger.leaves.run import RunLeaf
from ledger.leaves.seen import SEEN, SeenId, SeenLeaf
from ledger.leaves.signer import SignerLeaf

COLUMN = np.array([-(2**63), 0, 2**63 - 1], dtype=np.int64)
QUALITY = np.array([0, 0x15, 0xFF], dtype=np.uint8)
SEED, DIGEST = b"s" * 32, b"d" * 32
ORDER = Order("p-1", 1, "buy", 5, -3, DIGEST, SEED)
FILL = Fill("p-1", 1, "buy", 5, -3, 0)
RECORDS: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "chain": ((), ChainLeaf("simulated", "CNY", "demo-", 900)),
    "time": ((), TimeLeaf(7)),
    "signer": (("s",), SignerLeaf(bytes(65), ["clock", "utility"])),
    "gateway": (("gw-1",), GatewayLeaf(3, 1, DIGEST, 900, "util", "software")),
    "party": (("p-1",), PartyLeaf("A", 7, trades=True)),
    "area": (("A",), AreaLeaf("c", "auction/1", DIGEST, 900, "r")),
    "calendar": (("c",), CalendarLeaf([0, 86_400], [0], "Asia/Shanghai", "2026a")),
    "rules": (("r",), RulesLeaf(300, 900, 86_400, {"prices": {"levy": 1}, "rationing": "pro_rata"})),
    "installation": ((7,), InstallationLeaf("A", 0, "gw-1", 5, "M-7", 0, 7, "P-7", "em", 1, "household", "p-1")),
    "progress": (("A",), ProgressLeaf(900, 1800, [0], [0, 900])),
    "registers": (("A", 900, 0), RegistersLeaf(QUALITY, COLUMN, COLUMN[::-1], SEED)),
    "latest": (("A", 0), LatestLeaf(COLUMN, COLUMN, COLUMN[::-1], SEED)),
    "book": (("A", 900, 0), BookLeaf([ORDER])),
    "clearing": (("A", 900), ClearingLeaf("A", DIGEST, "auction/1", DIGEST, 2, DIGEST, 900, 5, -3)),
    "fills": (("A", 900, 0), FillsLeaf([FILL], SEED)),
    "run": (
        ("A", 900, "initial"),
        RunLeaf({"levy": -(10**27) - 1}, "A", 4, "auction/1", DIGEST, DIGEST, 3, 2, DIGEST, DIGEST, "initial", 900, 0),
    ),
    "positions": (("A", 900, "initial", 0), PositionsLeaf(QUALITY, SEED, *[COLUMN] * 4, *[COLUMN[::-1]] * 4)),
    "account": (("A", "levy"), AccountLeaf(-1)),
    "balance": (("A", 0), BalanceLeaf(COLUMN, np.array([0, 1, 999_999_999]), SEED)),
    "exception": (("gw-1", 1, 2), ExceptionLeaf(900, [RowVerdict(0, 7, 83)])),
    "seen": ((48,), SeenLeaf(48, [SeenId("s", bytes(16), DIGEST)])),
}
"""One record of each family, with what names its leaf."""


class Leaves:
    """Leaves held in memory as they are stored: encoded."""

    def __init__(self) -> None:
        self._leaves: dict[str, bytes] = {}

    def get(self, key: str) -> Value | None:
        leaf = self._leaves.get(key)
        return None if leaf is None else dict(cbor.decode(leaf, items_max=len(leaf)))

    def put(self, key: str, value: Value) -> None:
        self._leaves[key] = cbor.encode(value)


def as_plain(value: Any) -> Any:
    """A record with its arrays as lists, so that records can be compared."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [as_plain(item) for item in value] if isinstance(value, list | tuple) else value


def test_there_is_a_record_here_of_every_family_and_every_file_has_one() -> None:
    folder = Path(ledger.leaves.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "columns", "families", "family", "money"}
    assert FAMILIES.keys() == RECORDS.keys()
    assert FAMILIES.keys() - {"time"} | {"ledger_time"} == files


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_comes_back_from_the_stored_map(name: str) -> None:
    leaves, family, (names, record) = Leaves(), FAMILIES[name], RECORDS[name]
    assert family.load(leaves, *names) is None
    with pytest.raises(InvariantError, match="exists"):
        family.must(leaves, *names)
    family.save(leaves, record, *names)
    assert as_plain(family.must(leaves, *names)) == as_plain(record)


@pytest.mark.parametrize("name", RECORDS)
def test_a_stored_map_of_another_shape_is_not_read(name: str) -> None:
    family, (_, record) = FAMILIES[name], RECORDS[name]
    value = dict(family.encode(record))
    if name != "rules":  # what is not of the timeline is the contract's
        with pytest.raises(TypeError):
            family.decode(**value, more=1)
    first = min(value.keys() - family.optional)
    with pytest.raises(TypeError):
        family.decode(**{field: item for field, item in value.items() if field != first})


@pytest.mark.parametrize("name", GENESIS_FAMILIES)
def test_genesis_knows_a_form_of_each_stored_field(name: str) -> None:
    family, (_, record) = FAMILIES[name], RECORDS[name]
    assert family.is_open or family.forms.keys() == family.encode(record).keys()


def test_keys_tell_families_and_leaves_apart() -> None:
    keys = {name: FAMILIES[name].key(*names) for name, (names, _) in RECORDS.items()}
    assert len(set(keys.values())) == len(keys)
    several = {name: key for name, key in keys.items() if name not in ("chain", "time", "seen")}
    assert all(FAMILIES[name].names(key) == [str(part) for part in RECORDS[name][0]] for name, key in several.items())
    assert SEEN.key(48) == SEEN.key(0) == "seen/0"
    assert PARTY.prefix == "party/"


def test_what_is_absent_is_not_stored() -> None:
    feeder = RECORDS["installation"][1]._replace(party=None, role="feeder")
    assert "party" not in FAMILIES["installation"].encode(feeder)
    assert FAMILIES["installation"].decode(**FAMILIES["installation"].encode(feeder)).party is None


def test_orders_and_fills_go_on_in_the_next_chunk() -> None:
    leaves = Leaves()
    orders = [ORDER._replace(counter=number) for number in range(CHUNK_ROWS + 1)]
    for place, order in enumerate(orders):
        append_order(leaves, "A", 900, place, order)
    assert load_orders(leaves, "A", 900) == orders
    assert BOOK.must(leaves, "A", 900, 1).orders == orders[-1:]
    fills = FillsLeaf([FILL._replace(counter=number) for number in range(CHUNK_ROWS + 1)], SEED)
    save_fills(leaves, "A", 900, fills)
    assert load_fills(leaves, "A", 900, CHUNK_ROWS + 1) == fills
    assert load_fills(leaves, "A", 900, 0) == FillsLeaf([], b"")


def test_balances_carry_from_nano_into_units() -> None:
    owed = no_balance(2).add(np.array([-1, 1_999_999_999]), SEED)
    assert (owed.units.tolist(), owed.nano.tolist()) == ([-1, 1], [999_999_999, 999_999_999])
    more = owed.add(np.array([-(2**62), 1]), DIGEST)
    assert more.owes_nano() == [-1 - 2**62, 2_000_000_000]
    assert more.seed == DIGEST


def test_positions_of_neighbouring_rows_join() -> None:
    whole = RECORDS["positions"][1]
    assert as_plain(join_positions([whole.rows(0, 1), whole.rows(1, 3)])) == as_plain(whole)
    assert as_plain(join_positions([])) == as_plain(whole.rows(0, 0)._replace(seed=b""))
