"""What goes wrong in a simulation. Each fault begins at a moment and draws the rest from the seed; ``Simulation.heal`` ends them all."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from simulators.consensus.conduct import BadProposer, BadVoter, LyingServer, Silent, TwoFaced
from simulators.consensus.disk import Stroke
from simulators.consensus.messages import Evidence
from simulators.consensus.network import Weather

if TYPE_CHECKING:
    from simulators.consensus.node import Node
    from simulators.consensus.run import Simulation

STEPS_MAX: Final = 60
"""Steps of the disk that a node takes for a few blocks."""
JUMP_MS: Final = 3_600_000


def bad_weather(simulation: Simulation) -> None:
    """Messages are lost, doubled, late, and overtake one another."""
    rng = simulation.rng
    slowest_ms = rng.choice([50, 300, 1_500])
    simulation.network.weather = Weather((1, slowest_ms), rng.choice([0.01, 0.05, 0.3]), rng.choice([0.0, 0.2]))
    simulation.watch.note(f"network: {simulation.network.weather}")


def partition(simulation: Simulation) -> None:
    """Some are cut off: one, half of them, in one direction, or on and off."""
    rng, count = simulation.rng, len(simulation.nodes)
    some = rng.sample(range(count), rng.choice([1, 1, count // 2]))
    kind = rng.choice(["both ways", "one way", "flapping"])
    simulation.watch.note(f"network: {some} cut off, {kind}")
    if kind == "one way":
        simulation.network.cut(some, set(range(count)) - set(some))
    else:
        simulation.network.divide(some)
    if kind == "flapping":
        _flap(simulation, some, times=6)


def _flap(simulation: Simulation, some: list[int], times: int) -> None:
    def change() -> None:
        simulation.network.heal()
        if times % 2:
            simulation.network.divide(some)
        if times > 0:
            _flap(simulation, some, times - 1)

    simulation.during_faults(simulation.rng.randint(500, 3_000), change)


def crashes(simulation: Simulation) -> None:
    """Nodes end between any two steps of their disks, or in the middle of a write, again and again."""
    _strike(simulation, _draw_stroke(simulation, is_power_cut=False))


def power_cuts(simulation: Simulation) -> None:
    """The same, and what no fsync had made durable is gone."""
    _strike(simulation, _draw_stroke(simulation, is_power_cut=True))


def _draw_stroke(simulation: Simulation, *, is_power_cut: bool) -> Callable[[Node], Stroke]:
    rng = simulation.rng

    def draw(node: Node) -> Stroke:
        points, keeps_db = sorted(node.home.disk.reached), rng.random() < 0.5
        if points and rng.random() < 0.5:
            return Stroke(rng.randrange(3), rng.choice(points), is_power_cut=is_power_cut, keeps_db=keeps_db)
        is_torn = rng.random() < 0.5
        return Stroke(rng.randrange(STEPS_MAX), is_torn=is_torn, is_power_cut=is_power_cut, keeps_db=keeps_db)

    return draw


def _strike(simulation: Simulation, draw: Callable[[Node], Stroke]) -> None:
    node = simulation.rng.choice(simulation.nodes)
    node.home.disk.arm(draw(node))
    simulation.during_faults(simulation.rng.randint(500, 5_000), lambda: _strike(simulation, draw))


def all_at_once(simulation: Simulation) -> None:
    """Every node ends in the same instant."""
    for node in simulation.nodes:
        if node.is_up:
            node.end("all at once")


def full_disk(simulation: Simulation) -> None:
    """A disk takes nothing more for a while, or answers with an error."""
    rng = simulation.rng
    node = rng.choice(simulation.nodes)
    node.home.disk.refusal = rng.choice([errno.ENOSPC, errno.EIO, errno.EROFS])
    simulation.watch.note(f"node {node.number}: disk refuses, {errno.errorcode[node.home.disk.refusal]}")

    def heal() -> None:
        node.home.disk.refusal = None

    simulation.during_faults(rng.randint(2_000, 12_000), heal)


def wrong_clocks(simulation: Simulation) -> None:
    """A clock jumps by up to an hour, forwards or backwards; another one later."""
    rng = simulation.rng
    node = rng.choice(simulation.nodes)
    node.skew_ms = rng.choice([-JUMP_MS, -60_000, 5_000, JUMP_MS])
    simulation.watch.note(f"node {node.number}: clock wrong by {node.skew_ms} ms")
    simulation.during_faults(rng.randint(3_000, 15_000), lambda: wrong_clocks(simulation))


def slow_nodes(simulation: Simulation) -> None:
    """A node takes long for everything, as one that was paused; another one later."""
    rng = simulation.rng
    node = rng.choice(simulation.nodes)
    node.slowness_ms = rng.choice([0, 500, 5_000, 20_000])
    simulation.watch.note(f"node {node.number}: takes {node.slowness_ms} ms for each message")
    simulation.during_faults(rng.randint(3_000, 10_000), lambda: slow_nodes(simulation))


def bad_proposer(simulation: Simulation) -> None:
    """One validator proposes blocks that break the rules."""
    node = simulation.rng.choice(simulation.nodes)

    def foreign() -> bytes | None:
        return simulation.rng.choice([simulation.workload.wrong, simulation.workload.old])()

    def note(what: str) -> None:
        simulation.watch.note(f"node {node.number} {what}")

    node.conduct = BadProposer(simulation.rng, foreign, note)


def two_faces(simulation: Simulation) -> None:
    """One validator proposes two blocks for one round."""
    node = simulation.rng.choice(simulation.nodes)
    simulation.watch.note(f"node {node.number}: two proposals a round")
    node.conduct = TwoFaced()


def bad_voter(simulation: Simulation) -> None:
    """One validator sends false, old, foreign or far too long extensions."""
    node = simulation.rng.choice(simulation.nodes)
    simulation.watch.note(f"node {node.number}: bad extensions")
    node.conduct = BadVoter(simulation.rng, simulation.founding, node.home.validator.name)


def no_extensions(simulation: Simulation) -> None:
    """The signing modules of several validators do not answer: their extensions are empty."""
    for node in simulation.rng.sample(simulation.nodes, simulation.rng.randint(1, len(simulation.nodes))):
        node.conduct = Silent()


def equivocation(simulation: Simulation) -> None:
    """A validator is found to have voted twice in one round of a height."""
    witness = max(simulation.nodes, key=lambda node: node.disk.height)
    if not witness.disk.decisions:
        return
    block, members = witness.disk.decisions[-1].block, witness.disk.members[witness.disk.height - 1]
    member = simulation.rng.choice(members)
    total = sum(found.power for found in members)
    evidence = Evidence(member.address, member.power, block.height, block.time_ms, total)
    simulation.watch.note(f"{member.address.hex()} has voted twice at height {block.height}")
    for node in simulation.nodes:
        node.evidence.append(evidence)


def old_backup(simulation: Simulation) -> None:
    """A node is put back to an older copy of its folder, or to an empty one: all but the guard.

    Its engine goes back too only where the others can go on without this node, so that it never votes twice on a height.
    """
    rng = simulation.rng
    node, height = rng.choice(simulation.nodes), 0
    copy = simulation.folder / f"backup-{node.number}-{simulation.schedule.now_ms}"
    if rng.random() < 0.7:
        node.home.disk.copy(copy)
        height = node.disk.height
    wants_engine_too = rng.random() < 0.5

    def restore() -> None:
        if height > node.disk.height:
            return  # its disk was lost meanwhile: an engine without blocks takes none over from a ledger that has some
        is_engine_too = wants_engine_too and _is_dispensable(node)
        if node.is_up:
            node.end(f"put back to height {height}{' with its engine' if is_engine_too else ''}")
        node.home.put_back(copy)
        if is_engine_too:
            node.disk.forget(height)

    simulation.during_faults(rng.randint(3_000, 12_000), restore)


def _is_dispensable(node: Node) -> bool:
    """Whether the others can decide the next height without this node, which may have voted on it already."""
    powers = dict(node.disk.members[node.disk.height])
    rest = sum(powers.values()) - powers.get(node.home.address, 0)
    return 3 * rest > 2 * sum(powers.values())


def lost_disk(simulation: Simulation) -> None:
    """A disk is lost, with the guard and the engine's blocks: its node begins with a snapshot of the others, of whom one may lie.

    It may crash half way. Happens once there is a snapshot, and the others can go on without it.
    """
    rng = simulation.rng
    node = rng.choice(simulation.nodes)
    others = [other for other in simulation.nodes if other is not node]
    is_crashing, stroke = rng.random() < 0.5, Stroke(rng.randrange(STEPS_MAX), is_torn=rng.random() < 0.5)
    if others and rng.random() < 0.7:
        liar = rng.choice(others)
        liar.conduct = LyingServer(rng, lambda what: simulation.watch.note(f"node {liar.number} {what}"))

    def lose() -> None:
        offering = [other for other in others if other.conversation is not None and other.conversation.snapshots()]
        if len(offering) < 2 or not _is_dispensable(node):
            simulation.during_faults(1_000, lose)
            return
        if node.is_up:
            node.end("its disk is lost")
        node.home.lose()
        node.disk.forget(0)
        node.disk.is_joining = True
        if is_crashing:
            node.home.disk.arm(stroke)

    lose()


FAULTS: Final[Mapping[str, Callable[[Simulation], None]]] = {
    "bad weather": bad_weather,
    "partition": partition,
    "crashes": crashes,
    "power cuts": power_cuts,
    "all at once": all_at_once,
    "full disk": full_disk,
    "wrong clocks": wrong_clocks,
    "slow nodes": slow_nodes,
    "bad proposer": bad_proposer,
    "two faces": two_faces,
    "bad voter": bad_voter,
    "no extensions": no_extensions,
    "equivocation": equivocation,
    "old backup": old_backup,
    "lost disk": lost_disk,
}
