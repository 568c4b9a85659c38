"""``/consortium``: who takes part, who certifies and who has certified what, how far certificates have come, how the node is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from quart import Blueprint

from gridweb.access import READS_ALL, requires
from gridweb.governance_words import fingerprint, role_words
from gridweb.i18n import N_, _
from gridweb.pages import Entry
from gridweb.pages.certifiers import SIGNS, STATES, Grid, certifiers_table, grid_of, read_newest_blocks
from gridweb.site import source
from gridweb.source import Source, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_fragment, render_page, site_zone
from ledger.client import NodeStatus

pages = Blueprint("consortium", __name__)

NAVIGATION = (Entry("/consortium", N_("Consortium"), READS_ALL, 60),)

STALL_TITLES: Final = {
    "disk": N_("The disk takes no writes, or has no more than its reserve."),
    "block": N_("A block has been in the making for over a minute."),
    "waiting": N_("transactions have waited for a block for three of its intervals"),
    "clock": N_("Ledger time stands: the clock of the node is too far ahead of it."),
    "quorum": N_("No two thirds of the power agree on a block."),
    "behind": N_("The node catches up with the others."),
    "engine": N_("The consensus engine is away."),
}
"""Why a node makes no blocks, by its word for it."""
PPM: Final = 1_000_000
YES_NO: Final = {"yes": N_("yes"), "no": N_("no")}
ORGANISATION_COLUMNS: Final = (
    Column("organisation", N_("Organisation")),
    Column("title", N_("Full name"), "name"),
    Column("roles", N_("Roles of its signers")),
    Column("validators", N_("Validators")),
    Column("votes", N_("May vote"), words=YES_NO),
    Column("removed", N_("Has left"), words=YES_NO),
    Column("authority_until_s", N_("Authority's certificate ends"), "instant"),
)
VALIDATOR_COLUMNS: Final = (
    Column("validator", N_("Validator")),
    Column("organisation", N_("Organisation")),
    Column("set", N_("Set"), words={"current": N_("certifies"), "pending": N_("waits to take over")}),
    Column("power", N_("Power"), "count"),
    Column("share", N_("Share"), "share"),
    Column("fingerprint", N_("Fingerprint of the key"), "digest"),
    Column("named_height", N_("Named in block"), "count"),
    Column("offence_height", N_("Voted twice in block"), "count"),
)


@dataclass(frozen=True)
class State:
    """What the page shows. newest: signed and missing names of the newest header that has a certificate, None while there is none."""

    status: NodeStatus
    validators: Mapping[str, Any]
    newest: Mapping[str, Any] | None
    grid: Grid

    @property
    def lag(self) -> int:
        """Blocks since the newest certified header."""
        return self.status.height - self.status.certified_height


@serves_table("/consortium/organisations", *READS_ALL)
async def organisations_table(source: Source) -> Table:
    """Everybody who was ever registered, with roles and validators."""
    answer = await source.cached("organisations")
    validators = (await source.cached("validators"))["current"]
    return table_of_organisations(answer["organisations"], validators, await site_zone(source))


@serves_table("/consortium/validators", *READS_ALL)
async def validators_table(source: Source) -> Table:
    """The set that certifies, and the one that waits, with power, key and offences."""
    return table_of_validators(await source.cached("validators"))


def table_of_organisations(
    organisations: Sequence[Mapping[str, Any]], validators: Sequence[Mapping[str, Any]], tz: str
) -> Table:
    """Organisations as a table; roles are codes there, words on the page."""
    rows = [
        (
            one["organisation"],
            one["title"],
            ", ".join(one["roles"]),
            ", ".join(member["name"] for member in validators if member["organisation"] == one["organisation"]) or None,
            "yes" if one["votes"] else "no",
            "yes" if one["removed"] else "no",
            one["authority_until_s"],
        )
        for one in organisations
    ]
    words = {", ".join(one["roles"]): role_words(one["roles"]) for one in organisations}
    columns = [replace(column, words=words) if column.key == "roles" else column for column in ORGANISATION_COLUMNS]
    links = [f"/registry/organisation/{one['organisation']}" for one in organisations]
    return Table("organisations", tuple(columns), rows, title=_("Organisations"), links=links, tz=tz)


def table_of_validators(answer: Mapping[str, Any]) -> Table:
    """Both sets as a table."""
    offences = {one["validator"]: one["height"] for one in answer["offences"]}
    rows = [
        (
            one["name"],
            one["organisation"],
            kind,
            one["power"],
            one["power"] * PPM // sum(member["power"] for member in answer[kind]),
            fingerprint(one["public_key"]),
            answer[f"{kind}_height"],
            offences.get(one["name"]),
        )
        for kind in ("current", "pending")
        for one in answer[kind]
    ]
    return Table("validators", VALIDATOR_COLUMNS, rows, title=_("Validators"))


async def read_state(source: Source) -> State:
    """Everything about certificates. SourceAway."""
    validators, blocks = await source.cached("validators"), await read_newest_blocks(source)
    status = await source.status()
    newest = next((one for one in blocks if one["covered_by"] == one["height"]), None)
    return State(status, validators, newest, grid_of(blocks))


async def _values() -> dict[str, Any]:
    state = await part_of(read_state(source()))
    organisations = await part_of(organisations_table(source()))
    return {
        "state": state,
        "validators": None if state.value is None else table_of_validators(state.value.validators),
        "validators_url": table_url(validators_table),
        "organisations": organisations,
        "organisations_url": table_url(organisations_table),
        "stalls": STALL_TITLES,
        "certifiers_url": table_url(certifiers_table),
        "cert_titles": STATES,
        "cert_signs": SIGNS,
    }


@pages.get("/consortium")
@requires(*READS_ALL)
async def show_consortium() -> str:
    """The page."""
    return await render_page("consortium/consortium.html", **await _values())


@pages.get("/consortium/part")
@requires(*READS_ALL)
async def show_part() -> str:
    """What changes with each block, by itself."""
    return await render_fragment("consortium/state.html", **await _values())
