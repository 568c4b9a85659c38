"""Who may ask what: the rules of access that routes name (docs/spec/http.md, "Access").

A rule is kept before anything is looked up, so that a refusal does not tell what exists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gridcore.registry.party import PARTY, Party
from gridcore.serving.problems import Problem
from ledger.http.access import Caller
from ledger.http.view import LedgerView

Arguments = dict[str, Any]
Admit = Callable[[LedgerView, Caller, Arguments], Arguments]
"""The arguments of the function that answers, as they are for this caller. Problem 403 where it may not ask."""


@dataclass(frozen=True)
class Access:
    """Who may ask. ``words``: for people; ``admit``: None where no signature is needed."""

    words: str
    admit: Admit | None


@dataclass(frozen=True)
class Scope:
    """What a caller is shown of an area. ``party``: the one whose rows, None for all; ``reads_all``: it may see everybody's."""

    party: str | None
    reads_all: bool


def _admit_signer(_view: LedgerView, _caller: Caller, arguments: Arguments) -> Arguments:
    return arguments


def _admit_reader(_view: LedgerView, caller: Caller, arguments: Arguments) -> Arguments:
    if not caller.reads_all:
        raise Problem("not-authorised", f"{caller.id}: this is for {_READERS}")
    return arguments


def _admit_named_reader(view: LedgerView, caller: Caller, arguments: Arguments) -> Arguments:
    return {**_admit_reader(view, caller, arguments), "caller": caller.id}


def _admit_administrator(_view: LedgerView, caller: Caller, arguments: Arguments) -> Arguments:
    if "administrator" not in caller.roles:
        raise Problem("not-authorised", f"{caller.id}: this is for administrators")
    return {**arguments, "caller": caller.id}


def _admit_gateway(_view: LedgerView, caller: Caller, arguments: Arguments) -> Arguments:
    if not caller.reads_all and not ("gateway" in caller.roles and caller.id == arguments["gateway_id"]):
        raise Problem("not-authorised", f"{caller.id}: counters are for the gateway itself and {_READERS}")
    return arguments


def _admit_gateway_alone(_view: LedgerView, caller: Caller, arguments: Arguments) -> Arguments:
    if "gateway" not in caller.roles or caller.id != arguments["gateway_id"]:
        raise Problem("not-authorised", f"{caller.id}: only the gateway itself reports of itself")
    return arguments


def _admit_party(_view: LedgerView, caller: Caller, arguments: Arguments) -> Arguments:
    if not caller.reads_all and not ("prosumer" in caller.roles and caller.id == arguments["party"]):
        raise Problem("not-authorised", f"{caller.id}: a party's data is for itself and {_READERS}")
    return arguments


def _admit_to_party(view: LedgerView, caller: Caller, arguments: Arguments) -> Arguments:
    _admit_party(view, caller, arguments)
    others = {name: value for name, value in arguments.items() if name != "party"}
    return {**others, "scope": Scope(arguments["party"], caller.reads_all)}


def _scope_of(view: LedgerView, caller: Caller, area_id: str, only: str | None) -> Scope:
    """What of an area is shown. ``only``: the party that is asked for, if any."""
    if caller.reads_all:
        return Scope(only, reads_all=True)
    own = _own_party(view, caller)
    if own is None or own.area != area_id:
        raise Problem("not-authorised", f"{caller.id}: has no installation in area {area_id!r}")
    if only not in (None, caller.id):
        raise Problem("not-authorised", f"{caller.id}: a party's data is for itself, not for others to narrow to")
    return Scope(caller.id, reads_all=False)


def _own_party(view: LedgerView, caller: Caller) -> Party | None:
    return view.reader.in_force(PARTY, caller.id) if "prosumer" in caller.roles else None


def _admit_to_rows(view: LedgerView, caller: Caller, arguments: Arguments) -> Arguments:
    scope = _scope_of(view, caller, arguments["area_id"], arguments.get("party"))
    return {name: value for name, value in arguments.items() if name != "party"} | {"scope": scope}


def _admit_to_area(view: LedgerView, caller: Caller, arguments: Arguments) -> Arguments:
    _scope_of(view, caller, arguments["area_id"], None)
    return arguments


def _admit_to_areas(view: LedgerView, caller: Caller, arguments: Arguments) -> Arguments:
    if _own_party(view, caller) is None:
        _admit_reader(view, caller, arguments)
    return {**arguments, "scope": Scope(None if caller.reads_all else caller.id, caller.reads_all)}


_READERS: Final = "utility, regulator, administrator"
_OWN: Final = f"{_READERS}; a prosumer its own"

EVERYBODY: Final = Access("", None)
SIGNERS: Final = Access("every signer", _admit_signer)
READERS: Final = Access(_READERS, _admit_reader)
NAMED_READERS: Final = Access(_READERS, _admit_named_reader)
"""For what a reader's organisation might propose: the function gets the ``caller``."""
ADMINISTRATORS: Final = Access("administrator", _admit_administrator)
"""For what an administrator would have registered: the function gets the ``caller``."""
GATEWAY_ITSELF: Final = Access(f"the gateway itself; {_READERS}", _admit_gateway)
GATEWAY_ALONE: Final = Access("the gateway itself", _admit_gateway_alone)
PARTY_ITSELF: Final = Access(_OWN, _admit_party)
"""For what names its party: ``party`` stays an argument."""
PARTY_IN_SCOPE: Final = Access(_OWN, _admit_to_party)
"""For what names its party and is told to readers and to itself in different ways: the function gets a ``scope``."""
OWN_ROWS: Final = Access(_OWN, _admit_to_rows)
"""For rows of an area: the function gets a ``scope``, which takes in the parameter ``party`` where the route has it."""
OWN_AREA: Final = Access(_OWN, _admit_to_area)
"""For what an area has in common."""
OWN_AREAS: Final = Access(_OWN, _admit_to_areas)
"""For lists of areas: the function gets a ``scope``."""
