"""What a start compares before anything is signed: one flipped bit anywhere, empty files, a guard elsewhere, the registry's file."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

import pytest

from gridcore import merkle
from gridcore.errors import GridError, UsageError
from gridcore.genesis import decode_genesis
from gridcore.sm3 import DIGEST_BYTES
from ledger.leaves.delivery import DELIVERY
from ledger.registry.columns import read_columns
from ledger.registry.columns_file import encode_columns
from ledger.registry.in_force import Registry
from ledger.store import opening, state_db
from ledger.store.check import check_ledger, renew_guard
from ledger.store.directory import found_columns, found_ledger, init_ledger
from ledger.store.errors import StoreError
from ledger.store.ledger import Ledger
from settlement.catalogue import CONTRACTS
from tests.worlds.clocks import ManualClock
from tests.worlds.consortium import START_S as CONSORTIUM_START_S
from tests.worlds.consortium import Consortium, feeder
from tests.worlds.faults import UnsyncedFiles
from tests.worlds.feeders import FEEDERS, START_S, batches, clock_advance, new_key
from tests.worlds.keys import key
from tests.worlds.ledgers import decide, open_ledger
from tests.worlds.transactions import transaction_id

CLOCK = [clock_advance(START_S + 10 + step) for step in range(12)]
GW1, GW2 = batches("gw-1", 12), batches("gw-2", 12)
KEYS = [new_key("util", step, START_S + 10 + step) for step in range(12)]
BLOCKS = list(zip(GW1, GW2, CLOCK, KEYS, strict=True))
FLIPS = 60


def go_on(data_dir: Path) -> bytes:
    """S_h after the last blocks."""
    with closing(open_ledger(data_dir)) as ledger:
        for wires in BLOCKS[ledger.height :]:
            assert decide(ledger, wires) == [0, 0, 0, 0]
        return ledger.digest(ledger.height)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with eight blocks, closed."""
    data_dir = tmp_path_factory.mktemp("filled") / "ledger"
    with closing(open_ledger(data_dir)) as ledger:
        for wires in BLOCKS[:8]:
            assert decide(ledger, wires) == [0, 0, 0, 0]
    return data_dir


@pytest.fixture
def copied(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "copy"))


def flip(path: Path, random: Random) -> int:
    """Change one bit; returns the byte's place."""
    data = bytearray(path.read_bytes())
    place = random.randrange(len(data))
    data[place] ^= 1 << random.randrange(8)
    path.write_bytes(data)
    return place


@pytest.mark.parametrize("seed", range(3))
def test_a_flipped_bit_in_the_database_never_leads_to_another_header(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    expected = go_on(Path(shutil.copytree(filled, tmp_path / "calm")))
    random, told = Random(seed), list[str]()
    monkeypatch.setattr(opening, "CHECKED_LEAVES_MAX", 1000 * (seed % 2))
    for number in range(FLIPS // 3):
        data_dir = Path(shutil.copytree(filled, tmp_path / str(number)))
        place = flip(data_dir / "state.db", random)
        try:
            assert go_on(data_dir) == expected, f"bit of byte {place}"
        except StoreError as error:
            told.append(str(error))
    assert len(told) < FLIPS // 3
    assert all("\n" not in line and "state.db" in line for line in told)


@pytest.mark.parametrize("height", [1, 4, 7])
def test_a_flipped_bit_in_a_middle_block_of_the_log_is_named_with_both_heights(copied: Path, height: int) -> None:
    with closing(open_ledger(copied)) as ledger:
        offset = ledger._db.log_offset(height) or 0
    path = copied / "blocks.log"
    data = bytearray(path.read_bytes())
    data[offset + 90] ^= 4
    path.write_bytes(data)
    said = rf"block {height} at byte {offset} is damaged: its checksum does not hold; .* signed block 8 .*put back a blocks.log"
    with pytest.raises(StoreError, match=said):
        open_ledger(copied)
    assert path.read_bytes() == bytes(data)


def test_a_leaf_of_a_state_too_large_to_be_compared_at_a_start_stops_the_block_that_reads_it_before_it_is_signed(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "CHECKED_LEAVES_MAX", 0)
    with closing(sqlite3.connect(copied / "state.db")) as connection, connection:
        connection.execute("UPDATE leaves SET leaf = CAST(leaf || x'00' AS BLOB) WHERE key = 'delivery/gw-1'")
    before = (copied / "guard").read_bytes()
    with (
        closing(open_ledger(copied)) as ledger,
        pytest.raises(StoreError, match=r"leaf delivery/gw-1 is damaged.*remove state.db"),
    ):
        decide(ledger, BLOCKS[8])
    assert (copied / "guard").read_bytes() == before
    (copied / "state.db").unlink()
    assert go_on(copied), "the way out leads on"


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("guard", StoreError, r"guard: empty, so it is not known .* put it back or remove it.* node renew-guard"),
        ("genesis.cbor", UsageError, r"genesis.cbor: empty; put back the genesis that this ledger was made from"),
    ],
)
def test_an_empty_file_is_told_with_its_way_out(copied: Path, name: str, error: type[GridError], said: str) -> None:
    (copied / name).write_bytes(b"")
    with pytest.raises(error, match=said) as told:
        Ledger.open(copied, CONTRACTS, key("operator"), ManualClock(START_S))
    assert "\n" not in str(told.value)


def test_a_folder_that_is_no_ledger_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("not a ledger\n")
    with pytest.raises(UsageError, match=r"genesis\.cbor: missing; make the data directory with: gridledger node init"):
        check_ledger(tmp_path, CONTRACTS)
    with pytest.raises(UsageError, match=r"not empty and no ledger; give a new or an empty directory"):
        init_ledger(tmp_path, FEEDERS.genesis_file)
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_a_genesis_with_a_flipped_bit_is_told_with_its_way_out(copied: Path) -> None:
    flip(copied / "genesis.cbor", Random(3))
    with pytest.raises(UsageError, match=r"genesis.cbor: .*put back the genesis"):
        Ledger.open(copied, CONTRACTS, key("operator"), ManualClock(START_S))


def test_a_ledger_founded_from_a_checked_genesis_is_the_one_that_its_bytes_make(tmp_path: Path) -> None:
    found_ledger(tmp_path / "founded", decode_genesis(FEEDERS.genesis_file))
    init_ledger(tmp_path / "made", FEEDERS.genesis_file)
    digests = []
    for name in ("founded", "made"):
        with closing(Ledger.open(tmp_path / name, CONTRACTS, key("operator"), ManualClock(START_S))) as ledger:
            digests.append([ledger.digest(0), decide(ledger, BLOCKS[0]), ledger.state_root()])
        assert check_ledger(tmp_path / name, CONTRACTS).holds
    assert digests[0] == digests[1]


def test_the_guard_may_lie_outside_the_data_directory(tmp_path: Path) -> None:
    data_dir, guard = tmp_path / "ledger", tmp_path / "elsewhere" / "guard"
    init_ledger(data_dir, FEEDERS.genesis_file, guard=guard)

    def open_there() -> Ledger:
        return Ledger.open(
            data_dir, CONTRACTS, key("operator"), ManualClock(START_S), guard=guard, files=UnsyncedFiles()
        )

    with closing(open_there()) as ledger:
        decide(ledger, BLOCKS[0])
    assert [path.name for path in data_dir.iterdir() if path.name.startswith("guard")] == []
    assert check_ledger(data_dir, CONTRACTS, guard=guard).holds
    with pytest.raises(StoreError, match="ledger/guard: missing"):
        Ledger.open(data_dir, CONTRACTS, key("operator"), ManualClock(START_S))
    guard.unlink()
    with pytest.raises(StoreError, match=rf"renew-guard --data DIR --guard {guard}"):
        open_there()
    assert renew_guard(data_dir, CONTRACTS, guard=guard).height == 1
    with closing(open_there()) as ledger:
        assert ledger.height == 1


# ------------------------------------------------------------------------------------------------- the registry's file


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_at(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


REGISTRY_HEAD_BYTES = 44
"""Magic, height and header digest; lengths and columns follow, last a digest."""


@pytest.mark.parametrize(
    "spoil",
    [
        Path.unlink,
        cut,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes() + b"x"),
        *(partial(flip_at, place=place) for place in (0, REGISTRY_HEAD_BYTES, REGISTRY_HEAD_BYTES + 8, -40, -1)),
    ],
)
def test_a_registry_file_that_does_not_fit_is_made_again(copied: Path, spoil: Callable[[Path], object]) -> None:
    whole = (copied / "registry").read_bytes()
    spoil(copied / "registry")
    open_ledger(copied).close()
    again = (copied / "registry").read_bytes()
    assert again[REGISTRY_HEAD_BYTES:-DIGEST_BYTES] == whole[REGISTRY_HEAD_BYTES:-DIGEST_BYTES]


def test_a_start_with_a_registry_file_decodes_no_registry_row(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "from_state", lambda *_: pytest.fail("leaves were read"))
    with closing(open_ledger(copied)) as ledger:
        assert ledger.registry.numbers.tolist() == [1, 2]


@pytest.mark.parametrize("is_founded", [True, False], ids=["founded here", "made of a file"])
def test_the_first_start_makes_the_columns_of_the_genesis_and_reads_no_leaf_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_founded: bool
) -> None:
    if is_founded:
        found_columns(tmp_path, found_ledger(tmp_path, decode_genesis(FEEDERS.genesis_file)))
    else:
        init_ledger(tmp_path, FEEDERS.genesis_file)
    monkeypatch.setattr(Registry, "from_state", lambda *_: pytest.fail("leaves were read"))
    with closing(Ledger.open(tmp_path, CONTRACTS, key("operator"), ManualClock(START_S))) as ledger:
        state, columns = ledger.application.state, ledger.registry.columns
        assert list(encode_columns(columns)) == list(encode_columns(read_columns(state)))


def test_what_was_registered_since_the_registry_file_was_written_is_read_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    consortium = Consortium(meters=[feeder(1)], roles={"admin": ["administrator"]})
    with closing(open_ledger(tmp_path, consortium)) as ledger:
        wire = consortium.sender().register(
            list(feeder(2, from_s=CONSORTIUM_START_S + 1, installed_s=CONSORTIUM_START_S + 1).rows())
        )
        assert decide(ledger, [wire]) == [0]
    before = (tmp_path / "registry").read_bytes()
    monkeypatch.setattr(Registry, "from_state", lambda *_: pytest.fail("leaves were read"))
    with closing(open_ledger(tmp_path, consortium)) as ledger:
        assert ledger.registry.numbers.tolist() == [1, 2]
        assert list(encode_columns(ledger.registry.columns)) == list(
            encode_columns(read_columns(ledger.application.state))
        )
    assert (tmp_path / "registry").read_bytes() != before


def test_the_registry_file_of_another_ledger_is_not_believed(copied: Path, tmp_path: Path) -> None:
    with closing(open_ledger(tmp_path / "other")) as other:
        decide(other, [CLOCK[5]])
    open_ledger(tmp_path / "other").close()
    shutil.copy(tmp_path / "other" / "registry", copied / "registry")
    with closing(open_ledger(copied)) as ledger:
        assert ledger.registry.numbers.tolist() == [1, 2]


# ---------------------------------------------------------------------------------------------- proofs at earlier heights


def test_a_leaf_is_proved_at_the_last_heights_as_it_was_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_db, "PROVABLE_HEIGHTS", 5)
    leaves = {}
    with closing(open_ledger(tmp_path)) as ledger:
        for height, wires in enumerate(BLOCKS, 1):
            decide(ledger, wires)
            leaves[height] = {name: ledger.leaf(name) for name in ("signer/util", "chain", "signer/gw-2")}
        for height in range(7, 13):
            for name, leaf in leaves[height].items():
                proof = ledger.leaf_proof(name, height)
                assert proof is not None
                assert (proof.leaf, proof.header) == (leaf, ledger.header(height))
                assert merkle.fold(merkle.leaf_hash(proof.leaf), proof.path) == proof.header.state_root
        rows = ledger._db._tables.rows("SELECT MIN(height), MAX(height) FROM replaced_digests")
        assert rows == [(8, 12)], "no more is kept than the proofs need"
        assert ledger.leaf_proof("signer/nobody", 9) is None
        with pytest.raises(UsageError, match="leaf delivery/gw-1: is proved at the newest height alone"):
            ledger.leaf_proof(DELIVERY.key("gw-1"), 9)


def test_a_height_that_is_too_old_to_be_proved_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.store.reader.PROVABLE_HEIGHTS", 3)
    with closing(open_ledger(tmp_path)) as ledger:
        for wires in BLOCKS[:6]:
            decide(ledger, wires)
        with pytest.raises(UsageError, match="height 2: the state is proved at the newest 3 heights before 6"):
            ledger.leaf_proof("chain", 2)


def test_what_was_replaced_and_is_damaged_makes_no_proof(tmp_path: Path) -> None:
    with closing(open_ledger(tmp_path)) as ledger:
        for wires in BLOCKS[:6]:
            decide(ledger, wires)
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection, connection:
        connection.execute("UPDATE replaced_leaves SET leaf = CAST(leaf || x'00' AS BLOB) WHERE height = 5")
    with closing(open_ledger(tmp_path)) as ledger:
        with pytest.raises(StoreError, match="leaf signer/util as of height 4 is damaged"):
            ledger.leaf_proof("signer/util", 4)
        assert ledger.leaf_proof("signer/util", 6) is not None


# ---------------------------------------------------------------------------------------------- rows beside the trees


@pytest.mark.parametrize(
    ("statement", "ask", "said"),
    [
        (
            "UPDATE blocks SET header = CAST(header || x'00' AS BLOB) WHERE height = 3",
            lambda ledger: ledger.header(3),
            "header of height 3",
        ),
        (
            "UPDATE blocks SET results = x'80' WHERE height = 3",
            lambda ledger: ledger.results(3),
            "what became of block 3",
        ),
        (
            "UPDATE transactions SET position = position + 1 WHERE height = 3",
            lambda ledger: ledger.transaction(transaction_id(BLOCKS[2][0])),
            "the index of transactions",
        ),
        (
            "UPDATE transactions SET height = 300 WHERE height = 3",
            lambda ledger: ledger.receipt(transaction_id(BLOCKS[2][0])),
            "the index of transactions",
        ),
    ],
)
def test_what_is_told_of_blocks_is_compared_with_the_headers_too(
    copied: Path, statement: str, ask: Callable[[Ledger], object], said: str
) -> None:
    with closing(open_ledger(copied)) as ledger:
        with closing(sqlite3.connect(copied / "state.db")) as connection, connection:
            connection.execute(statement)
        with pytest.raises(StoreError, match=f"{said} is damaged. Stop the node and remove state.db"):
            ask(ledger)


@pytest.mark.parametrize("pins", [{}, {contract_id: bytes(32) for contract_id in CONTRACTS}])
def test_a_node_with_other_contract_code_under_the_same_id_neither_starts_nor_checks(
    copied: Path, pins: dict[str, bytes]
) -> None:
    with pytest.raises(
        UsageError, match=r"contract_pin of p2p_call_auction/1 is [0-9]* in this node, not [0-9a-f]{64}"
    ):
        Ledger.open(copied, CONTRACTS, key("operator"), ManualClock(START_S), pins=pins)
    with pytest.raises(
        UsageError, match=r"contract_pin of p2p_call_auction/1 is [0-9]* in this node, not [0-9a-f]{64}"
    ):
        check_ledger(copied, CONTRACTS, pins=pins)
