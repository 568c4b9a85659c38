"""What organisations decide, in words: sorts of proposals, their status, what each asks for, and what may not be done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from gridcore.sm3 import sm3
from gridweb import format as forms
from gridweb.i18n import N_, _, translate

SORT_TITLES: Final[Mapping[str, str]] = {
    "membership": N_("Members and their keys"),
    "validators": N_("Who certifies"),
    "contract": N_("Approval of a contract"),
    "protocol": N_("Version of the ledger's rules"),
    "permission": N_("Who may send a kind of transaction"),
    "thresholds": N_("How many organisations decide"),
}
STATUS_TITLES: Final[Mapping[str, str]] = {
    "open": N_("being voted on"),
    "passed": N_("passed"),
    "failed": N_("failed"),
    "expired": N_("expired"),
}
STATUS_STATES: Final[Mapping[str, str]] = {"open": "live", "passed": "good", "failed": "bad", "expired": "idle"}
"""As in ``gridweb.format.badge``."""
ROLE_TITLES: Final[Mapping[str, str]] = {
    "administrator": N_("Administrator"),
    "aggregator": N_("Aggregator"),
    "clock": N_("Clock"),
    "gateway": N_("Gateway"),
    "prosumer": N_("Prosumer"),
    "regulator": N_("Regulator"),
    "utility": N_("Utility"),
}
"""Roles of signers on the ledger."""
THRESHOLD_TITLES: Final[Mapping[str, str]] = {
    "contract": N_("to approve a contract"),
    "protocol": N_("to activate a version of the rules"),
    "registry": N_("to register areas, points, meters and prices"),
    "signers": N_("to change members, keys, validators and permissions"),
}
FAULT_WORDS: Final[Mapping[str, str]] = {
    "NOT_PERMITTED": N_("This organisation may not propose it."),
    "TOO_MANY_PROPOSALS": N_("This organisation has too many open proposals already."),
    "LAST_OF_ITS_KIND": N_("Afterwards nobody could decide any more."),
    "SET_PENDING": N_("Another set of validators waits to take over; afterwards this one can be proposed."),
    "EXISTS": N_("It is so already."),
}
"""Why an action may not be proposed, by the name of its code."""
OTHER_FAULT: Final = N_("The node would refuse it.")


def role_words(roles: Iterable[str]) -> str:
    """Roles for people, in their order."""
    return ", ".join(translate(ROLE_TITLES.get(role, role)) for role in roles)


def fingerprint(public_key: str) -> str:
    """SM3 of a public key, both in hex digits: what people compare by telephone."""
    return sm3(bytes.fromhex(public_key)).hex()


def action_lines(action: Mapping[str, Any], current: Iterable[Mapping[str, Any]] = ()) -> list[str]:
    """What an action of the node's answer asks for, a sentence each. ``current``: the set of validators that it would replace."""
    said = {
        "membership": lambda: [_member(key, value) for key, value in action["rows"]],
        "validators": lambda: list(_set_changes(current, action["validators"])),
        "contract": lambda: [
            _(
                "From block %(height)s on zones may name the contract %(contract)s, whose code has the pin %(pin)s.",
                height=forms.count(action["height"]),
                contract=action["contract"],
                pin=action["pin"],
            )
        ],
        "protocol": lambda: [
            _(
                "From block %(height)s on version %(version)s of the ledger's rules counts.",
                height=forms.count(action["height"]),
                version=action["version"],
            )
        ],
        "permission": lambda: [
            _(
                "Transactions of kind %(kind)s may be sent by: %(roles)s.",
                kind=action["kind"],
                roles=role_words(action["roles"]),
            )
        ],
        "thresholds": lambda: [
            _("Organisations needed %(what)s: %(count)s.", count=action[name], what=translate(title))
            for name, title in THRESHOLD_TITLES.items()
        ],
    }
    return said[action["sort"]]()


def _member(key: str, value: Mapping[str, Any]) -> str:
    """One row of an organisation or a signer."""
    kind, _slash, name = key.partition("/")
    if kind == "organisation":
        if value.get("removed"):
            return _("%(name)s leaves: nobody signs for it any more, and its name is not given again.", name=name)
        return _(
            "Organisation %(name)s, %(title)s, has the roles: %(roles)s.",
            name=name,
            title=value["title"],
            roles=role_words(value["roles"]),
        )
    if value.get("revoked"):
        return _("The key of %(name)s of %(organisation)s is revoked.", name=name, organisation=value["organisation"])
    return _(
        "%(name)s signs for %(organisation)s as %(roles)s, with the key whose fingerprint is %(key)s.",
        name=name,
        organisation=value["organisation"],
        roles=role_words(value["roles"]),
        key=fingerprint(value["public_key"]),
    )


def _set_changes(current: Iterable[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each validator: who joins, leaves, changes, stays."""
    before = {one["name"]: one for one in current}
    after = {one["name"]: one for one in wanted}
    for name, one in after.items():
        facts = {"name": name, "organisation": one["organisation"], "power": forms.count(one["power"])}
        if name not in before:
            yield _("%(name)s of %(organisation)s joins with power %(power)s.", **facts)
        elif before[name]["power"] != one["power"]:
            yield _(
                "%(name)s gets power %(power)s instead of %(old)s.", **facts, old=forms.count(before[name]["power"])
            )
        elif (before[name]["public_key"], before[name]["consensus_key"]) != (one["public_key"], one["consensus_key"]):
            yield _("%(name)s gets another key.", **facts)
        else:
            yield _("%(name)s of %(organisation)s stays with power %(power)s.", **facts)
    for name in before.keys() - after.keys():
        yield _("%(name)s leaves the set.", name=name)
