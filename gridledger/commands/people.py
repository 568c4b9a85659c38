"""``gridledger people``: who stands behind the pseudonyms of the ledger, in a file of the organisation that knows them."""

from __future__ import annotations

import argparse
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from gridcore.errors import UsageError
from gridledger.commands import add_actions, print_result

if TYPE_CHECKING:
    from gridweb.people import People

EXAMPLE = "gridledger people add --file people.db --reference C-1001 --name 'Zhang Wei'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``add``, ``list`` and ``erase``."""
    actions = add_actions(parser)
    add = actions.add_parser("add", help="keep a person, and say the pseudonym to register on the ledger")
    add.add_argument(
        "--reference", required=True, metavar="TEXT", help="the organisation's own, such as a customer number"
    )
    add.add_argument(
        "--name", required=True, metavar="TEXT", help="as pages show it to the utility and to the household"
    )
    add.add_argument("--address", default="", metavar="TEXT", help="kept for the utility")
    add.add_argument("--party", metavar="P", help="a pseudonym that the ledger has already, instead of a new one")
    everybody = actions.add_parser("list", help="say who is kept")
    erase = actions.add_parser("erase", help="forget a person: nobody can tell any more whose the pseudonym was")
    erase.add_argument("--party", required=True, metavar="P", help="the pseudonym")
    for action in (add, everybody, erase):
        action.add_argument(
            "--file", type=Path, required=True, metavar="FILE", help="web.people of web.toml; add makes it"
        )


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    from gridweb.database import open_database
    from gridweb.people import PEOPLE, People, check_person

    if args.action == "add":
        check_person(args.reference, args.name, args.address, args.party)
    elif not args.file.exists():
        raise UsageError(f"{args.file}: is not there; gridledger people add makes it")
    with closing(open_database(args.file, PEOPLE)) as database:
        try:
            return _do(args, People(database))
        except sqlite3.OperationalError as error:
            raise UsageError(f"{args.file}: cannot be written ({error}); check the disk") from None


def _do(args: argparse.Namespace, people: People) -> int:
    if args.action == "add":
        person = people.add(args.reference, args.name, args.address, args.party)
        print_result(args, person._asdict(), f"{person.party}: {person.name}; register this pseudonym on the ledger")
    elif args.action == "list":
        found = [person._asdict() for person in people.all()]
        lines = ["  ".join(part for part in person.values() if part) for person in found]
        print_result(args, {"people": found}, "\n".join(lines) or "nobody is kept")
    else:
        people.erase(args.party)
        print_result(args, {"erased": args.party}, f"{args.party}: erased")
    return 0
