"""``gridledger config``: check a configuration file before a process meets it, or show what it means with all defaults."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from gridledger.commands import add_actions, print_result
from gridledger.toml_text import toml_lines

EXAMPLE = "gridledger config check edge edge.toml"

# Kind of process -> where its configuration type lives; imported only when asked for.
CONFIG_TYPES = {
    "edge": "edge.config:EdgeConfig",
    "node": "ledger.config:NodeConfig",
    "web": "gridledger.serving:ServeConfig",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``check KIND FILE`` and ``show KIND FILE``."""
    actions = add_actions(parser)
    for name, summary in (
        ("check", "is the file usable, down to the secrets it refers to"),
        ("show", "the file with all defaults filled in, paths made absolute"),
    ):
        action = actions.add_parser(name, help=summary)
        action.add_argument("kind", choices=sorted(CONFIG_TYPES), help="the process that reads the file")
        action.add_argument("file", type=Path, metavar="FILE", help="a TOML file")


def run(args: argparse.Namespace) -> int:
    """Check or show; a file that cannot be used is a UsageError."""
    from gridcore.config import as_table, load_config, secret_references
    from gridcore.secrets import read_secret

    config: object = load_config(args.file, config_type(args.kind))
    if args.action == "show":
        table = as_table(resolved(config))
        print_result(args, {"kind": args.kind, "file": str(args.file), "config": table}, "\n".join(toml_lines(table)))
        return 0
    if args.kind == "edge":
        from edge.parts import check_agent
        from gridledger import __version__

        check_agent(args.file, __version__)
    elif args.kind == "web":
        from gridledger.serving import check_file

        check_file(args.file)
    else:
        from ledger.config import NodeConfig, check_node

        for reference in secret_references(config):
            read_secret(reference)
        if isinstance(config, NodeConfig):
            check_node(config)
    print_result(
        args,
        {"kind": args.kind, "file": str(args.file), "ok": True},
        f"{args.file}: usable as {args.kind} configuration",
    )
    return 0


def config_type(kind: str) -> type:
    """Return the configuration dataclass of a ``kind`` of process (a key of CONFIG_TYPES)."""
    module, _, name = CONFIG_TYPES[kind].partition(":")
    return cast("type", getattr(importlib.import_module(module), name))


def resolved(value: Any) -> Any:
    """Return a configuration with every path, also in ``file:`` references, absolute and without ``..``."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {
            field.name: _resolved_field(getattr(value, field.name), field) for field in dataclasses.fields(value)
        }
        return dataclasses.replace(value, **changes)
    if isinstance(value, tuple):
        return tuple(resolved(item) for item in value)
    if isinstance(value, Mapping):
        return {key: resolved(item) for key, item in value.items()}
    return value.resolve() if isinstance(value, Path) else value


def _resolved_field(value: Any, field: dataclasses.Field[Any]) -> Any:
    is_reference = field.metadata.get("secret") or field.metadata.get("schemes")
    if is_reference and isinstance(value, str) and value.startswith("file:"):
        return f"file:{Path(value.removeprefix('file:')).resolve()}"
    return resolved(value)
