"""``gridledger settle exceptions``: what is wrong with the data of a ledger, by the money at stake, as the pages list it, for scripts."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from gridcore.errors import UsageError, excerpt
from gridledger.commands import Actions, print_result

if TYPE_CHECKING:
    from gridledger.serving import Parts
    from gridweb.exports.format import Provenance
    from gridweb.tables import Table

SUFFIXES: Final = (".csv", ".json", ".xlsx")
STATES: Final = ("open", "taken", "done")
NODE_TIMEOUT_S: Final = 30.0
_SHOWN: Final = ("what", "stake_nano", "at_s", "area", "meter", "reason", "state", "person", "note")


class Found(NamedTuple):
    """The exceptions, and of which block they are."""

    table: Table
    where: Provenance


class _Standing(NamedTuple):
    """How far the series are, and how far the node is: heights."""

    height: int
    newest: int


def declare(actions: Actions) -> None:
    """Declare the action."""
    listed = actions.add_parser(
        "exceptions", help="what is wrong with meter data, by the money at stake, and who works on it"
    )
    listed.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="web.toml of the pages: node, key, series, users"
    )
    listed.add_argument("--area", metavar="ID", help="an area; without it, all of them")
    listed.add_argument(
        "--day", metavar="DAY", help="a local day, YYYY-MM-DD; without it, the newest, and all refused rows"
    )
    listed.add_argument("--state", choices=STATES, help="those alone that nobody has taken, that are taken, or done")
    listed.add_argument("--out", type=Path, metavar="FILE", help=f"a file to make: {', '.join(SUFFIXES)}")


def run(args: argparse.Namespace) -> int:
    """Print the table, or write it; as JSON it is the table that the pages serve."""
    from gridledger.serving import check_file
    from gridweb.exports.formats import FORMATS
    from gridweb.exports.json_file import to_json

    if args.out is not None and args.out.suffix not in SUFFIXES:
        raise UsageError(f"--out {args.out}: ends with {', '.join(SUFFIXES)}, which says the format")
    found = asyncio.run(_read(check_file(args.config), args))
    if args.out is not None:
        data = FORMATS[args.out.suffix.removeprefix(".")].encode(found.table, found.where)
        try:
            with args.out.open("xb") as file:
                file.write(data)
        except OSError as error:
            raise UsageError(f"--out {args.out}: {error.strerror}; name a file that is not there yet") from None
    print_result(args, to_json(found.table), _text(found.table) if args.out is None else str(args.out))
    return 0


async def _read(parts: Parts, args: argparse.Namespace) -> Found:
    from contextlib import closing

    from gridcore.clock import WallClock
    from gridcore.serving.problems import Problem
    from gridledger.serving import open_client
    from gridseries.series import SeriesUnavailable
    from gridseries.stores import open_series
    from gridweb.database import open_database
    from gridweb.exports.format import Provenance
    from gridweb.health import Health
    from gridweb.pages.troubles import Shown, read_exceptions_table
    from gridweb.source import Source, SourceAway, SourceBusy, SourceMissing
    from gridweb.worklist import Worklist
    from ledger.client import NodeRefused, NodeUnreachable

    config, clock = parts.config, WallClock()
    series = open_series(config.series)
    try:
        async with open_client(parts, NODE_TIMEOUT_S) as client:
            standing = _Standing((await series.load_cursor()).height, (await client.status()).height)
            source = Source(client, series, standing, Health(clock))
            with closing(open_database(config.web.users)) as database:
                shown = Shown(Worklist(database, clock).all())
            table = await read_exceptions_table(source, args.area, args.day, shown)
            as_of = await source.as_of()
    except SourceMissing as missing:
        raise UsageError(f"--area, --day: {missing}") from None
    except Problem as problem:
        raise UsageError(f"--day {excerpt(args.day or '')}: {problem}") from None
    except (NodeUnreachable, NodeRefused, SeriesUnavailable, SourceAway, SourceBusy) as away:
        raise UsageError(f"{away}; look at node and series of {args.config}") from None
    finally:
        await series.close()
    return Found(_of_state(table, args.state), Provenance(as_of.chain, as_of.height, as_of.ledger_time_s, as_of.mark))


def _of_state(table: Table, state: str | None) -> Table:
    """The rows of a state, without what only pages show."""
    from dataclasses import replace

    place = [column.key for column in table.columns].index("state")
    rows = [row for row in table.rows if state in (None, row[place])]
    return replace(table, rows=rows, links=(), buttons=())


def _text(table: Table) -> str:
    """The most important columns, a line for each exception."""
    places = [(column, [one.key for one in table.columns].index(column.key)) for column in table.columns]
    shown = [(column, place) for column, place in places if column.key in _SHOWN]
    lines = ["  ".join(column.key for column, _ in shown)]
    lines += ["  ".join("-" if row[at] is None else str(row[at]) for _, at in shown) for row in table.rows]
    return "\n".join(lines)
