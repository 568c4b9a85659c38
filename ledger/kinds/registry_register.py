"""registry/register: an organisation records keys of its own signers. All rows are recorded, or none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from gridcore import merkle
from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.errors import EncodingError
from gridcore.registry.entities import ENTITIES, entity_of
from gridcore.registry.entity import Entity
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.organisation import ORGANISATION
from gridcore.registry.party import PARTY
from gridcore.registry.row import Row, decode_row, salt_rows
from gridcore.registry.signer import SIGNER, Signer
from gridcore.transactions.registry_register import RegistryRegister, decode_attached_rows
from ledger.registry.bodies import newest
from ledger.registry.entries import ENTITY_FAMILIES, EntityLeaf, Entry
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft

_FAMILY: Final = ENTITY_FAMILIES[SIGNER.kind]
_OWNERS: Final[tuple[Entity[Any], ...]] = (SIGNER, GATEWAY, PARTY)
"""What may have the name of a signer, and then says whose it is."""


class SaltedRow(NamedTuple):
    """A registry row, and the bytes that its entry's digest covers."""

    row: Row
    salted: bytes


def register(draft: Draft, transaction: Transaction, content: RegistryRegister) -> Code:
    """Rows are judged one after the other, each after those before it."""
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    rows = read_rows(transaction, content)
    if rows is None:
        return Code.ROWS_MISMATCH
    organisation = _organisation_of(draft, transaction.signer)
    leaves: dict[str, EntityLeaf] = {}
    for row, salted in rows:
        name = row.key.partition("/")[2]
        leaf = leaves.get(name) or _FAMILY.load(draft, name) or EntityLeaf(())
        if (code := check_row(draft, row, leaf, organisation)) is not Code.ACCEPTED:
            return code
        leaves[name] = leaf.added(Entry(row.from_s, draft.height, merkle.leaf_hash(salted)))
    for _, salted in rows:
        draft.put_body(salted)
    for name, leaf in leaves.items():
        _FAMILY.save(draft, leaf, name)
    remember_client_id(draft, transaction, content)
    return Code.ACCEPTED


def read_rows(transaction: Transaction, content: RegistryRegister) -> Sequence[SaltedRow] | None:
    """The attached rows, or None where they are not those that the signed part names, or one is no row of a known entity."""
    try:
        attached = decode_attached_rows(transaction.attachment)
        rows = [decode_row(encoded) for encoded in attached.rows]
    except EncodingError:
        return None
    is_what_was_signed = len(rows) == content.rows and attached.root == content.rows_root
    if not is_what_was_signed or not all(row.key.partition("/")[0] in ENTITIES for row in rows):
        return None
    return [SaltedRow(*both) for both in zip(rows, salt_rows(attached.seed, attached.rows), strict=True)]


def check_row(draft: Draft, row: Row, leaf: EntityLeaf, organisation: str) -> Code:
    """Whether a row may be recorded after what ``leaf`` has of its entity, by a signer of ``organisation``."""
    found = entity_of(row.key)
    if found is None or found[0] is not SIGNER or SIGNER.fault_of(row.value):
        return Code.REGISTRY_FORM
    signer = SIGNER.record_of(row.value)
    if {signer.organisation, *_owners(draft, found[1])} != {organisation}:
        return Code.NOT_PERMITTED
    owner = draft.in_force(ORGANISATION, organisation)
    if isinstance(signer, Signer) and (owner is None or not set(signer.roles) <= set(owner.roles)):
        return Code.NOT_PERMITTED
    is_ahead = row.from_s >= draft.ledger_time_s and leaf.takes(row.from_s, draft.height)
    return Code.ACCEPTED if is_ahead else Code.REGISTRY_NOT_AHEAD


def _organisation_of(draft: Draft, signer: str) -> str:
    record = draft.in_force(SIGNER, signer)
    return "" if record is None else record.organisation


def _owners(draft: Draft, name: str) -> Iterable[str]:
    """The organisations that a signer of this name already belongs to, by its last entry, its gateway and its party."""
    for entity in _OWNERS:
        last = newest(draft, entity, name)
        if last is not None:
            yield last.record.organisation
