"""The commands, one module each, named as the command; ``gridledger.cli`` imports only the one that is called. ``settle`` has a module for each action.

To add a command ``watch``: write ``gridledger/commands/watch.py`` and a line in ``gridledger.cli.COMMANDS``.

    EXAMPLE = "gridledger watch run --config watch.toml"     # required: the last line of --help
    LOG_LEVEL = "info"                                       # optional; "warning" if absent

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        actions = add_actions(parser)
        run = actions.add_parser("run", help="watch until stopped")
        run.add_argument("--config", type=Path, required=True, metavar="FILE", help="the watcher's TOML file")

    def run(args: argparse.Namespace) -> int:
        from gridwatch.rules import watch                    # heavy imports inside: --help stays fast

        result = watch(load_config(args.config, WatchConfig))
        print_result(args, {"alerts": result.alerts}, f"{result.alerts} alerts")
        return 0

- The logic of an action that has a module of its own outside of this package declares it there: ``declare(actions: Actions)``.
- ``--json`` (``args.json``) and ``--log-level`` are added to the parser and to all its sub-parsers; do not declare them.
- A user's mistake is a ``UsageError`` (exit status 2); another ``GridError`` exits with 1, or with its ``exit_status``
  attribute where it has one (3: cannot be decided). The command line prints the one line; the command does not.
- A negative answer is no error: print it and return 1. Results go to stdout, all else to stderr (progress only on a terminal).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from gridcore.errors import excerpt
from gridcore.forms import TIME_S_MAX

SPEED_MAX = 86_400
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # what a terminal obeys, lines and tabs apart
_WHOLE = re.compile(r"-?[0-9]{1,19}")  # int() refuses longer texts in words of its own


class Actions(Protocol):
    """The actions of a command, to which ``declare(actions)`` of a module adds those that it does."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser:  # noqa: A002 - as argparse calls it
        """Add an action; ``help`` is its line in the command's help. Return the parser that its arguments go to."""
        ...


def add_actions(parser: argparse.ArgumentParser) -> Actions:
    """Have a command ask for one of its actions, ``args.action``."""
    return parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")


def print_result(args: argparse.Namespace, result: Mapping[str, object], text: str) -> None:
    """Print ``result`` as one JSON object under ``--json``, else ``text`` (nothing when that is empty).

    A text may repeat what others wrote on a ledger: control characters are shown escaped.
    """
    if args.json:
        print(json.dumps(result, ensure_ascii=False), flush=True)
    elif text:
        print(_CONTROL.sub(lambda found: repr(found[0])[1:-1], text), flush=True)


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return an argparse ``type`` for whole numbers from ``low`` to ``high``."""

    def parse(text: str) -> int:
        number = whole_or_none(text, low, high)
        if number is None:
            raise argparse.ArgumentTypeError(f"{excerpt(text)} is not a whole number from {low} to {high}")
        return number

    return parse


def whole_or_none(text: str, low: int, high: int) -> int | None:
    """The number that ``text`` writes in decimal digits, or None: it writes none, or one outside ``low`` to ``high``."""
    if not _WHOLE.fullmatch(text):
        return None
    return number if low <= (number := int(text)) <= high else None


def add_speed_argument(parser: argparse.ArgumentParser) -> None:
    """Declare ``speed``: simulated seconds in one second at most, None for no limit."""
    parser.add_argument(
        "--speed",
        type=_speed,
        metavar="max|real|N",
        help="N: so many simulated seconds in one second; real: 1; max: as fast as it goes (default)",
    )


def _speed(text: str) -> int | None:
    words = {"max": None, "real": 1}
    if text in words:
        return words[text]
    try:
        return whole_number(1, SPEED_MAX)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, nor max or real") from None


def instant(text: str) -> int:
    """An argparse ``type``: UTC seconds of an ISO 8601 time with its offset."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{excerpt(text)} is no time with an offset; write 2026-07-01T00:00:00+08:00")
    time_s = int(time.timestamp())
    if not 0 <= time_s <= TIME_S_MAX:
        raise argparse.ArgumentTypeError(f"{excerpt(text)}: 1970-01-01T00:00:00Z to 9999-12-31T23:59:59Z")
    return time_s


def add_acting_arguments(parser: argparse.ArgumentParser, who: str) -> None:
    """Declare a node and who signs for it: ``url``, ``signer``, ``key``, ``password``. who: what ``--help`` says of the signer."""
    parser.add_argument("--url", required=True, metavar="URL", help="a running node, http://HOST:PORT")
    parser.add_argument("--signer", required=True, metavar="ID", help=who)
    parser.add_argument("--key", required=True, metavar="URI", help="that signer's key, file:KEYSTORE")
    parser.add_argument("--password", required=True, metavar="URI", help="of the key: file:PATH or env:NAME")


def print_progress(line: str) -> None:
    """Overwrite one line on a terminal's stderr; print nothing into a pipe. An empty ``line`` clears it."""
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)


LANGUAGES = ("en", "zh_CN")
"""Of the words that commands print."""


def add_language_argument(parser: argparse.ArgumentParser) -> None:
    """Declare ``--language``; ``language_of`` says which it is."""
    parser.add_argument("--language", choices=LANGUAGES, help="of the words (of the environment)")


def language_of(args: argparse.Namespace) -> str:
    """The language that was asked for, else that of the environment."""
    named = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return args.language or ("zh_CN" if named.startswith("zh") else "en")
