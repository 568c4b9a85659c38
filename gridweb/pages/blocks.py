"""``/blocks``: the blocks of the chain from the newest down, and the way to one by its height, a transaction's id or a meter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from quart import Blueprint, redirect, request
from quart.typing import ResponseReturnValue

from gridweb.access import READS_ALL, requires
from gridweb.i18n import N_, _, translate
from gridweb.pages import Entry
from gridweb.pages.block import KIND_TITLES
from gridweb.pages.meters import find_meter
from gridweb.site import source
from gridweb.source import Source, SourceAway, SourceBusy, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_fragment, render_page, site_zone

pages = Blueprint("blocks", __name__)

NAVIGATION = (Entry("/blocks", N_("Blocks"), READS_ALL, 40),)

_HEIGHT: Final = re.compile(r"[1-9][0-9]{0,14}")
_ID: Final = re.compile(r"[0-9a-f]{64}")
COLUMNS: Final = (
    Column("height", N_("Height"), "count"),
    Column("time_s", N_("Made at (real time)"), "instant"),
    Column("transactions", N_("Transactions"), "count"),
    Column("kinds", N_("Kinds")),
    Column("refused", N_("Refused"), "count"),
    Column("signed", N_("Signed by"), "count"),
    Column("validators", N_("of validators"), "count"),
    Column("covered_by", N_("Certified by header"), "count"),
    Column("lag", N_("Blocks later"), "count"),
)


@serves_table("/blocks", *READS_ALL)
async def blocks_table(source: Source, *, to_height: int | None = None) -> Table:
    """At most 64 blocks from a height down, the newest by itself: kinds of transactions, who signed, and how late it was certified."""
    return table_of_blocks(await _read(source, to_height), await site_zone(source))


async def _read(source: Source, to_height: int | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = await source.cached("blocks", **({} if to_height is None else {"to_height": to_height}))
    return found


def table_of_blocks(answer: Mapping[str, Any], tz: str) -> Table:
    """Blocks as a table. Kinds are codes there, words on the page; without a certificate the lag is that of the newest block."""
    rows, words = [], {}
    for one in answer["blocks"]:
        kinds = _kinds(one)
        if kinds is not None:
            words[kinds] = _kind_words(one)
        lag = (answer["newest"] if one["covered_by"] is None else one["covered_by"]) - one["height"]
        signed = len(one["signed"])
        facts = (one["transactions"], kinds, one["refused"], signed, signed + len(one["missing"]))
        rows.append((one["height"], one["time_s"], *facts, one["covered_by"], lag))
    columns = tuple(replace(column, words=words) if column.key == "kinds" else column for column in COLUMNS)
    links = [f"/blocks/{one['height']}" for one in answer["blocks"]]
    return Table("blocks", columns, rows, title=_("Blocks"), links=links, tz=tz)


def _kinds(block: Mapping[str, Any]) -> str | None:
    """Kinds as codes with their numbers; None where there are none, or they were pruned."""
    if not block["kinds"]:
        return None
    return ", ".join(f"{one['kind'] or 'malformed'} {one['count']}" for one in block["kinds"])


def _kind_words(block: Mapping[str, Any]) -> str:
    titles = [
        (KIND_TITLES.get(one["kind"], one["kind"]) if one["kind"] else N_("malformed"), one["count"])
        for one in block["kinds"]
    ]
    return ", ".join(f"{translate(title)} × {count}" if count > 1 else translate(title) for title, count in titles)


async def _page(to_height: int | None) -> dict[str, Any]:
    answer = await part_of(_read(source(), to_height))
    table = None if answer.value is None else table_of_blocks(answer.value, await site_zone(source()))
    return {
        "answer": answer,
        "table": table,
        "url": table_url(blocks_table, to_height=to_height),
        "to_height": to_height,
    }


def _asked_height() -> int | None:
    text = request.args.get("to_height", "")
    return int(text) if _HEIGHT.fullmatch(text) else None


@pages.get("/blocks")
@requires(*READS_ALL)
async def show_blocks() -> ResponseReturnValue:
    """The list; with ``?find=`` to the block of that height, or of the transaction of that id."""
    find = request.args.get("find", "").strip()
    path = await _path_of(find)
    if path is not None:
        return redirect(path, 303)
    return await render_page("block/blocks.html", **await _page(_asked_height()), find=find)


async def _path_of(find: str) -> str | None:
    """Where what was looked for stands: a height, a transaction, or a meter, whose page names the block of its newest batch; None for
    what the ledger does not have.
    """
    if _ID.fullmatch(find.lower()):
        try:
            return f"/blocks/{(await source().cached(f'transactions/{find.lower()}'))['height']}"
        except SourceMissing:
            return None
    known = await part_of(source().as_of())
    if _HEIGHT.fullmatch(find) and known.value is not None and int(find) <= known.value.newest:
        return f"/blocks/{find}"
    try:
        return f"/meters/{quote((await find_meter(source(), find)).meter, safe='')}" if find else None
    except (SourceMissing, SourceAway, SourceBusy):
        return None


@pages.get("/blocks/part")
@requires(*READS_ALL)
async def show_blocks_part() -> str:
    """The newest blocks, by themselves."""
    return await render_fragment("block/list.html", **await _page(None))
