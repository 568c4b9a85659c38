"""``gridledger evidence``: write the proof of a bill line as a bundle, from a running node or from a node's data directory."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gridcore.errors import UsageError, excerpt
from gridledger.commands import add_actions, print_result, whole_number

if TYPE_CHECKING:
    from gridcore.sm import Signer

EXAMPLE = "gridledger evidence export --data demo-7-1/ledger --party H001 --slot 1781971200 --line levy --out line.evd"
_LAST_SLOT_S = 253_402_300_799


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``export`` and where it takes the line from."""
    actions = add_actions(parser)
    export = actions.add_parser("export", help="write one bill line's bundle")
    where = export.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, metavar="DIR", help="data directory of a node that does not run")
    export.add_argument("--guard", type=Path, metavar="FILE", help="that node's guard, where it lies outside --data")
    where.add_argument(
        "--url", metavar="URL", help="a running node, http://HOST:PORT; needs --signer, --key, --password"
    )
    export.add_argument(
        "--signer", metavar="ID", help="who asks: the party itself, or a utility, regulator, administrator"
    )
    export.add_argument("--key", metavar="URI", help="that signer's key, file:KEYSTORE")
    export.add_argument("--password", metavar="URI", help="reference to the keystore's password: file:PATH or env:NAME")
    export.add_argument("--party", required=True, metavar="ID", help="whose bill")
    export.add_argument(
        "--slot", required=True, type=whole_number(0, _LAST_SLOT_S), metavar="S", help="slot start, UTC seconds"
    )
    export.add_argument(
        "--line", required=True, metavar="KIND", help="trade_buy, trade_sell, residual_import, levy ..."
    )
    export.add_argument("--point", metavar="ID", help="which of the party's points (the first that has the line)")
    export.add_argument("--run", dest="run_name", metavar="NAME", help="settlement run (the last one)")
    export.add_argument("--out", required=True, type=Path, metavar="FILE", help="the bundle to write (.evd)")
    export.add_argument("--book", type=Path, metavar="FILE", help="also write the slot's anonymous order book")


def run(args: argparse.Namespace) -> int:
    """Export one line."""
    from gridevidence.export import first_change

    _check_line_kind(args.line)
    bundle, book = _from_directory(args) if args.data else _from_node(args)
    _write({args.out: bundle} | ({args.book: book} if args.book else {}))
    result: dict[str, str | int | None] = {"out": str(args.out), "bytes": len(bundle)}
    text = f"{args.out}: {len(bundle)} bytes; check it: gridledger verify {args.out} --trust trust.json"
    result["signers_since"] = since = first_change(bundle)
    if args.book:
        result["book"] = str(args.book)
        text += f" --with-book {args.book}"
    if since is not None:
        text += f"\nIts signers changed: trust.json names the set that certified header {since}, or a later one."
    print_result(args, result, text)
    return 0


def _write(files: Mapping[Path, bytes]) -> None:
    """Write all, or leave none of them. OSError where one cannot be written."""
    begun: list[Path] = []
    try:
        for path, data in files.items():
            begun.append(path)
            path.write_bytes(data)
    except OSError:
        for path in begun:
            if path.is_file():  # no device, such as /dev/stdout
                path.unlink()
        raise


def _check_line_kind(line_kind: str) -> None:
    """UsageError for a kind of line that no bill has."""
    from settlement.catalogue import CONTRACTS

    kinds = list(dict.fromkeys(kind.kind for contract in CONTRACTS.values() for kind in contract.line_kinds))
    if line_kind not in kinds:
        near = difflib.get_close_matches(line_kind, kinds, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise UsageError(f"--line {excerpt(line_kind)}: is no kind of line; {hint}kinds: {', '.join(kinds)}")


def _from_directory(args: argparse.Namespace) -> tuple[bytes, bytes]:
    from gridcore.registry.party import PARTY
    from ledger.evidence import build_book, build_bundle
    from ledger.store.offline import reading
    from settlement.catalogue import CONTRACTS

    with reading(args.data, CONTRACTS, args.guard) as reader:
        bundle = build_bundle(
            reader,
            CONTRACTS,
            party=args.party,
            slot_start_s=args.slot,
            line_kind=args.line,
            run=args.run_name,
            point=args.point,
        )
        party = reader.in_force(PARTY, args.party, args.slot)
        return bundle, build_book(reader, party.area, args.slot) if args.book and party is not None else b""


def _from_node(args: argparse.Namespace) -> tuple[bytes, bytes]:
    from ledger.client import Client, run_with_client

    line = {"party": args.party, "slot_start_s": args.slot, "line_kind": args.line}
    line |= {"run": args.run_name} if args.run_name else {}
    line |= {"point": args.point} if args.point else {}

    async def fetch(client: Client) -> tuple[bytes, bytes]:
        bundle = await client.fetch_bytes("evidence", **line)
        if not args.book:
            return bundle, b""
        return bundle, await client.fetch_bytes("book", area=_area_of(bundle, args.url), slot=args.slot)

    return run_with_client(args.url, fetch, signer_id=args.signer, signer=_open_signer(args))


def _area_of(bundle: bytes, url: str) -> str:
    """The area that a node's bundle is about. GridError for bytes that are no bundle: what answers at ``url`` is no node."""
    from gridcore import cbor
    from gridcore.errors import EncodingError, GridError
    from gridcore.registry.area import AREA
    from gridcore.registry.entities import entity_of
    from gridcore.registry.row import decode_row

    try:
        entity, name = entity_of(decode_row(cbor.decode(bundle)["area"]["row"]).key) or (None, "")
    except (EncodingError, LookupError, TypeError):
        entity, name = None, ""
    if entity is not AREA:
        raise GridError(f"{url}: does not answer like a GridLedger node: a bundle that cannot be decoded")
    return name


def _open_signer(args: argparse.Namespace) -> Signer:
    from gridcore.signers import open_signer

    if not (args.signer and args.key and args.password):
        raise UsageError(
            "gridledger evidence export: --url needs --signer, --key and --password: a node answers whom it knows"
        )
    return open_signer(args.key, args.password, origin="--key")
