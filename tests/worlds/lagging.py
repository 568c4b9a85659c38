"""A ledger whose certificates come some blocks later, each brought by a later block, as a consortium's do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from gridcore.header import Certificate, certificate_message
from gridcore.validator import Validator
from ledger.application import Application
from ledger.signatures import SignatureChecker
from ledger.state.block import Offence
from ledger.store.block_record import BlockRecord
from ledger.store.directory import init_ledger
from ledger.store.opening import Parts, open_parts
from ledger.store.reader import LedgerReader
from ledger.store.rows import Certified
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import Consortium
from tests.worlds.faults import UnsyncedFiles
from tests.worlds.keys import key

LAG: Final = 2
"""Blocks between a header and the block that brings its certificate."""


class LaggingLedger(LedgerReader):
    """Blocks are decided at once and certified LAG blocks later. uncovered: heights that never get a certificate of their own."""

    def __init__(
        self, application: Application, parts: Parts, consortium: Consortium, uncovered: Collection[int]
    ) -> None:
        super().__init__(application, parts.db, parts.log)
        self._consortium = consortium
        self._uncovered = uncovered

    def decide(self, wires: Sequence[bytes], offenders: Sequence[Validator] = ()) -> list[int]:
        """One block of these transactions; returns their codes. offenders: validators that the engine caught voting twice."""
        application, height = self.application, self.height + 1
        block = application.next_block(application.examine(wires, self._consortium.start_s), self._consortium.start_s)
        earlier = height - LAG
        is_brought = earlier > 0 and earlier not in self._uncovered
        brought = Certified(earlier, self.certify(earlier)) if is_brought else None
        certified_height = earlier if is_brought else self.certified_height
        offences = tuple(Offence(one.consensus_address, height) for one in offenders)
        decided = application.apply(replace(block, certified_height=certified_height, offenders=offences))
        offset = self._log.append(BlockRecord.of(decided, brought.certificate if brought else []))
        with self.frozen():
            self._db.save_block(decided, [], offset, brought)
            application.commit(decided)
        return [result.code for result in decided.results]

    def certify(self, height: int) -> Certificate:
        """The certificate of a height, made now."""
        message = certificate_message(self.chain, height, self.digest(height))
        return [(one.public_key, key(one.name).sign(message)) for one in self.validators_at(height)]


@contextmanager
def lagging_ledger(
    data_dir: Path, consortium: Consortium, blocks: Iterable[Sequence[bytes]], *, uncovered: Collection[int] = ()
) -> Iterator[LaggingLedger]:
    """A ledger in a new directory that decided these blocks and accepted every transaction; closed at the end."""
    with ExitStack() as resources:
        init_ledger(data_dir, consortium.genesis_file, UnsyncedFiles())
        parts = open_parts(data_dir, UnsyncedFiles(), resources, None)
        checker = SignatureChecker()
        resources.callback(checker.close)
        ledger = LaggingLedger(parts.application(CONTRACTS, checker), parts, consortium, uncovered)
        for wires in blocks:
            assert ledger.decide(wires) == [0] * len(wires)
        yield ledger
