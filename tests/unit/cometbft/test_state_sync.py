"""A node without blocks begins with a snapshot of others: the same roots from there on, and nothing of one that lies (fault class 14)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gridcore.errors import UsageError
from gridcore.merkle import leaf_hash
from gridcore.registry.row import Row, salt_rows
from gridcore.sm3 import sm3
from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.machine import Machine
from ledger.engines.cometbft.payloads import decode_injected
from ledger.store.archive import Archive, archive_blocks
from ledger.store.check import check_ledger
from ledger.store.consortium import ConsortiumLedger
from ledger.store.errors import ForkError, GuardError, NotCertifiedError, PrunedError, StoreError
from ledger.store.rows import Certified
from ledger.store.snapshot_format import Bodies, Head, Leaves, Manifest, decode_manifest, decode_part
from ledger.store.standby import restore
from settlement.catalogue import CONTRACTS
from simulators.consensus.conversation import Conversation
from simulators.consensus.home import Home
from tests.worlds.faults import Crash, CrashingFiles, UnsyncedFiles
from tests.worlds.quartet import FOUR, quartet
from tests.worlds.state_sync import (
    APPLIED,
    AT,
    EVERY,
    OFFERED,
    Made,
    apply,
    chain_with_an_offence,
    go_on,
    join,
    joiner,
    ledger_of,
    offer,
    same_standing,
    settle,
    snapshot_of,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """An equivocation at height 3 makes a set of three validators take over, before the snapshot."""
    with chain_with_an_offence(tmp_path_factory.mktemp("four"), 3) as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with joiner(tmp_path) as found:
        yield found


# ------------------------------------------------------------------------------------------------------------ offering


def test_snapshots_are_the_same_bytes_on_all_nodes(made: Made) -> None:
    assert made.told.height == AT
    listed = [made.machine(number).list_snapshots(abci.ListSnapshotsRequest()) for number in range(4)]
    assert listed == [listed[0]] * 4
    for index in range(made.told.chunks):
        assert len({made.chunk(index, number) for number in range(4)}) == 1
    assert made.chunk(made.told.chunks) == b"", "there is no such chunk"


def test_head_has_the_sets_of_validators_and_the_certificate_of_its_header(made: Made) -> None:
    head = decode_part(made.chunk(0))
    assert isinstance(head, Head)
    assert [len(change.validators) for change in head.sets] == [3]
    assert head.header == made.four.ledger().header(AT)
    assert head.certificate == made.four.ledger().certificate(AT)
    assert head.certified_height == AT - 2


def test_no_snapshot_without_a_certificate_of_its_header_and_three_are_kept(tmp_path: Path) -> None:
    with quartet(tmp_path, 3) as four:
        for height in range(1, 19):
            votes = [b""] * 4 if height == 14 else None  # so block 14 brings no certificate of header 12
            proposed = four.prepare([], votes) if votes else None
            four.decide(proposed=proposed)
            settle(four.homes[0].ledger)
        machine = four.machines[0].machine
        listed = machine.list_snapshots(abci.ListSnapshotsRequest()).snapshots
        assert [told.height for told in listed] == [6, 9, 15]


# ------------------------------------------------------------------------------------------------------------- joining


def test_joiner_has_the_roots_of_the_others_from_the_snapshot_on(made: Made, home: Home) -> None:
    machine = home.open()
    join(machine, made)
    assert Conversation(machine).info() == (AT, made.app_hash)
    go_on(machine, made)
    assert same_standing(ledger_of(home), made)
    assert ledger_of(home).certified_height == made.four.ledger().certified_height
    home.close()
    home.open()
    assert same_standing(ledger_of(home), made), "and after another start"


def test_joiner_takes_what_it_signed_before_its_disk_was_lost_for_its_own(made: Made, home: Home) -> None:
    machine = home.open()
    with capture_logs() as lines:
        join(machine, made)
        go_on(machine, made)
    assert ledger_of(home).certified_height > AT
    assert "key_signs_elsewhere" not in [line["event"] for line in lines]


def test_joiner_proves_the_state_once_a_header_is_certified_here(made: Made, home: Home) -> None:
    machine = home.open()
    join(machine, made)
    with pytest.raises(NotCertifiedError, match=f"began with the state of height {AT}"):
        ledger_of(home).leaf_proof("validators")
    go_on(machine, made)
    assert ledger_of(home).leaf_proof("validators") == made.four.ledger().leaf_proof("validators")
    assert ledger_of(home).genesis_leaf_proof("validators") == made.four.ledger().genesis_leaf_proof("validators")


def test_who_asks_for_what_was_before_the_snapshot_is_told(made: Made, home: Home) -> None:
    machine = home.open()
    join(machine, made)
    go_on(machine, made)
    ledger = ledger_of(home)
    for ask in (ledger.block, ledger.results, ledger.header, ledger.digest, ledger.transactions):
        with pytest.raises(PrunedError, match=f"this node began with the snapshot of height {AT}"):
            ask(5)
    assert ledger.block(AT + 1) == made.four.ledger().block(AT + 1)
    assert ledger.history_path(5, AT + 1) == made.four.ledger().history_path(5, AT + 1)


def test_joiner_offers_what_it_began_with_and_makes_the_same_snapshots(made: Made, home: Home, tmp_path: Path) -> None:
    machine = home.open()
    join(machine, made)
    assert machine.list_snapshots(abci.ListSnapshotsRequest()).snapshots == [made.told]
    with joiner(tmp_path / "second") as second:
        other = second.open()
        join(other, replace(made, four=replace(made.four, machines=[Conversation(machine)])))
        go_on(other, made)
        assert same_standing(ledger_of(second), made)


def test_joiner_signs_nothing_at_or_below_the_snapshot(made: Made, home: Home) -> None:
    machine = home.open()
    join(machine, made)
    with pytest.raises(GuardError):
        ledger_of(home)._guard.allow(AT - 1, bytes(32))
    with pytest.raises(GuardError):
        ledger_of(home)._guard.allow(AT, bytes(32))
    go_on(machine, made)
    assert ledger_of(home).sign(ledger_of(home).height) is not None


def test_guard_ahead_of_the_snapshot_stays_and_one_of_another_history_stops(made: Made, home: Home) -> None:
    newest = made.four.ledger()
    machine = home.open()
    ledger_of(home)._guard.allow(newest.height, newest.digest(newest.height))
    join(machine, made)
    assert ledger_of(home)._guard.height == newest.height


def test_guard_of_another_history_stops_the_node_before_anything_is_installed(made: Made, home: Home) -> None:
    machine = home.open()
    ledger_of(home)._guard.allow(AT - 3, sm3(b"another history"))
    with pytest.raises(ForkError, match=f"has signed header .* of height {AT - 3}"):
        join(machine, made)
    assert ledger_of(home).height == 0


def test_ledger_with_blocks_of_its_own_takes_no_snapshot(made: Made) -> None:
    assert offer(made.machine(1), made.told, made.app_hash) == OFFERED.ABORT


# --------------------------------------------------------------------------------------------------------------- lies


def test_wrong_chunk_is_asked_for_again_and_its_sender_no_more(made: Made, home: Home) -> None:
    machine = home.open()
    assert offer(machine, made.told, made.app_hash) == OFFERED.ACCEPT
    for wrong in (b"", made.chunk(1), made.chunk(0)[:-1], made.chunk(0) + b"\0"):
        answer = apply(machine, 0, wrong, "liar")
        assert (answer.result, list(answer.refetch_chunks), list(answer.reject_senders)) == (
            APPLIED.RETRY,
            [0],
            ["liar"],
        )
    for index, chunk in reversed(list(enumerate(made.chunks))):  # in whatever order, and some of them twice
        assert apply(machine, index, chunk).result == APPLIED.ACCEPT
    assert ledger_of(home).height == AT


def test_other_format_and_other_manifest_are_refused(made: Made, home: Home) -> None:
    machine = home.open()
    told = made.told
    other = abci.Snapshot(height=AT, format=2, chunks=told.chunks, hash=told.hash, metadata=told.metadata)
    assert offer(machine, other, made.app_hash) == OFFERED.REJECT_FORMAT
    foreign = replace(decode_manifest(told.metadata), chain="another")
    for wrong in (
        abci.Snapshot(height=AT + 1, format=1, chunks=told.chunks, hash=told.hash, metadata=told.metadata),
        abci.Snapshot(height=AT, format=1, chunks=told.chunks + 1, hash=told.hash, metadata=told.metadata),
        abci.Snapshot(height=AT, format=1, chunks=told.chunks, hash=bytes(32), metadata=told.metadata),
        abci.Snapshot(height=AT, format=1, chunks=told.chunks, hash=told.hash, metadata=b"\x80"),
        snapshot_of(foreign),
    ):
        assert offer(machine, wrong, made.app_hash) == OFFERED.REJECT_SENDER
    assert apply(machine, 0, made.chunk(0)).result == APPLIED.ABORT, "none was taken"


def _head(chunks: list[bytes]) -> Head:
    head = decode_part(chunks[0])
    assert isinstance(head, Head)
    return head


def _without_signature(chunks: list[bytes]) -> list[bytes]:
    head = _head(chunks)
    return [replace(head, certificate=head.certificate[:1]).encode(), *chunks[1:]]


def _other_set(chunks: list[bytes]) -> list[bytes]:
    """The set after the equivocation has more power than the header says."""
    head = _head(chunks)
    stronger = head.sets[0]._replace(validators=tuple(one._replace(power=9) for one in head.sets[0].validators))
    return [replace(head, sets=(stronger,)).encode(), *chunks[1:]]


def _without_the_set(chunks: list[bytes]) -> list[bytes]:
    return [replace(_head(chunks), sets=()).encode(), *chunks[1:]]


def _other_certified_height(chunks: list[bytes]) -> list[bytes]:
    return [replace(_head(chunks), certified_height=AT - 1).encode(), *chunks[1:]]


def _certified_height_below_a_set(chunks: list[bytes]) -> list[bytes]:
    """No block has brought a certificate, it says, and yet a set took over that one names."""
    head = _head(chunks)
    named = {change.named_height for change in head.sets}
    headers = tuple(one for one in head.headers if one.height in named | {AT - 2, AT - 1, AT})
    certificates = tuple(one for one in head.certificates if one.height in named)
    return [replace(head, certified_height=0, headers=headers, certificates=certificates).encode(), *chunks[1:]]


def _other_leaf(chunks: list[bytes]) -> list[bytes]:
    leaves = decode_part(chunks[2])
    assert isinstance(leaves, Leaves)
    return [*chunks[:2], replace(leaves, leaves=[leaves.leaves[1], *leaves.leaves[1:]]).encode(), *chunks[3:]]


def _strange_leaf(chunks: list[bytes]) -> list[bytes]:
    leaves = decode_part(chunks[2])
    assert isinstance(leaves, Leaves)
    return [*chunks[:2], replace(leaves, leaves=[b"\xff", *leaves.leaves[1:]]).encode(), *chunks[3:]]


def _without_a_body(chunks: list[bytes]) -> list[bytes]:
    bodies = decode_part(chunks[-1])
    assert isinstance(bodies, Bodies)
    return [*chunks[:-1], replace(bodies, bodies=bodies.bodies[1:]).encode()]


def _without_bodies(chunks: list[bytes]) -> list[bytes]:
    return chunks[:-1]


def _row_of_no_installation(chunks: list[bytes]) -> list[bytes]:
    bodies = decode_part(chunks[-1])
    assert isinstance(bodies, Bodies)
    more = [*bodies.bodies, *salt_rows(bytes(32), [Row("installation/x", 0, {"meter": "M"}).encode()])]
    return [*chunks[:-1], replace(bodies, bodies=sorted(more, key=leaf_hash)).encode()]


def _without_history(chunks: list[bytes]) -> list[bytes]:
    return [chunks[0], *chunks[2:]]


def _head_twice(chunks: list[bytes]) -> list[bytes]:
    return [*chunks, chunks[0]]


def _out_of_order(chunks: list[bytes]) -> list[bytes]:
    return [chunks[0], *reversed(chunks[1:])]


def _no_head(chunks: list[bytes]) -> list[bytes]:
    return [*chunks[1:]]


def _no_chunk(chunks: list[bytes]) -> list[bytes]:
    return [*chunks[:-1], b"\x80"]


LIES: list[Callable[[list[bytes]], list[bytes]]] = [
    _without_signature,
    _other_set,
    _without_the_set,
    _other_certified_height,
    _certified_height_below_a_set,
    _other_leaf,
    _strange_leaf,
    _without_a_body,
    _without_bodies,
    _row_of_no_installation,
    _without_history,
    _head_twice,
    _out_of_order,
    _no_head,
    _no_chunk,
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_snapshot_that_lies_is_refused_and_the_true_one_taken_after_it(
    made: Made, home: Home, lie: Callable[[list[bytes]], list[bytes]]
) -> None:
    machine, chunks = home.open(), lie(made.chunks)
    told = snapshot_of(Manifest(FOUR.chain, AT, tuple(sm3(chunk) for chunk in chunks)))
    assert offer(machine, told, made.app_hash) == OFFERED.ACCEPT
    answers = []
    for index, chunk in enumerate(chunks):
        answers.append(apply(machine, index, chunk, "liar"))
        if answers[-1].result != APPLIED.ACCEPT:
            break
    assert (answers[-1].result, list(answers[-1].reject_senders)) == (APPLIED.REJECT_SNAPSHOT, ["liar"])
    assert ledger_of(home).height == 0, "nothing of it is installed"
    join(machine, made)
    go_on(machine, made)
    assert same_standing(ledger_of(home), made)


def test_certified_height_by_which_the_set_that_waits_would_have_taken_over_is_refused(
    tmp_path: Path, home: Home
) -> None:
    with chain_with_an_offence(tmp_path / "four", AT - 1) as made:
        later = decode_injected(made.blocks[AT].transactions[0])
        assert later is not None, "block AT + 1 has brought the certificate of AT - 1, block AT had not"
        head = replace(
            _head(made.chunks), certified_height=AT - 1, certificates=(Certified(AT - 1, later.certificate),)
        )
        head = replace(head, headers=tuple(one for one in head.headers if one.height >= AT - 2))
        chunks = [head.encode(), *made.chunks[1:]]
        machine = home.open()
        told = snapshot_of(Manifest(FOUR.chain, AT, tuple(sm3(chunk) for chunk in chunks)))
        assert offer(machine, told, made.app_hash) == OFFERED.ACCEPT
        answers = [apply(machine, index, chunk).result for index, chunk in enumerate(chunks)]
    assert answers == [*[APPLIED.ACCEPT] * (len(chunks) - 1), APPLIED.REJECT_SNAPSHOT]


def test_state_root_that_the_engine_did_not_verify_is_refused_at_the_first_chunk(made: Made, home: Home) -> None:
    machine = home.open()
    assert offer(machine, made.told, bytes(32)) == OFFERED.ACCEPT
    assert apply(machine, 0, made.chunk(0)).result == APPLIED.REJECT_SNAPSHOT


def test_another_snapshot_offered_midway_begins_anew(made: Made, home: Home) -> None:
    machine = home.open()
    assert offer(machine, made.told, made.app_hash) == OFFERED.ACCEPT
    assert apply(machine, 0, made.chunk(0)).result == APPLIED.ACCEPT
    other = snapshot_of(Manifest(FOUR.chain, AT, (sm3(b"one"), sm3(b"two"))))
    assert offer(machine, other, made.app_hash) == OFFERED.ACCEPT
    assert apply(machine, 1, made.chunk(1)).result == APPLIED.RETRY, "it is none of the new one's"
    join(machine, made)
    assert ledger_of(home).height == AT


# -------------------------------------------------------------------------------------------------------------- crashes


def _steps(folder: Path, made: Made, files: CrashingFiles) -> Home:
    """Join with files that crash; the home is left as the crash leaves it."""
    home = Home(FOUR, 0, folder, EVERY)
    with_crash = ConsortiumLedger.open(home.folder, CONTRACTS, home.key, files=files, snapshot_blocks=EVERY)
    try:
        join(Machine(with_crash), made)
    finally:
        with_crash.close()
    return home


def test_crash_at_each_step_leaves_genesis_or_the_whole_snapshot(made: Made, tmp_path: Path) -> None:
    left = set()
    for step in range(10_000):
        folder = tmp_path / str(step)
        try:
            _steps(folder, made, CrashingFiles(step))
        except Crash:
            home = Home(FOUR, 0, folder, EVERY)
            machine = home.open()
            left.add(ledger_of(home).height)
            join(machine, made)  # the engine begins again, as it has no state of its own yet
            go_on(machine, made)
            assert same_standing(ledger_of(home), made), f"after a crash at step {step}"
            home.close()
        else:
            break
    assert left == {0, AT}
    assert step > 20


def test_full_disk_while_fetching_is_waited_for(made: Made, home: Home) -> None:
    assert UnsyncedFiles is not None
    machine = home.open()
    assert offer(machine, made.told, made.app_hash) == OFFERED.ACCEPT
    home.disk.refusal = 28
    with pytest.raises(Exception, match="cannot be kept"):
        apply(machine, 0, made.chunk(0))
    home.disk.refusal = None
    for index, chunk in enumerate(made.chunks):
        assert apply(machine, index, chunk).result == APPLIED.ACCEPT


def test_height_that_the_ledger_does_not_have_is_still_a_usage_error(made: Made, home: Home) -> None:
    machine = home.open()
    join(machine, made)
    with pytest.raises(UsageError):
        ledger_of(home).header(AT + 1)


# --------------------------------------------------------------------------------------------------- check and archive


@pytest.fixture
def joined(made: Made, home: Home) -> Path:
    """The data directory of a node that began with the snapshot and went on, closed."""
    machine = home.open()
    join(machine, made)
    go_on(machine, made)
    home.close()
    return home.folder


def test_joined_node_is_checked_from_its_snapshot(made: Made, joined: Path) -> None:
    report = check_ledger(joined, CONTRACTS)
    assert report.problems == []
    newest = made.four.ledger()
    assert (report.height, report.digest) == (newest.height, newest.digest(newest.height))
    assert any(f"replayed from the snapshot of height {AT}" in note for note in report.notes)


def test_damaged_snapshot_is_found_by_the_check(joined: Path) -> None:
    chunk = joined / "snapshots" / str(AT) / "2"
    chunk.write_bytes(chunk.read_bytes().replace(b"metering", b"MeterinG")[:-1] + b"\0")
    assert any(f"snapshot of height {AT}" in problem for problem in check_ledger(joined, CONTRACTS).problems)


def test_joined_node_without_a_snapshot_needs_an_archive(made: Made, joined: Path, tmp_path: Path) -> None:
    shutil.rmtree(joined / "snapshots")
    with pytest.raises(UsageError, match=f"blocks 1 to {AT} are not here; give --archive"):
        check_ledger(joined, CONTRACTS)
    with pytest.raises(StoreError, match="take a copy of another node's archive"):
        archive_blocks(joined, tmp_path / "own", UnsyncedFiles())
    copied = tmp_path / "archive"
    archive_blocks(made.four.homes[1].folder, copied, UnsyncedFiles())
    report = check_ledger(joined, CONTRACTS, archive=Archive(copied))
    assert report.problems == []
    assert report.height == made.four.ledger().height


def test_joined_node_goes_on_with_a_copy_of_another_archive_and_gets_its_blocks_back_from_it(
    made: Made, home: Home, tmp_path: Path
) -> None:
    machine = home.open()
    join(machine, made)
    archive = tmp_path / "archive"
    archive_blocks(made.four.homes[1].folder, archive, UnsyncedFiles())
    go_on(machine, made)
    home.close()
    archive_blocks(home.folder, archive, UnsyncedFiles())
    assert restore(Archive(archive), home.folder, CONTRACTS, files=UnsyncedFiles()) is None
    home.open()
    assert same_standing(ledger_of(home), made)
    assert ledger_of(home).block(1) == made.four.ledger().block(1)


def test_old_backup_replays_and_signs_nothing_before_it_has_caught_up(made: Made, home: Home) -> None:
    """The guard is the newest one, the blocks are of a backup (fault class 8)."""
    conversation = Conversation(home.open())
    for block in made.blocks[:5]:
        conversation.finalize(block)
        conversation.commit()
    newest = made.four.ledger()
    ledger_of(home)._guard.allow(newest.height, newest.digest(newest.height))
    for block in made.blocks[5:]:
        conversation.finalize(block)
        conversation.commit()
        if block.height < newest.height:
            assert conversation.extend(replace(block, height=block.height + 1)) == b""
    assert home.key.signed == {}
    assert conversation.extend(replace(made.blocks[-1], height=newest.height + 1)) != b""
