"""Those who are left of a consortium begin a new chain where the old one ended: the founding file for it (docs/operating/emergency-recovery.md).

Nothing is decided here, and nothing signed: nodes are asked, what they certify is compared, and a file is made that people read and sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gridcore.errors import UsageError
from gridcore.light.follow import follow
from gridcore.light.state import begin_with_trust
from gridcore.light.trusted import Trusted
from gridledger.founding.config import GatewayConfig, MeterConfig
from gridledger.founding.consortium_config import ConsortiumConfig
from ledger.client import Client


@dataclass(frozen=True)
class Recovery:
    """ended: the newest header of the old chain that any node shows, certified. config: of the new chain.

    by_hand: meters of which the old chain has no register where the new one begins: their first registers in ``config`` are the old file's.
    """

    ended: Trusted
    config: ConsortiumConfig
    by_hand: tuple[str, ...]


async def recover(config: ConsortiumConfig, lost: Sequence[str], trust: Path, nodes: Sequence[Client]) -> Recovery:
    """What goes on without ``lost``. nodes: of those who are left; the first one is asked for meters too, so its client signs.

    UsageError where there is nothing to recover or it cannot be done so, ForkError where two nodes have certified other headers.
    """
    _check_members(config, lost)
    ended = await _end_of_chain(trust, nodes)
    own = nodes[0]
    _check_lost(lost, await own.query("validators"))
    areas = list(dict.fromkeys(gateway.area for gateway in config.gateways))
    begins_s = int((await own.query(f"areas/{areas[0]}/progress"))["run_slot_start_s"])
    registers = {name: found for area in areas for name, found in (await _registers(own, area, begins_s)).items()}
    known = {meter.meter for gateway in config.gateways for meter in gateway.meters}
    if more := sorted(registers.keys() - known):
        raise UsageError(
            f"the registry has meters that the founding file does not: {', '.join(more)}; add their tables [[gateways.meters]] first"
        )
    return Recovery(
        ended,
        replace(
            config,
            members=tuple(member for member in config.members if member.name not in lost),
            timeline=replace(config.timeline, first_slot_start_s=begins_s),
            gateways=tuple(_goes_on(gateway, registers) for gateway in config.gateways),
        ),
        tuple(sorted(name for name in known if _shown(registers.get(name)) is None)),
    )


def _check_members(config: ConsortiumConfig, lost: Sequence[str]) -> None:
    left = [member for member in config.members if member.name not in {config.member(name).name for name in lost}]
    if not left:
        raise UsageError("--lost: nobody would be left")
    if config.utility not in left:
        raise UsageError(
            f"--lost {config.utility.name}: points and gateways are its; give another member utility = true in the founding file first"
        )
    for name, needed in vars(config.thresholds).items():
        if needed is not None and needed > len(left):
            raise UsageError(
                f"thresholds.{name} = {needed}: {len(left)} members are left; change the founding file first"
            )


async def _end_of_chain(trust: Path, nodes: Sequence[Client]) -> Trusted:
    """The newest certified header that any of the nodes shows, with all others in its history; the first node has it."""
    trusted = begin_with_trust(trust, "check --trust").trusted
    certified = {client: (await client.status()).certified_height for client in nodes}
    for client in sorted(nodes, key=lambda client: certified[client]):
        trusted = await follow(client, trusted)
    if certified[nodes[0]] < trusted.height:
        raise UsageError(
            f"{nodes[0].url}: has certified height {certified[nodes[0]]}, another node {trusted.height}; name that one first"
        )
    return trusted


def _check_lost(lost: Sequence[str], validators: Mapping[str, Any]) -> None:
    """UsageError where those who are left have more than two thirds of the power: they decide without anybody's help."""
    powers = [(one["organisation"], int(one["power"])) for one in validators["current"]]
    total, rest = sum(power for _, power in powers), sum(power for name, power in powers if name not in lost)
    if 3 * rest > 2 * total:
        raise UsageError(
            f"{rest} of {total} power are left, more than two thirds: this chain goes on; vote the others out (docs/governance.md)"
        )


async def _registers(node: Client, area: str, boundary_s: int) -> dict[str, Mapping[str, Any]]:
    """What a node has of each meter of an area at a boundary, by the meter's name."""
    found: dict[str, Mapping[str, Any]] = {}
    start: int | None = 0
    while start is not None:
        said = await node.query(f"areas/{area}/registers", boundary_s=boundary_s, start=start)
        found |= {one["meter"]: one for one in said["registers"]}
        start = said["next"]
    return found


def _goes_on(gateway: GatewayConfig, registers: Mapping[str, Mapping[str, Any]]) -> GatewayConfig:
    return replace(gateway, meters=tuple(_begins(meter, registers.get(meter.meter)) for meter in gateway.meters))


def _begins(meter: MeterConfig, found: Mapping[str, Any] | None) -> MeterConfig:
    """The meter with what it showed, before ``ratio``, as the first registers of the new chain."""
    shown = _shown(found)
    if shown is None:
        return meter
    import_wh, export_wh = (value // meter.ratio for value in shown)
    return replace(meter, first_import_wh=import_wh, first_export_wh=export_wh)


def _shown(found: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """Import and export, primary Wh, None where one of them is not known."""
    if found is None or found["import_wh"] is None or found["export_wh"] is None:
        return None
    return found["import_wh"], found["export_wh"]
