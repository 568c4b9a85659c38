"""What a proposal asks for, out of a TOML file: one sort of action a file. What is wrong ends in one line with file and field.

Members are rows as in a file of registry rows, without ``from_s``: they hold from the decision on. Every other sort is one table.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gridcore.config import decode_toml
from gridcore.errors import EncodingError, UsageError
from gridcore.files import read_bounded
from gridcore.governance.contract import CONTRACT
from gridcore.governance.membership import KINDS, MEMBERSHIP
from gridcore.governance.table import SORTS, Action, read_action
from gridcore.governance.validators import VALIDATORS
from gridcore.registry.written import from_toml, read_entity
from gridcore.sm3 import DIGEST_BYTES
from gridcore.validator import VALIDATOR_SET

FILE_BYTES_MAX: Final = 1 << 20
_TABLES: Final = tuple(name for name in SORTS if name not in (MEMBERSHIP.name, VALIDATORS.name))
_VALIDATOR: Final = "validator"


def read_proposal(path: Path, pins: Mapping[str, bytes]) -> Action:
    """The action of a file: see ``parse_proposal``."""
    return parse_proposal(read_bounded(path, FILE_BYTES_MAX, "check the path of the file"), path, pins)


def parse_proposal(data: bytes, path: Path, pins: Mapping[str, bytes]) -> Action:
    """The action of a file's bytes. UsageError naming file and field.

    pins: of this program's contracts by id: a contract that is proposed is one of them, its pin, where the file has none, is its own.
    """
    tables = decode_toml(data, path)
    is_members, is_set = bool(tables) and set(tables) <= set(KINDS), set(tables) == {_VALIDATOR}
    if not is_members and not is_set and (len(tables) != 1 or not set(tables) <= set(_TABLES)):
        rows = f"[[{_VALIDATOR}]], or {' and '.join(f'[[{kind}]]' for kind in KINDS)}"
        ways = f"one table of {', '.join(f'[{name}]' for name in _TABLES)}, or rows of {rows}"
        raise UsageError(f"{path}: a proposal is {ways}, not {', '.join(tables) or 'empty'}")
    try:
        if is_set:
            return read_action(_set(tables[_VALIDATOR], path))
        return read_action(_members(tables, path) if is_members else _one_table(tables, path, pins))
    except EncodingError as error:
        raise UsageError(f"{path}: {error}") from None


def _members(tables: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Organisations first: a signer's row needs that of its organisation."""
    rows = []
    for kind in (kind for kind in KINDS if kind in tables):
        if not isinstance(tables[kind], list) or not all(isinstance(table, dict) for table in tables[kind]):
            raise UsageError(f"{path}: {kind}: write one table a row, [[{kind}]]")
        for number, table in enumerate(tables[kind], 1):
            where = f"{path}: {kind} {number}"
            if "from_s" in table:
                raise UsageError(f"{where}: from_s has no place here: what is decided holds from the decision on")
            rows.append(list(read_entity(where, kind, table, from_toml)))
    return {"sort": MEMBERSHIP.name, "rows": rows, "seed": secrets.token_bytes(DIGEST_BYTES)}


def _set(tables: Any, path: Path) -> Mapping[str, Any]:
    """The whole set; keys are hex digits, ``power`` may be left out (1), and ``consensus_key`` where there is no engine."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{path}: {_VALIDATOR}: write one table a validator, [[{_VALIDATOR}]]")
    members = [{"power": 1, "consensus_key": "", **table} for table in tables]
    for number, member in enumerate(members, 1):
        for field in ("public_key", "consensus_key"):
            try:
                member[field] = bytes.fromhex(member.get(field, ""))
            except (TypeError, ValueError):
                raise UsageError(f"{path}: {_VALIDATOR} {number}: {field} is hex digits") from None
        if not VALIDATOR_SET.holds([member]):
            words = (
                "name, organisation, public_key (65 bytes), power (1 to 2^31), consensus_key (32 bytes, with an engine)"
            )
            raise UsageError(f"{path}: {_VALIDATOR} {number}: has {words}")
    return {"sort": VALIDATORS.name, "validators": sorted(members, key=lambda member: bytes(member["public_key"]))}


def _one_table(tables: Mapping[str, Any], path: Path, pins: Mapping[str, bytes]) -> Mapping[str, Any]:
    ((name, table),) = tables.items()
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {name}: write one table, [{name}]")
    forms = SORTS[name].shape.forms
    fields = {field: from_toml(forms[field], item) if field in forms else item for field, item in table.items()}
    return {**(_pinned(fields, path, pins) if name == CONTRACT.name else fields), "sort": name}


def _pinned(fields: Mapping[str, Any], path: Path, pins: Mapping[str, bytes]) -> Mapping[str, Any]:
    """A contract's fields with its pin. UsageError for code that this program does not have."""
    contract = fields.get("contract")
    own = pins.get(contract) if isinstance(contract, str) else None
    if own is None:
        raise UsageError(f"{path}: contract: contract is one that this program has, {', '.join(sorted(pins))}")
    if fields.get("pin", own) != own:
        raise UsageError(f"{path}: contract: pin of {contract} is {own.hex()} in this program")
    return {**fields, "pin": own}
