"""``/consortium/proposals/new``: a proposal is filled in, checked by the node, and taken home as a file; a person's command signs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from quart import Blueprint, Response, request
from quart.typing import ResponseReturnValue

from gridcore.errors import UsageError
from gridcore.governance.permission import PROVEN
from gridcore.proposal_file import parse_proposal
from gridcore.serving.problems import Problem
from gridweb.access import Role, requires
from gridweb.governance_words import FAULT_WORDS, OTHER_FAULT, ROLE_TITLES
from gridweb.i18n import translate
from gridweb.pages.block import KIND_TITLES
from gridweb.proposal_form import FORMS, Draft, Filled, Form, fill, members_of
from gridweb.site import source
from gridweb.source import Source, part_of
from gridweb.views import render_page

pages = Blueprint("proposing", __name__)

WRITERS: Final = (Role.REGULATOR, Role.ADMINISTRATOR)
Choices = Mapping[str, Sequence[tuple[str, str]]]
"""Values with what people read, by field."""


async def _choices(source: Source, name: str) -> Choices:
    """What there is to choose from in a form."""
    roles = [(role, translate(title)) for role, title in ROLE_TITLES.items()]
    organisations = [
        (one["organisation"], one["organisation"])
        for one in (await source.cached("organisations"))["organisations"]
        if not one["removed"]
    ]
    found: dict[str, Sequence[tuple[str, str]]] = {"roles": roles, "organisation": organisations, "name": organisations}
    if name == "contract":
        others = (await source.cached("contracts"))["not_approved"]
        found["contract"] = [(one["contract"], one["contract"]) for one in others]
    if name == "permission":
        known = (await source.cached("permissions"))["permissions"]
        kinds = [one["kind"] for one in known if one["kind"] not in PROVEN]
        found["kind"] = [(kind, translate(KIND_TITLES.get(kind, kind))) for kind in kinds]
    return found


async def _prefilled(source: Source, name: str) -> Filled:
    """What stands in a form before anybody has touched it: what is in force now, where it is to be changed."""
    if name == "thresholds":
        now = (await source.cached("permissions"))["thresholds"]
        return {field: [str(number)] for field, number in now.items()}
    if name == "validators":
        members = (await source.cached("validators"))["current"]
        return {
            f"{field.name}-{row}": [str(member[field.name])]
            for row, member in enumerate(members)
            for field in FORMS[name].fields
        }
    return {}


async def _pins(source: Source) -> Mapping[str, bytes]:
    """Pins of the contracts that the node has, by id."""
    answer = await source.cached("contracts")
    known = [*(one for one in answer["contracts"] if one["installed"]), *answer["not_approved"]]
    return {one["contract"]: bytes.fromhex(one["pin"]) for one in known}


async def _check(source: Source, name: str, draft: Draft) -> dict[str, Any]:
    """What the node says of a well-formed proposal: how many decide, or why it may not be proposed."""
    try:
        action = parse_proposal(draft.file.encode(), Path(f"{name}.toml"), await _pins(source))
    except UsageError as error:
        return {"refused": (translate(OTHER_FAULT), str(error))}
    said = await source.ask_about("proposals/check", action.encode())
    if said["fault"] is None:
        return {"needed": said["needed"], "voters": said["voters"]}
    return {"refused": (translate(FAULT_WORDS.get(said["fault"]["name"], OTHER_FAULT)), said["fault"]["words"])}


def _named(name: str) -> Form:
    if name not in FORMS:
        raise Problem("not-found", "no proposal is called so")
    return FORMS[name]


async def _show(name: str, filled: Filled, draft: Draft | None) -> str:
    checked = None if draft is None or draft.faults else await part_of(_check(source(), name, draft))
    rows = [ending[1:] for ending in members_of(filled)]
    free = next(row for row in range(len(rows) + 1) if str(row) not in rows)
    return await render_page(
        "consortium/proposing.html",
        forms_of=FORMS,
        name=name,
        form=FORMS[name],
        filled=filled,
        choices=await part_of(_choices(source(), name)),
        rows=[*rows, str(free)],
        draft=draft,
        checked=checked,
    )


@pages.get("/consortium/proposals/new")
@requires(*WRITERS)
async def show_form() -> str:
    """A form, by ``?form=``."""
    name = request.args.get("form", next(iter(FORMS)))
    _named(name)
    prefilled = await part_of(_prefilled(source(), name))
    return await _show(name, prefilled.value or {}, None)


@pages.post("/consortium/proposals/new")
@requires(*WRITERS)
async def fill_in() -> ResponseReturnValue:
    """Check what was filled in; with ``do=download`` give the file."""
    sent = await request.form
    name = sent.get("form", "")
    filled = {field: sent.getlist(field) for field in sent}
    draft = fill(_named(name), filled)
    if sent.get("do") != "download" or draft.faults:
        return await _show(name, filled, draft)
    headers = {"Content-Disposition": f'attachment; filename="{name}.toml"'}
    return Response(draft.file, mimetype="application/toml", headers=headers)
