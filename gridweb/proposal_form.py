"""Proposals as people fill them in: forms with their fields, and the file that a filled-in form becomes.

draft = fill(FORMS["protocol"], {"version": ["2"], "height": ["900"]})
draft.faults    # field -> what belongs there; empty where everything is well-formed
draft.file      # TOML for ``gridledger consortium propose``
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gridcore.forms import NAME
from gridcore.public_key import point_of
from gridweb.i18n import N_

Filled = Mapping[str, Sequence[str]]
"""What a browser sends: texts by field."""
TomlTable = tuple[str, Mapping[str, Any]]
"""Header with its brackets, and fields."""
WHOLE_DIGITS_MAX: Final = 15
MEMBERS_MAX: Final = 256
TITLE_CHARACTERS_MAX: Final = 200
_WHOLE: Final = re.compile(rf"[1-9][0-9]{{0,{WHOLE_DIGITS_MAX - 1}}}")
_HEX: Final = re.compile(r"([0-9a-f]{2}){0,2048}")
_CONSENSUS_KEY: Final = re.compile(r"([0-9a-f]{64})?")


@dataclass(frozen=True)
class Kind:
    """What may stand in a field. widget: of the page ("text", "whole", "choice", "boxes"); hint: a message id; holds: whether texts fit."""

    widget: str
    hint: str
    holds: Callable[[Sequence[str]], bool]


def _one(check: Callable[[str], bool]) -> Callable[[Sequence[str]], bool]:
    return lambda texts: len(texts) == 1 and check(texts[0])


def _is_public_key(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{130}", text) is not None and point_of(bytes.fromhex(text)) is not None


WHOLE: Final = Kind("whole", N_("a whole number from 1 on"), _one(lambda text: _WHOLE.fullmatch(text) is not None))
A_NAME: Final = Kind("text", N_("a name of letters, digits, dot, dash, underscore"), _one(NAME.holds))
TITLE: Final = Kind(
    "text", N_("what people read, 1 to 200 characters"), _one(lambda text: 1 <= len(text) <= TITLE_CHARACTERS_MAX)
)
PUBLIC_KEY: Final = Kind("text", N_("an SM2 public key, 130 hex digits that begin with 04"), _one(_is_public_key))
CONSENSUS_KEY: Final = Kind(
    "text",
    N_("an Ed25519 public key, 64 hex digits; empty without a consensus engine"),
    _one(lambda text: _CONSENSUS_KEY.fullmatch(text) is not None),
)
CERTIFICATE: Final = Kind(
    "text",
    N_("an X.509 certificate (DER) in hex digits, where the organisation has an authority; else empty"),
    lambda texts: len(texts) <= 1 and all(_HEX.fullmatch(text) for text in texts),
)
CHOICE: Final = Kind("choice", N_("one of these"), _one(bool))
BOXES: Final = Kind("boxes", N_("at least one"), bool)


@dataclass(frozen=True)
class Field:
    """One field of a form. title: a message id."""

    name: str
    title: str
    kind: Kind


@dataclass(frozen=True)
class Form:
    """A proposal to fill in. title, about: message ids; table: header of its TOML table; constants: fields that nobody fills in."""

    title: str
    about: str
    table: str
    fields: Sequence[Field]
    constants: Mapping[str, Any]


def _form(title: str, about: str, table: str, *fields: Field, **constants: Any) -> Form:
    return Form(title, about, table, fields, constants)


_ORGANISATION: Final = Field("organisation", N_("Organisation"), CHOICE)
FORMS: Final[Mapping[str, Form]] = {
    "contract": _form(
        N_("Approve a contract"),
        N_("Zones may name it from that block on. A node that does not have its code stops there."),
        "[contract]",
        Field("contract", N_("Contract"), CHOICE),
        Field("height", N_("From block"), WHOLE),
    ),
    "validators": _form(
        N_("Change who certifies"),
        N_("The whole set that is to be. A row whose name is empty is left out."),
        "[[validator]]",
        Field("name", N_("Validator"), A_NAME),
        Field("organisation", N_("Organisation"), A_NAME),
        Field("power", N_("Power"), WHOLE),
        Field("public_key", N_("SM2 key"), PUBLIC_KEY),
        Field("consensus_key", N_("Ed25519 key"), CONSENSUS_KEY),
    ),
    "join": _form(
        N_("Let an organisation join"),
        N_("Its administrator signs in a second proposal, which gives that person's key."),
        "[[organisation]]",
        Field("name", N_("Organisation"), A_NAME),
        Field("title", N_("Full name"), TITLE),
        Field("roles", N_("Roles of its signers"), BOXES),
    ),
    "key": _form(
        N_("Give a signer a key"),
        N_("A new signer of an organisation, or another key for one that has lost it."),
        "[[signer]]",
        Field("name", N_("Signer"), A_NAME),
        _ORGANISATION,
        Field("roles", N_("Roles"), BOXES),
        Field("public_key", N_("SM2 key"), PUBLIC_KEY),
        Field("certificate", N_("Certificate"), CERTIFICATE),
    ),
    "revoke": _form(
        N_("Revoke a key"),
        N_("From the decision on nobody signs with it."),
        "[[signer]]",
        Field("name", N_("Signer"), A_NAME),
        _ORGANISATION,
        revoked=True,
    ),
    "leave": _form(
        N_("Let an organisation leave"),
        N_("Nobody signs for it any more. It leaves only after its validators."),
        "[[organisation]]",
        Field("name", N_("Organisation"), CHOICE),
        removed=True,
    ),
    "permission": _form(
        N_("Change who may send a kind of transaction"),
        N_("A signer needs one of these roles."),
        "[permission]",
        Field("kind", N_("Kind of transaction"), CHOICE),
        Field("roles", N_("Who may send it"), BOXES),
    ),
    "protocol": _form(
        N_("Activate a version of the ledger's rules"),
        N_("A node whose release does not have that version stops at that block."),
        "[protocol]",
        Field("version", N_("Version"), WHOLE),
        Field("height", N_("From block"), WHOLE),
    ),
    "thresholds": _form(
        N_("Change how many organisations decide"),
        N_("The highest of the numbers of today decides about this."),
        "[thresholds]",
        Field("contract", N_("to approve a contract"), WHOLE),
        Field("protocol", N_("to activate a version of the rules"), WHOLE),
        Field("registry", N_("to register areas, points, meters and prices"), WHOLE),
        Field("signers", N_("to change members, keys, validators and permissions"), WHOLE),
    ),
}


@dataclass(frozen=True)
class Draft:
    """A form that was filled in. faults: hints of the fields that do not hold; file: TOML, "" where there are any."""

    faults: Mapping[str, str]
    file: str


def fill(form: Form, filled: Filled) -> Draft:
    """What becomes of a filled-in form; of the set of validators there are fields ``name-0``, ``name-1``, and so on."""
    suffixes = members_of(filled) if form.table == "[[validator]]" else [""]
    faults: dict[str, str] = {}
    tables: list[TomlTable] = []
    for suffix in suffixes:
        texts = {field: [text.strip() for text in filled.get(field.name + suffix, ())] for field in form.fields}
        faults |= {field.name + suffix: field.kind.hint for field in texts if not field.kind.holds(texts[field])}
        if not faults:
            given = {field.name: _value(field, found) for field, found in texts.items() if _is_given(field, found)}
            tables.append((form.table, {**given, **form.constants}))
    return Draft(faults, "" if faults else write_toml(tables))


def members_of(filled: Filled) -> list[str]:
    """Endings of the fields of a set's rows that have a name."""
    endings = [f"-{row}" for row in range(MEMBERS_MAX)]
    return [ending for ending in endings if any(text.strip() for text in filled.get(f"name{ending}", ()))]


def _is_given(field: Field, texts: Sequence[str]) -> bool:
    """Whether a field stands in the file: a certificate does not where there is none."""
    return field.kind is not CERTIFICATE or any(texts)


def _value(field: Field, texts: Sequence[str]) -> Any:
    if field.kind is BOXES:
        return sorted(texts)
    return int(texts[0]) if field.kind is WHOLE else texts[0]


def write_toml(tables: Sequence[TomlTable]) -> str:
    """Tables as TOML: a text, a number, true and an array of texts are written as in JSON."""
    return "\n".join(
        "".join(
            [f"{header}\n", *(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in fields.items())]
        )
        for header, fields in tables
    )
