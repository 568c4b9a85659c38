"""State sync without an engine: four machines that offer a snapshot, and one that begins with it, call by call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.machine import Machine
from ledger.store.consortium import ConsortiumLedger
from ledger.store.snapshot_format import FORMAT, Manifest
from simulators.consensus.conversation import Conversation
from simulators.consensus.founding import START_S
from simulators.consensus.home import Home
from simulators.consensus.messages import EngineBlock, Evidence
from tests.worlds.quartet import FOUR, Quartet, quartet

EVERY = 10
AT = 10
"""Height of the snapshot; it is offered once the block two above it has brought the certificate of its header."""
OFFERED, APPLIED = abci.OfferSnapshotResponse, abci.ApplySnapshotChunkResponse


@dataclass(frozen=True)
class Made:
    """A network of four whose snapshot of height AT is offered; blocks: all that were decided; app_hash: after block AT."""

    four: Quartet
    blocks: list[EngineBlock]
    app_hash: bytes

    def machine(self, number: int = 0) -> Machine:
        return self.four.machines[number].machine

    @property
    def told(self) -> abci.Snapshot:
        (told,) = self.machine().list_snapshots(abci.ListSnapshotsRequest()).snapshots
        return told

    def chunk(self, index: int, number: int = 0) -> bytes:
        request = abci.LoadSnapshotChunkRequest(height=AT, format=FORMAT, chunk=index)
        return self.machine(number).load_snapshot_chunk(request).chunk

    @property
    def chunks(self) -> list[bytes]:
        return [self.chunk(index) for index in range(self.told.chunks)]


def settle(ledger: ConsortiumLedger | None) -> None:
    """Wait until no snapshot is being made."""
    assert ledger is not None
    ledger.wait_snapshot()


def offer(machine: Machine, told: abci.Snapshot, app_hash: bytes) -> int:
    return machine.offer_snapshot(abci.OfferSnapshotRequest(snapshot=told, app_hash=app_hash)).result


def apply(machine: Machine, index: int, chunk: bytes, sender: str = "peer") -> abci.ApplySnapshotChunkResponse:
    return machine.apply_snapshot_chunk(abci.ApplySnapshotChunkRequest(index=index, chunk=chunk, sender=sender))


def join(machine: Machine, made: Made) -> None:
    assert offer(machine, made.told, made.app_hash) == OFFERED.ACCEPT
    for index, chunk in enumerate(made.chunks):
        assert apply(machine, index, chunk).result == APPLIED.ACCEPT


def go_on(machine: Machine, made: Made) -> None:
    """What blocksync does: the blocks after the snapshot's."""
    conversation = Conversation(machine)
    for block in made.blocks[conversation.info().height :]:
        conversation.finalize(block)
        conversation.commit()


def same_standing(ledger: ConsortiumLedger, made: Made) -> bool:
    four = made.four.ledger()
    return (ledger.height, ledger.digest(ledger.height)) == (four.height, four.digest(four.height))


@contextmanager
def chain_with_an_offence(folder: Path, offence_height: int) -> Iterator[Made]:
    """A chain with a snapshot, and a block that tells of an equivocation."""
    with quartet(folder, EVERY) as four:
        guilty = Evidence(four.homes[3].address, 1, 2, FOUR.start_ms, 4)
        blocks, hashes = [], []
        for height in range(1, AT + 6):
            hashes.append(
                four.decide([four.clock(START_S + height)], evidence=[guilty] if height == offence_height else [])
            )
            assert four.newest is not None
            blocks.append(four.newest)
            for home in four.homes:
                settle(home.ledger)
        yield Made(four, blocks, hashes[AT - 1])


@contextmanager
def joiner(folder: Path) -> Iterator[Home]:
    """Validator 0, whose disk was lost: a new folder and a new guard."""
    home = Home(FOUR, 0, folder / "joiner", EVERY)
    try:
        yield home
    finally:
        home.close()


def ledger_of(home: Home) -> ConsortiumLedger:
    assert home.ledger is not None
    return home.ledger


def snapshot_of(manifest: Manifest) -> abci.Snapshot:
    return abci.Snapshot(
        height=manifest.height,
        format=FORMAT,
        chunks=len(manifest.chunks),
        hash=manifest.digest,
        metadata=manifest.encode(),
    )
