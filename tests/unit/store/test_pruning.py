"""What is final is pruned: the chain goes on as if it were there, what needs it is told, and the archive brings it back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore import verify
from gridcore.codes import Code
from gridcore.errors import UsageError
from gridcore.master_data import Named
from gridcore.registry.installation import INSTALLATION, RemovedInstallation
from gridcore.registry.signer import SIGNER, Signer
from gridcore.transactions.approve_reading import ApproveReading
from ledger.evidence import build_bundle
from ledger.leaves.positions import POSITIONS
from ledger.leaves.registers import REGISTERS
from ledger.leaves.run import RUN
from ledger.leaves.runs import RUNS
from ledger.store.archive import Archive, archive_blocks
from ledger.store.check import check_ledger
from ledger.store.errors import PrunedError, StoreError
from ledger.store.ledger import Ledger
from ledger.store.pruning import prune
from ledger.store.standby import Standby, restore
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import FIRST_S, SLOT_S, UTILITY, Consortium, feeder, household, zone
from tests.worlds.faults import Crash, CrashingFiles, UnsyncedFiles
from tests.worlds.keys import key
from tests.worlds.ledgers import decide, open_ledger
from tests.worlds.transactions import Sender, transaction_id

HOUR_S = 3600
SLOTS = 140
FINAL_SLOTS = SLOTS - 2 - 4 - 100
"""Less the two that are under way, ``final_after_s``, and the slots that are read back."""
SILENT = 4
"""A meter that is read once, at the end of the first slot."""
WORLD = Consortium(
    start_s=FIRST_S - SLOT_S,
    zones=[zone(open_before_start_s=HOUR_S, gate_before_start_s=300, final_after_s=HOUR_S)],
    meters=[household(1, "p-1"), household(2, "p-2"), feeder(3), feeder(SILENT, limit_wh=100_000)],
    roles={"admin": ["administrator"]},
)
TRUST = verify.decode_trust(json.dumps(trust_of(WORLD.genesis)).encode())
NEW_KEY = Named(SIGNER, "p-1", Signer(UTILITY, key("p-1+1").public_key, ["prosumer"]), FIRST_S - SLOT_S)


def slots(sender: Sender, first: int, end: int) -> Iterator[list[bytes]]:
    """A block for each of the slots ``first`` ... ``end`` - 1: its first boundary is read, the next one is traded."""
    for slot in range(first, end):
        boundary_s, shown = FIRST_S + slot * SLOT_S, 100 * slot
        silent = [(SILENT, 1_000, 0)] if slot == 1 else []
        yield [
            sender.clock(boundary_s),
            sender.batch("gw-1", boundary_s, [(1, shown, 0), (2, 0, shown), (3, shown, shown), *silent]),
            sender.order("p-1", "a-1", "buy", 80, 400_000, boundary_s + SLOT_S, key="p-1+1"),
            sender.order("p-2", "a-1", "sell", 90, 300_000, boundary_s + SLOT_S),
        ]


BLOCKS = [[(SENDER := WORLD.sender()).register(list(NEW_KEY.rows()))], *slots(SENDER, 0, SLOTS)]
SENDER_AT_END = deepcopy(SENDER)
MORE = list(slots(SENDER, SLOTS, SLOTS + 12))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the closed ledger of so many slots."""
    folder = tmp_path_factory.mktemp("made")
    with closing(open_ledger(folder / "ledger", WORLD)) as ledger:
        for wires in BLOCKS:
            assert decide(ledger, wires) == [0] * len(wires)
    archive_blocks(folder / "ledger", folder / "archive", UnsyncedFiles())
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def pruned(folder: Path) -> Path:
    """The data directory, pruned."""
    prune(folder / "ledger", folder / "archive", files=UnsyncedFiles())
    return folder / "ledger"


def bill(ledger: Ledger, slot: int) -> bytes:
    return build_bundle(ledger, CONTRACTS, party="p-1", slot_start_s=FIRST_S + slot * SLOT_S, line_kind="trade_buy")


def test_final_slots_and_their_blocks_are_pruned_and_the_files_are_smaller(folder: Path) -> None:
    report = prune(folder / "ledger", folder / "archive", files=UnsyncedFiles())
    assert report.pruned.before_s == FIRST_S + FINAL_SLOTS * SLOT_S
    assert 1 < report.pruned.height < FINAL_SLOTS
    assert report.bytes_after < report.bytes_before
    with closing(open_ledger(folder / "ledger", WORLD)) as ledger:
        for family, names in ((REGISTERS, ("z-1", 0)), (POSITIONS, ("z-1", "initial", 0))):
            with pytest.raises(
                PrunedError, match=rf"leaf {family.name}/{FIRST_S}/.*: pruned; this node keeps blocks above"
            ):
                family.load(ledger, FIRST_S, *names)
            assert family.load(ledger, report.pruned.before_s, *names) is not None
        assert RUN.load(ledger, FIRST_S, "z-1", "initial") is not None, "what was settled is still said"


def test_a_pruned_ledger_goes_on_with_the_same_headers(folder: Path) -> None:
    shutil.copytree(folder / "ledger", folder / "whole")
    late = [SENDER.batch("gw-1", FIRST_S + (FINAL_SLOTS + 110) * SLOT_S, [(1, 1, 1)])]
    with (
        closing(open_ledger(pruned(folder), WORLD)) as ledger,
        closing(open_ledger(folder / "whole", WORLD)) as whole,
    ):
        for wires in [*MORE, late]:
            assert decide(ledger, wires) == decide(whole, wires) == [0] * len(wires)
            assert ledger.header(ledger.height) == whole.header(whole.height)
        assert ledger.header(1) == whole.header(1)
        assert ledger.certificate(1) == whole.certificate(1)
        assert ledger.history_path(1, 9) == whole.history_path(1, 9)
        identity = transaction_id(BLOCKS[1][1])
        assert ledger.receipt(identity) == whole.receipt(identity), "whoever lost a receipt still gets it"
        verdict = verify.verify_bundle(bill(ledger, FINAL_SLOTS), TRUST)
        assert verdict.answer == verify.VERIFIED, verdict.reason
        ties = {entry["signer"]: entry["origin"] for entry in verdict.facts["keys"]}
        assert "admin at height 1" in ties["p-1"], "by a transaction of a block that was pruned"


OUTAGE_SLOTS = 300


@pytest.mark.parametrize("what", ["late register", "late removal"])
def test_what_comes_late_before_the_slot_of_a_rule_that_was_taken_up_is_judged_by_a_pruned_ledger_as_by_one_that_has_all(
    folder: Path, what: str
) -> None:
    shutil.copytree(folder / "ledger", folder / "whole")
    sender, now_s, zone_now = deepcopy(SENDER_AT_END), FIRST_S + SLOTS * SLOT_S, WORLD.zones[0]
    newer_s = now_s + (OUTAGE_SLOTS + 16 * 96) * SLOT_S
    record = zone_now.record._replace(gap_slots_max=OUTAGE_SLOTS, gap_slots_from_s=newer_s)
    removal = Named(INSTALLATION, str(SILENT), RemovedInstallation(f"P-{SILENT}", [8_950, 0]), now_s - SLOT_S + 60)
    late = {
        "late register": lambda: sender.batch("gw-1", now_s - SLOT_S, [(SILENT, 8_900, 0)]),
        "late removal": lambda: sender.register(list(removal.rows())),
    }
    blocks = [
        [sender.clock(now_s), sender.register(list(zone_now._replace(record=record, from_s=now_s).rows()))],
        [sender.batch("gw-1", now_s, [(SILENT, 9_000, 0)])],
        [late[what]()],
        [sender.clock(now_s + SLOT_S)],
    ]
    with (
        closing(open_ledger(pruned(folder), WORLD)) as ledger,
        closing(open_ledger(folder / "whole", WORLD)) as whole,
    ):
        for wires in blocks:
            assert decide(whole, wires) == decide(ledger, wires) == [0] * len(wires)
        assert ledger.header(ledger.height) == whole.header(whole.height)


def test_what_is_sent_late_for_a_pruned_slot_is_refused_as_on_a_node_that_has_it(folder: Path) -> None:
    pruned_s = FIRST_S + SLOT_S
    late = deepcopy(SENDER_AT_END)
    with closing(open_ledger(folder / "ledger", WORLD)) as ledger:
        assert decide(ledger, [late.batch("gw-1", pruned_s, [(1, 5, 5)])]) == [0]
    shutil.copytree(folder / "ledger", folder / "whole")
    approval = ApproveReading(
        client_id=bytes(16),
        valid_until_s=0,
        boundary_s=pruned_s,
        installation=1,
        registers=(7, 7),
        reason="found in a drawer",
    )
    with (
        closing(open_ledger(pruned(folder), WORLD)) as ledger,
        closing(open_ledger(folder / "whole", WORLD)) as whole,
    ):
        ledger_s = ledger.ledger_time_s
        wires = [
            late.order("p-1", "a-1", "buy", 80, 400_000, pruned_s, counter=2, key="p-1+1"),
            BLOCKS[1][2],
            late.signed("util", replace(approval, valid_until_s=ledger_s)),
            late.batch("gw-1", pruned_s, [(1, 5, 5), (2, 100, 100)]),
        ]
        for one in (ledger, whole):
            produced = one.make_block(one.examine(wires))
            assert [result.code for result in produced.results] == [
                Code.GATE_CLOSED,
                Code.GATE_CLOSED,
                Code.NOTHING_TO_APPROVE,
                Code.ACCEPTED,
            ]
            assert produced.results[-1].rows == ((0, 1, Code.ROW_FINAL), (1, 2, Code.ROW_FINAL))
        assert ledger.state_root() == whole.state_root()


def test_what_needs_a_pruned_block_is_told_so_in_one_line(folder: Path) -> None:
    with closing(open_ledger(pruned(folder), WORLD)) as ledger:
        for ask in (
            lambda: ledger.block(2),
            lambda: ledger.transaction(transaction_id(BLOCKS[1][1])),
            lambda: bill(ledger, 1),
        ):
            with pytest.raises(
                PrunedError, match=r"pruned; this node keeps blocks above \d+ and slots from \d+ .* in its archive$"
            ):
                ask()
        (kept,) = ledger.transactions(1)
        assert kept.wire == BLOCKS[0][0], "what ties a key is kept"
        assert decide(ledger, [BLOCKS[1][1]]) != [0], "a batch that was pruned is not taken once more"


def test_pruning_that_ends_anywhere_loses_nothing_and_goes_on_with_the_next_call(folder: Path) -> None:
    with closing(open_ledger(folder / "ledger", WORLD)) as ledger:
        root = ledger.state_root()
    shutil.copytree(folder / "ledger", folder / "calm")
    counting = CrashingFiles(crash_at=-1)
    calm = prune(folder / "calm", folder / "archive", files=counting)
    assert {"leaves_pruned", "replace", "sync", "sync_directory"} <= set(counting.steps)
    for step in range(len(counting.steps)):
        data_dir = Path(shutil.copytree(folder / "ledger", folder / f"torn-{step}"))
        with pytest.raises(Crash):
            prune(data_dir, folder / "archive", files=CrashingFiles(step))
        with closing(open_ledger(data_dir, WORLD)) as ledger:
            assert ledger.state_root() == root
        if step % 8 == 0:
            assert check_ledger(data_dir, CONTRACTS, archive=Archive(folder / "archive")).problems == []
        assert prune(data_dir, folder / "archive", files=UnsyncedFiles()).pruned == calm.pruned
        assert (data_dir / "blocks.log").read_bytes() == (folder / "calm" / "blocks.log").read_bytes()


def test_pruning_again_goes_on_where_it_stopped(folder: Path) -> None:
    first = prune(folder / "ledger", folder / "archive", files=UnsyncedFiles())
    assert prune(folder / "ledger", folder / "archive", files=UnsyncedFiles()).pruned == first.pruned
    with closing(open_ledger(folder / "ledger", WORLD)) as ledger:
        for wires in MORE:
            decide(ledger, wires)
    again = prune(folder / "ledger", folder / "archive", files=UnsyncedFiles())
    assert again.pruned.before_s == first.pruned.before_s + len(MORE) * SLOT_S
    assert again.pruned.height == first.pruned.height + len(MORE)
    assert check_ledger(folder / "ledger", CONTRACTS, archive=Archive(folder / "archive")).holds


def test_a_pruned_ledger_is_checked_with_its_archive(folder: Path) -> None:
    pruned(folder)
    with pytest.raises(UsageError, match=r"blocks 1 to \d+ are not here; give --archive"):
        check_ledger(folder / "ledger", CONTRACTS)
    assert check_ledger(folder / "ledger", CONTRACTS, archive=Archive(folder / "archive")).problems == []


def test_a_pruned_ledger_that_loses_its_database_says_what_brings_it_back(folder: Path) -> None:
    (pruned(folder) / "state.db").unlink()
    with pytest.raises(
        StoreError, match=r"cannot be made again: blocks.log begins with block \d+.*node restore --archive"
    ):
        open_ledger(folder / "ledger", WORLD)
    assert restore(Archive(folder / "archive"), folder / "ledger", CONTRACTS, files=UnsyncedFiles()) is None
    with closing(open_ledger(folder / "ledger", WORLD)) as ledger:
        assert ledger.height == len(BLOCKS)


def test_restore_brings_back_what_was_pruned(folder: Path) -> None:
    with closing(open_ledger(folder / "ledger", WORLD)) as ledger:
        before = bill(ledger, 1), ledger.state_root(), ledger.block(2)
    size = (folder / "ledger" / "blocks.log").stat().st_size
    restore(Archive(folder / "archive"), pruned(folder), CONTRACTS, files=UnsyncedFiles())
    assert (folder / "ledger" / "blocks.log").stat().st_size == size
    with closing(open_ledger(folder / "ledger", WORLD)) as ledger:
        assert (bill(ledger, 1), ledger.state_root(), ledger.block(2)) == before
    assert check_ledger(folder / "ledger", CONTRACTS).holds
    with pytest.raises(UsageError, match="the guard of a node that signs"):
        restore(Archive(folder / "archive"), folder / "ledger", CONTRACTS, files=UnsyncedFiles())


def test_a_restore_of_what_was_pruned_that_ends_anywhere_goes_on_with_the_next_call(folder: Path) -> None:
    archive = Archive(folder / "archive")
    shutil.copytree(pruned(folder), folder / "calm")
    counting = CrashingFiles(crash_at=-1)
    restore(archive, folder / "calm", CONTRACTS, files=counting)
    for step in range(0, len(counting.steps), 7):
        data_dir = Path(shutil.copytree(folder / "ledger", folder / f"torn-{step}"))
        with pytest.raises(Crash):
            restore(archive, data_dir, CONTRACTS, files=CrashingFiles(step))
        restore(archive, data_dir, CONTRACTS, files=UnsyncedFiles())
        with closing(open_ledger(data_dir, WORLD)) as ledger:
            assert bill(ledger, 1)


def test_a_standby_is_pruned_and_follows_the_archive_all_the_same(folder: Path) -> None:
    restore(Archive(folder / "archive"), folder / "standby", CONTRACTS, files=UnsyncedFiles())
    prune(folder / "standby", folder / "archive", files=UnsyncedFiles())
    with closing(Standby.open(folder / "standby", CONTRACTS, files=UnsyncedFiles())) as standby:
        assert standby.height == len(BLOCKS)


def test_nothing_is_pruned_that_the_archive_does_not_have_as_it_is(folder: Path) -> None:
    segment = next((folder / "archive").glob("blocks-*"))
    data = bytearray(segment.read_bytes())
    data[300] ^= 1
    segment.write_bytes(data)
    before = (folder / "ledger" / "blocks.log").read_bytes()
    with pytest.raises(StoreError, match="is damaged"):
        pruned(folder)
    assert (folder / "ledger" / "blocks.log").read_bytes() == before
    assert check_ledger(folder / "ledger", CONTRACTS).holds


def test_a_chain_whose_slots_are_never_final_is_not_pruned(tmp_path: Path) -> None:
    with closing(open_ledger(tmp_path / "ledger")):
        pass
    with pytest.raises(UsageError, match="zone z-1: names no final_after_s, so its slots are never final"):
        prune(tmp_path / "ledger", tmp_path / "archive", files=UnsyncedFiles())


def test_a_pruned_node_binds_an_outage_of_days_as_one_that_has_everything(tmp_path: Path) -> None:
    """Hours are slots: 20 days without a reading, then two with, two of an outage; pruned and stopped before the register comes back."""
    day_s, returns_s = 24 * HOUR_S, FIRST_S + 24 * 24 * HOUR_S
    world = Consortium(
        start_s=FIRST_S - HOUR_S,
        slot_s=HOUR_S,
        zones=[zone(final_after_s=3 * day_s, gap_slots_max=48, metering_deadline_s=HOUR_S)],
        meters=[household(1, "p-1", limit_wh=100_000), feeder(2)],
    )
    sender = world.sender()
    read = range(20 * 24, 22 * 24 + 1)
    blocks = [[sender.clock(FIRST_S + day * day_s)] for day in range(21)]
    for slot in read:
        boundary_s = FIRST_S + slot * HOUR_S
        clock = [sender.clock(boundary_s)] if boundary_s > FIRST_S + 20 * day_s else []
        blocks.append([*clock, sender.batch("gw-1", boundary_s, [(1, slot * slot, 7 * slot), (2, 0, 0)])])
    blocks += [[sender.clock(FIRST_S + day * day_s)] for day in (23, 24)]
    with closing(open_ledger(tmp_path / "ledger", world)) as ledger:
        for wires in blocks:
            assert decide(ledger, wires) == [0] * len(wires)
    shutil.copytree(tmp_path / "ledger", tmp_path / "whole")
    report = prune(tmp_path / "ledger", tmp_path / "archive", files=UnsyncedFiles())
    first_open_s = returns_s - 3 * day_s - HOUR_S
    assert report.pruned.before_s == first_open_s - (48 + 4) * HOUR_S - 16 * day_s > FIRST_S
    counted_wh = 99_000
    back = [sender.batch("gw-1", returns_s, [(1, read[-1] ** 2 + counted_wh, 7 * read[-1])])]
    with (
        closing(open_ledger(tmp_path / "ledger", world)) as ledger,
        closing(open_ledger(tmp_path / "whole", world)) as whole,
    ):
        for wires in (back, [sender.clock(returns_s + HOUR_S)], [sender.clock(returns_s + 2 * HOUR_S)]):
            assert decide(ledger, wires) == decide(whole, wires) == [0] * len(wires)
            assert ledger.header(ledger.height) == whole.header(whole.height)
        outage = range(FIRST_S + read[-1] * HOUR_S, returns_s, HOUR_S)
        lasts = [RUNS.must(ledger, slot_s, "z-1").last for slot_s in outage]
        said = [
            int(POSITIONS.must(ledger, slot_s, "z-1", run, 0).columns["import_wh"][0])
            for slot_s, run in zip(outage, lasts, strict=True)
        ]
    assert sum(said) == counted_wh
    assert len(set(said)) > 2, "in the shape of the days before"
