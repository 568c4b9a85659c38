"""An organisation joins a chain that runs: its folder, those of the others with it among their peers, and what is to be voted on.

Founding file and requests are those of the founding with a table and a request more. Nobody is asked for anything that is secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gridcore.errors import UsageError
from gridcore.files import read_bounded
from gridcore.genesis import GENESIS_BYTES_MAX, Genesis, decode_genesis
from gridledger.founding.consortium import Consortium, own_name, take_over
from gridledger.founding.consortium_config import ConsortiumConfig
from gridledger.founding.folder import write_new
from gridledger.founding.request import Request, load_request
from gridledger.toml_text import toml_lines

MEMBER_FILE = "member.toml"
VALIDATOR_FILE = "validator.toml"


def join(
    config: ConsortiumConfig, genesis_file: Path, paths: Sequence[Path], own: Path
) -> tuple[Genesis, str, list[Path]]:
    """Make ``own`` the folder of a member of this chain, with everybody of ``config`` as peers.

    Returns the genesis, whose folder it is, and for a member that genesis does not have the proposals to make: that it takes part, and
    its validator. UsageError naming the file, or the member without a request.
    """
    genesis = decode_genesis(read_bounded(genesis_file, GENESIS_BYTES_MAX, "name the genesis of the chain"))
    by_name = {request.name: request for request in map(load_request, paths)}
    missing = [member.name for member in config.members if member.name not in by_name]
    if missing:
        raise UsageError(
            f"gridledger consortium: requests are missing of {', '.join(missing)}; their founding has them"
        )
    requests = tuple(by_name[member.name] for member in config.members)
    consortium = Consortium(config, requests, genesis, first_slot_start_s=0)
    name = own_name(consortium, own)
    take_over(consortium, name, own)
    is_founder = name in {validator.organisation for validator in genesis.validators}
    return genesis, name, [] if is_founder else _write_proposals(config, by_name[name], own)


def _write_proposals(config: ConsortiumConfig, request: Request, own: Path) -> list[Path]:
    """The rows of the organisation and its signers, and of its validator: what the others propose and vote on."""
    member = config.member(request.name)
    organisation = {"name": member.name, "title": member.title, "roles": member.allowed_roles}
    signers = [
        {"name": signer, "organisation": member.name, "roles": list(roles), "public_key": request.signers[signer].hex()}
        for signer, roles in config.all_signer_roles(member).items()
    ]
    validator = {
        "name": member.name,
        "organisation": member.name,
        "power": member.power,
        "public_key": request.validator.hex(),
        "consensus_key": request.consensus_key.hex(),
    }
    tables: dict[str, dict[str, object]] = {
        MEMBER_FILE: {"organisation": [organisation], "signer": signers},
        VALIDATOR_FILE: {"validator": [validator]},
    }
    for name, table in tables.items():
        write_new(own / name, "\n".join(toml_lines(table)) + "\n")
    return [own / name for name in tables]
