"""The example under each command's help is of that command, and can be typed as it stands."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator

import pytest

from gridledger.cli import COMMANDS, build_parser


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and all below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in dict.fromkeys(action.choices.values()):
                yield from parsers(inner)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_ends_with_an_example_of_its_own_command_that_the_command_takes(name: str) -> None:
    parser, _ = build_parser(name)
    found = list(parsers(parser))
    assert parser in found
    for one in found:
        head, _, example = (one.epilog or "").partition("\n")
        assert head == "example:", one.prog
        assert example.strip().startswith(one.prog), one.prog
        for step in example.split("&&"):
            words = shlex.split(step.partition(" > ")[0])
            assert words[:2] == ["gridledger", name], one.prog
            parser.parse_args(words[2:])  # UsageError where it would be refused
