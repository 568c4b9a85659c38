"""The one executable, ``gridledger``: finds the command, parses its arguments, turns errors into one line and an exit status.

Exit status: 0 success, 1 a negative answer, 2 bad usage or bad input, 3 cannot be decided; beyond those 70 for a fault of our own
(with its traceback), 130 after Ctrl-C, 141 when the reader of our output went away. ``gridledger.commands`` says how to add a command.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Protocol, cast

from gridcore.errors import GridError, UsageError, excerpt
from gridledger.command_examples import example_of

# Name -> the line that `gridledger --help` shows. The module is gridledger.commands.<name>, imported only when it is called.
COMMANDS = {
    "demo": "the whole system on one machine, on simulated meters",
    "genesis": "found a chain: its genesis, keys and configuration files",
    "consortium": "several organisations: found a chain, join, rejoin or recover it, run and watch its nodes, propose and vote",
    "node": "make, run and check a ledger node; archive, prune and restore what it keeps; who did what",
    "edge": "run and check the agent on a gateway; ask its meters, make and enrol its key",
    "profiles": "list and check profiles of meters; make and check signed bundles of them",
    "registry": "show what is registered, register what a file says, move households and suppliers",
    "certificate": "an organisation's certificate authority, and certificates of its signers' keys",
    "sealed": "seal a file for named recipients, and open one",
    "metering": "answer for a register, or for the energy of slots, in place of readings",
    "settle": "settle a folder of files; documents, balances and certificates of a ledger; explain, make again, compare",
    "order": "place orders and standing rules out of a file, withdraw and list them",
    "dispute": "contest a bill line, answer for it, decide and withdraw",
    "payment": "record what was paid for a point, or given up, and list it",
    "simulate": "run a simulated grid out of a scenario file; nodes of a consortium under faults",
    "watch": "rules of the risk monitor over a ledger, and how well they find fraud",
    "serve": "serve the pages, and keep their users",
    "people": "keep who stands behind the pseudonyms of the ledger, and erase them",
    "evidence": "export the proof of a bill line as a bundle",
    "verify": "check a bundle offline against a trust root",
    "light": "follow the certificates of nodes without trusting them",
    "vectors": "run conformance cases from a folder",
    "bench": "list or run benchmarks",
    "config": "check or show a configuration file",
    "doctor": "say what this machine has and lacks",
}

EXIT_BAD_INPUT = 2
EXIT_OUR_FAULT = 70
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141
LINE_CHARACTERS_MAX = 2_000
"""Of the line that says what is wrong; what is right stands at its end."""
ARGUMENT_CHARACTERS_MAX = 250
"""Of an argument that the line repeats."""

_SPACES = "\u00a0\u3000"
"""Of names in Chinese and French: Python calls them not printable, a terminal shows them."""

_PROGRAM = "gridledger"
_OUR_PACKAGES = ("edge", "ledger", "settlement", "simulators", "firmware_profiles", "benchmarks")
_LEVELS = ("debug", "info", "warning", "error")
_EXAMPLE = "gridledger demo --headless --days 1 --households 12 --seed 7"


class Command(Protocol):
    """What a module in ``gridledger.commands`` offers (LOG_LEVEL is optional, default "warning")."""

    EXAMPLE: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare arguments or sub-parsers; ``--json`` and ``--log-level`` are added for you."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it and return the exit status."""
        ...


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line; sub-parsers inherit it."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: this process's) and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if sys.stderr is None:  # started with it closed: what would be said there goes nowhere
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for the life of the process
    try:
        status = _run(words)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except UsageError as error:
        return _fail(error, cast("int", getattr(error, "exit_status", EXIT_BAD_INPUT)), words)
    except GridError as error:
        return _fail(error, cast("int", getattr(error, "exit_status", 1)), words)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _drop_stdout()
        return EXIT_PIPE_CLOSED
    except ModuleNotFoundError as error:
        return _fail_missing(error, words)
    except OSError as error:  # a file or port that the command did not foresee: still the user's to mend
        where = f"{error.filename}: " if error.filename else ""
        return _fail(UsageError(f"{_PROGRAM}: {where}{error.strerror or error}"), EXIT_BAD_INPUT, words)
    except SystemExit as stop:  # argparse after --help
        return stop.code if isinstance(stop.code, int) else 0
    except BaseException:  # noqa: BLE001 - the last line of defence, broken promises of contracts included: our fault
        return _fail_ourselves(words)


def build_parser(name: str) -> tuple[argparse.ArgumentParser, Command]:
    """Return the parser and the module of command ``name``; UsageError with the nearest name when there is none."""
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"commands: {' '.join(COMMANDS)}"
        raise UsageError(f"{_PROGRAM}: '{name}' is not a command; {hint}")
    command = cast("Command", importlib.import_module(f"gridledger.commands.{name}"))
    parser = _Parser(
        prog=f"{_PROGRAM} {name}",
        description=COMMANDS[name][0].upper() + COMMANDS[name][1:] + ".",
        epilog=f"example:\n  {command.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    _add_common(parser, command, None)
    return parser, command


def _check_words(words: Sequence[str]) -> None:
    """UsageError for an argument that is empty, as a variable of a shell that is not set, or whose bytes are no text.

    An empty path would be the folder one is in, an empty name a name that was not given. Other bytes than text can be neither printed nor
    written into a file.
    """
    for position, word in enumerate(words):
        option, mark, value = word.partition("=")
        is_option = word.startswith("--")
        if not word or (is_option and mark and not value):
            before = words[position - 1] if position else ""
            name = option if is_option else before if before.startswith("--") else f"argument {position + 1}"
            raise UsageError(f"{_PROGRAM}: {name}: is empty; give a value, or leave it out")
        if any("\udc80" <= sign <= "\udcff" for sign in word):
            encoding = sys.getfilesystemencoding()
            raise UsageError(
                f"{_PROGRAM}: argument {excerpt(word)}: is not in {encoding}; write texts, and name files, in {encoding}"
            )


def _run(words: list[str]) -> int:
    _check_words(words)
    rest = list(words)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word in ("-h", "--help"):
            print(_help())
            return 0
        if word == "--version":
            from gridledger import __version__

            print(f"{_PROGRAM} {__version__}")
            return 0
        if word != "--json":
            raise UsageError(f"{_PROGRAM}: unknown option {word} (see {_PROGRAM} --help)")
    if not rest:
        print(_help(), file=sys.stderr)
        return EXIT_BAD_INPUT
    parser, command = build_parser(rest[0])
    args = parser.parse_args(rest[1:])
    args.json = "--json" in words
    from gridcore.logs import configure_logs

    level = args.log_level or os.environ.get("GRIDLEDGER_LOG_LEVEL") or getattr(command, "LOG_LEVEL", "warning")
    if level not in _LEVELS:
        raise UsageError(f"GRIDLEDGER_LOG_LEVEL={level}: choose from {' '.join(_LEVELS)}")
    configure_logs(json=args.json or not sys.stderr.isatty(), level=level)
    return command.run(args)


def _add_common(parser: argparse.ArgumentParser, command: Command, default: object) -> None:
    """Give ``parser`` and all its sub-parsers the options and the example that every command has."""
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, logs on stderr")
    parser.add_argument("--log-level", choices=_LEVELS, default=default, metavar="LEVEL", help=" ".join(_LEVELS))
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to list sub-parsers
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for inner in action.choices.values():
                inner.formatter_class = argparse.RawDescriptionHelpFormatter
                inner.epilog = inner.epilog or f"example:\n  {example_of(inner, command.EXAMPLE)}"
                inner.allow_abbrev = False
                _add_common(inner, command, argparse.SUPPRESS)  # absent there must not undo what was given before


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {_PROGRAM} [--version] [--help] COMMAND ...",
            "",
            "Energy trading and metering on a consortium ledger; every line of a bill can be checked by a stranger, offline.",
            "",
            *lines,
            "",
            f"'{_PROGRAM} COMMAND --help' says more. Every command takes --json.",
            "",
            "example:",
            f"  {_EXAMPLE}",
        ]
    )


def _fail(error: GridError, status: int, words: Sequence[str]) -> int:
    line = " ".join(_with_short_arguments(str(error), words).split("\n"))
    line = _cut(_printable(line), LINE_CHARACTERS_MAX) or type(error).__name__
    try:
        if "--json" in words:
            print(json.dumps({"error": line}, ensure_ascii=False), flush=True)
        print(line, file=sys.stderr, flush=True)
    except OSError:  # nobody reads, or the disk behind it is full: the status still says what happened
        _drop_stdout()
    return status


def _with_short_arguments(line: str, words: Sequence[str]) -> str:
    """``line`` with every argument that it repeats cut to ARGUMENT_CHARACTERS_MAX characters."""
    for word in words:
        for text in (word, word.partition("=")[2]):
            if len(text) > ARGUMENT_CHARACTERS_MAX:
                line = line.replace(text, _cut(text, ARGUMENT_CHARACTERS_MAX))
    return line


def _cut(text: str, characters_max: int) -> str:
    """``text``, without its middle where it has more than ``characters_max`` characters (an even number)."""
    half = characters_max // 2
    return text if len(text) <= characters_max else f"{text[:half]}...{text[-half:]}"


def _printable(text: str) -> str:
    """``text`` with what a terminal would obey, or cannot show, escaped: a line may quote a file's bytes or an argument."""
    return "".join(sign if sign.isprintable() or sign in _SPACES else repr(sign)[1:-1] for sign in text)


def _fail_missing(error: ModuleNotFoundError, words: Sequence[str]) -> int:
    """A library of an extra that is not installed is the user's to mend; a module of ours that is not there is not."""
    package = (error.name or "").partition(".")[0]
    if not package or package.startswith("grid") or package in _OUR_PACKAGES:
        return _fail_ourselves(words)
    line = f"{_PROGRAM}: the library '{package}' is not installed; install the part that needs it: pip install 'gridledger[EXTRA]'"
    return _fail(
        UsageError(f"{line} (EXTRA: edge, node, web or sim; '{_PROGRAM} doctor' shows which)"), EXIT_BAD_INPUT, words
    )


def _fail_ourselves(words: Sequence[str]) -> int:
    import traceback

    traceback.print_exc()
    line = f"{_PROGRAM}: fault in the program itself; please report the lines above"
    return _fail(GridError(line), EXIT_OUR_FAULT, words)


def _drop_stdout() -> None:
    """Point stdout to nowhere, so that the interpreter's last flush does not complain about the closed pipe."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
