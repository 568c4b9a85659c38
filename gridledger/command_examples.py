"""The example at the end of a command's help: its module's own where that is of this very command, else what the command needs.

Every example can be typed as it stands: a test parses each with the parser under which it is shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Final

SAMPLES: Final[Mapping[str, str]] = {
    "--accounts": "accounts.csv",
    "--area": "A1",
    "--book": "book",
    "--context": "village-0123456789abcdef",
    "--counter": "1",
    "--data": "ledger",
    "--date": "2026-07-03",
    "--days": "365",
    "--file": "people.db",
    "--from": "1781971200",
    "--from-s": "1781971200",
    "--gateway": "gw-1",
    "--genesis": "genesis.cbor",
    "--height": "1",
    "--issuer": "utility",
    "--key": "file:keys/admin.pem",
    "--lost": "north",
    "--month": "2026-06",
    "--movements": "bank-2026-07.csv",
    "--name": "north",
    "--organisation": "north",
    "--out": "out",
    "--party": "H001",
    "--password": "file:keys/admin.password",
    "--password-file": "admin.password",
    "--profile": "eastron_sdm630",
    "--public-key": "04" + 128 * "0",
    "--rules": "rules.toml",
    "--seed": "7",
    "--signer": "admin",
    "--slot": "1781971200",
    "--state": "light.state",
    "--statement": "statement.txt",
    "--trust": "trust.json",
    "--until": "1782057600",
    "--url": "http://127.0.0.1:7070",
}
"""Values of options by their name."""
CONFIGS: Final[Mapping[str, str]] = {
    "consortium": "consortium.toml",
    "edge": "edge.toml",
    "node": "node.toml",
    "serve": "web.toml",
}
"""What a command's ``--config`` names."""
PLACES: Final[Mapping[str, str]] = {
    "ADDRESS": "tcp://192.168.1.10:502",
    "DIR": "folder",
    "FILE": "file.toml",
    "ID": "1",
    "NAME": "name",
}
"""Values of arguments without a name, and of other options, by what stands for them in the usage."""


def example_of(parser: argparse.ArgumentParser, own: str) -> str:
    """The example of a parser; ``own``: that of the command's module, perhaps of several steps."""
    steps = [step.strip() for step in own.split("&&")]
    for step in steps:
        if f"{step} ".startswith(f"{parser.prog} "):
            return own if step is steps[0] and len(steps) == 1 else step
    return " ".join([parser.prog, *_needed(parser)])


def _needed(parser: argparse.ArgumentParser) -> Iterator[str]:
    """What cannot be left out, with a value each."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to list them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            name, inner = next(iter(action.choices.items()))
            yield name
            yield from _needed(inner)
        elif action.option_strings and action.required:
            yield action.option_strings[-1]
            yield from _value(action, parser)
        elif not action.option_strings and action.nargs not in ("?", "*"):
            yield from _value(action, parser)
    for group in parser._mutually_exclusive_groups:  # noqa: SLF001 - as above
        if group.required:
            yield group._group_actions[0].option_strings[-1]  # noqa: SLF001
            yield from _value(group._group_actions[0], parser)  # noqa: SLF001


def _value(action: argparse.Action, parser: argparse.ArgumentParser) -> Iterator[str]:
    if action.nargs == 0:
        return
    if action.choices is not None:
        yield str(next(iter(action.choices)))
        return
    name = next((option for option in action.option_strings if option in SAMPLES), "")
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if "--config" in action.option_strings:
        yield CONFIGS.get(parser.prog.split()[1], "config.toml")
    else:
        yield SAMPLES.get(name) or PLACES.get(metavar, metavar)
