"""The file that the founders of a consortium agree on: the chain, and its members (``members.toml`` explains their keys)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from edge.meters import check_unique
from gridcore import cbor
from gridcore.config import as_table, decode_config
from gridcore.envelope import NAME
from gridcore.errors import UsageError
from gridcore.registry.organisation import ROLES
from gridcore.serving.ports import HOST, free_port
from gridcore.sm3 import sm3
from gridcore.validator import POWER_MAX
from gridledger.founding.config import EXAMPLE, PAGES_PORT_DEFAULT, ChainConfig, ListenConfig
from gridledger.toml_text import toml_lines
from ledger.config import PORT_DEFAULT, RPC_PORT_DEFAULT

MEMBERS_MAX: Final = 64
NAME_LENGTH_MAX: Final = 34
"""Of a chain: the engine's chain ids have at most 50 characters, 16 of ours are digits."""
PEER_PORT_DEFAULT: Final = 26_656
_MEMBERS_EXAMPLE: Final = Path(__file__).with_name("members.toml")
_PORT: Final = {"min": 1, "max": 65_535}
_USUAL: Final = (
    ("grid", "Grid company"),
    ("retailer", "Retailer"),
    ("aggregator", "Aggregator"),
    ("regulator", "Regulator"),
)
"""Members of a consortium that nobody described."""
_MEMBER_ROLES: Final = ("administrator", "clock", "regulator")
_UTILITY_ROLES: Final = ("gateway", "prosumer", "utility")


@dataclass(frozen=True)
class MemberConfig:
    """One organisation with a validator. ``roles``: what else its signers may be; ``host``: where its peers find it."""

    name: str = field(metadata={"min": 1, "max": 40})
    title: str = field(metadata={"min": 1, "max": 200})
    utility: bool = False
    roles: tuple[str, ...] = field(default=(), metadata={"choices": ROLES})
    power: int = field(default=1, metadata={"min": 1, "max": POWER_MAX})
    host: str = field(default=HOST, metadata={"min": 1, "max": 255})
    peer_port: int = field(default=PEER_PORT_DEFAULT, metadata=_PORT)
    node_port: int = field(default=PORT_DEFAULT, metadata=_PORT)
    pages_port: int = field(default=PAGES_PORT_DEFAULT, metadata=_PORT)
    rpc_port: int = field(default=RPC_PORT_DEFAULT, metadata=_PORT)
    gateways_port: int | None = field(default=None, metadata=_PORT)
    """Of the utility: gateways reach its node here by mutual TLS, at ``host``; absent: at ``node_port``, without TLS."""

    def __post_init__(self) -> None:
        """UsageError for a name that is no name of the ledger, and for a door for gateways of a member that has none."""
        if self.gateways_port is not None and not self.utility:
            raise UsageError(
                f"member {self.name!r}: gateways_port goes with utility = true; the gateways are the utility's"
            )
        if not NAME.fullmatch(self.name):
            raise UsageError(f"name = {self.name!r}: letters, digits, '.', '_' and '-' alone")

    @property
    def allowed_roles(self) -> list[str]:
        """Roles that its signers may have."""
        return sorted({*_MEMBER_ROLES, *(_UTILITY_ROLES if self.utility else ()), *self.roles})

    @property
    def listen(self) -> ListenConfig:
        """Where its node and pages answer: on its own machine alone, until its operator puts TLS before them."""
        return ListenConfig(HOST, self.node_port, self.pages_port, gateways_port=self.gateways_port)

    @property
    def address(self) -> str:
        """Where its peers find it."""
        return f"{self.host}:{self.peer_port}"


@dataclass(frozen=True)
class ConsortiumThresholds:
    """How many organisations approve a change; None: more than half of them."""

    contract: int | None = None
    protocol: int | None = None
    registry: int = 1
    signers: int | None = None


@dataclass(frozen=True)
class ConsortiumConfig(ChainConfig):
    """A chain of several organisations. Exactly one is the utility: points, gateways and parties are its."""

    members: tuple[MemberConfig, ...] = field(default=(), metadata={"min": 1, "max": MEMBERS_MAX})
    thresholds: ConsortiumThresholds = field(default_factory=ConsortiumThresholds)

    def __post_init__(self) -> None:
        """Names and addresses that must differ, and one utility. UsageError names the key."""
        if not self.members:
            raise UsageError("members is missing; give a table [[members]] for each organisation")
        if len(self.name) > NAME_LENGTH_MAX:
            raise UsageError(f"name = {self.name!r} is too long; the engine leaves {NAME_LENGTH_MAX} characters")
        check_unique("members: name", [member.name for member in self.members])
        check_unique("members: host and peer_port", [member.address for member in self.members])
        if sum(member.utility for member in self.members) != 1:
            raise UsageError("members: exactly one has utility = true, the one that owns points and gateways")
        self.check_names(name for member in self.members for name in self.signer_roles(member))

    @property
    def utility(self) -> MemberConfig:
        """The member that owns points and gateways."""
        return next(member for member in self.members if member.utility)

    @property
    def is_on_one_machine(self) -> bool:
        """Whether all members find one another on this machine."""
        return all(member.host == HOST for member in self.members)

    @property
    def digest(self) -> bytes:
        """What every founder signs: SM3 of the file's content, whatever its layout and comments."""
        return sm3(cbor.encode(as_table(self)))

    def member(self, name: str) -> MemberConfig:
        """The member of that name; UsageError naming those that there are."""
        for member in self.members:
            if member.name == name:
                return member
        names = ", ".join(member.name for member in self.members)
        raise UsageError(f"{name!r} is no member of this consortium; its members are {names}")

    def signer_roles(self, member: MemberConfig) -> Mapping[str, list[str]]:
        """Signers of a member by id, without gateways and parties, with their roles."""
        return {
            f"{member.name}-administrator": ["administrator", "utility"] if member.utility else ["administrator"],
            f"{member.name}-clock": ["clock"],
            f"{member.name}-web": ["regulator"],
        }

    def all_signer_roles(self, member: MemberConfig) -> Mapping[str, list[str]]:
        """The same with gateways and the parties that trade, where the member is the utility."""
        roles = dict(self.signer_roles(member))
        if member.utility:
            roles |= {name: ["gateway"] for name in self.gateway_names} | {
                name: ["prosumer"] for name in self.traders()
            }
        return roles


def example_text() -> str:
    """A commented file: the chain of ``genesis new --example`` between four members."""
    chain = re.sub(r"\[listen\].*?\n\n", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.DOTALL)
    chain = chain.partition("\n\n")[2]  # its head speaks of one utility
    head, _, members = _MEMBERS_EXAMPLE.read_text(encoding="utf-8").partition("\n\n")
    return f"{head}\n\n{chain}\n{members}"


def usual_config(organisations: int) -> ConsortiumConfig:
    """The chain of the example between so many members on this machine, on ports that are free now."""
    example = decode_config(example_text().encode(), ConsortiumConfig, EXAMPLE)
    names = [
        *_USUAL,
        *((f"member-{number}", f"Member {number}") for number in range(len(_USUAL) + 1, organisations + 1)),
    ]
    members = tuple(
        MemberConfig(
            name=name,
            title=title,
            utility=number == 0,
            peer_port=free_port(),
            node_port=free_port(),
            pages_port=free_port(),
            rpc_port=free_port(),
        )
        for number, (name, title) in enumerate(names[:organisations])
    )
    return replace(example, members=members)


def to_text(config: ConsortiumConfig) -> str:
    """The file of a configuration, without comments."""
    return "\n".join(toml_lines(as_table(config))) + "\n"
