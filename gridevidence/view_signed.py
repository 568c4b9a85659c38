"""What tells the energy of a slot, as a person reads it: readings, registers that an organisation answers for, imports; and the signed transactions that brought them."""

from __future__ import annotations

from dataclasses import dataclass

from gridcore.quality import CORRECTED, QUALITIES, SUBSTITUTED_WORD
from gridcore.transactions.approve_reading import SUBSTITUTE
from gridevidence.view_paths import PathView


@dataclass(frozen=True)
class BlockView:
    """The block that recorded a transaction. The paths lead to its data root, and from its digest to the history root."""

    height: int
    time_s: int
    digest: bytes
    data_root: bytes
    data_path: PathView
    history_path: PathView


@dataclass(frozen=True)
class TransactionView:
    """A signed transaction: the bytes that were signed, what they say, by whom, and where they stand."""

    what: str
    """"start", "end", or "order 1" and so on."""
    kind: str
    signer: str
    signed: bytes
    fields: tuple[tuple[str, str], ...]
    """The signed map, flat: (dotted key, value as text); bytes in hex."""
    id: bytes
    signature: bytes
    public_key: bytes
    protection: str
    """Where a gateway keeps its key, as enrolment verified it; "" of other signers."""
    block: BlockView


@dataclass(frozen=True)
class ReadingView:
    """A register reading at a boundary of the slot, and the batch that carried it."""

    when: str
    """"start" or "end"."""
    boundary_s: int
    import_wh: int
    export_wh: int
    quality: str
    flags: tuple[str, ...]
    offset_ms: int
    clock_state: str
    clock_offset_ms: int
    epoch: int
    counter: int
    path: PathView
    """To the batch's rows root."""
    batch: TransactionView


@dataclass(frozen=True)
class ApprovalView:
    """A register at a boundary of the slot for which an organisation answers, and why; as the meter shows it, Wh."""

    when: str
    """"start" or "end"."""
    boundary_s: int
    import_wh: int
    export_wh: int
    reason: str
    transaction: TransactionView

    @property
    def quality(self) -> str:
        """Its word: one that nobody read is a substitute."""
        return SUBSTITUTED_WORD if self.reason.startswith(SUBSTITUTE) else QUALITIES[CORRECTED]


@dataclass(frozen=True)
class ImportView:
    """An energy that was imported, and the import that brought it."""

    import_wh: int
    export_wh: int
    quality: str
    flags: tuple[str, ...]
    estimates: str
    """By which method the importer estimated, "" where nothing was."""
    files: tuple[tuple[str, str], ...]
    """Name of each file, and the SM3 of its bytes, hex digits."""
    path: PathView
    """To the import's rows root."""
    transaction: TransactionView
