"""One seed: a chain is founded, runs under load, meets its faults, is healed, must go on, and is checked.

simulate(7).violations    ()
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from simulators.consensus.conduct import Conduct
from simulators.consensus.faults import FAULTS
from simulators.consensus.founding import Founding
from simulators.consensus.home import Home
from simulators.consensus.invariants import Decided, decided_blocks, violations
from simulators.consensus.network import Network
from simulators.consensus.node import EngineDisk, Node
from simulators.consensus.quorum import QuorumWatch
from simulators.consensus.schedule import Schedule
from simulators.consensus.watch import Watch
from simulators.consensus.workload import Workload

CALM_MS: Final = 3_000
"""From the start to the first fault, at least."""
FAULTS_MS: Final = 20_000
"""From the start to the end of all faults."""
PROGRESS_MS: Final = 30_000
"""Within which every node goes on, once all faults have ended (I6)."""
DRAIN_MS: Final = 120_000
"""Within which then everything that was sent is decided and certified everywhere."""
LOOK_MS: Final = 500
JOINING: Final = "lost disk"
"""The fault after which a node begins with a snapshot; nodes make some where it comes."""
SNAPSHOT_BLOCKS: Final = 3
FAULTS_MAX: Final = 3


@dataclass(frozen=True)
class Report:
    """What a seed came to. faults: by name; simulated_s: virtual seconds; acknowledged: transactions with a receipt.

    violations: empty where every invariant held; journal: one line an event; blocks: as they were decided, from height 1.
    """

    seed: int
    organisations: int
    clock: str
    faults: tuple[str, ...]
    height: int
    acknowledged: int
    crashes: int
    rejected_proposals: int
    simulated_s: float
    violations: tuple[str, ...]
    journal: tuple[str, ...]
    founding: Founding
    blocks: tuple[Decided, ...]

    def without_blocks(self) -> Report:
        """The same, for somebody who does not look at them."""
        return replace(self, blocks=())

    def as_json(self) -> dict[str, Any]:
        """All but the chain and its blocks."""
        return {name: value for name, value in vars(self).items() if name not in ("founding", "blocks")}

    def text(self) -> str:
        """The journal, and what it comes to."""
        faults = ", ".join(self.faults) or "no faults"
        summary = (
            f"seed {self.seed}: {self.organisations} organisations, {self.clock} time, {faults}; height {self.height}, "
            f"{self.acknowledged} receipts, {self.crashes} ends of nodes, {self.rejected_proposals} proposals rejected"
        )
        return "\n".join([*self.journal, summary, "; ".join(self.violations) or "every invariant held"])


class Simulation:
    """All parts of a run. ``rng`` draws what goes wrong; founding, faults: drawn too where they are not given."""

    def __init__(
        self, seed: int, folder: Path, *, founding: Founding | None = None, faults: Sequence[str] | None = None
    ) -> None:
        self.rng = random.Random(f"faults {seed}")
        self.folder = folder
        self.founding = founding or draw_founding(random.Random(f"founding {seed}"))
        self.schedule = Schedule()
        self.watch = Watch(self.schedule)
        self.network = Network(self.schedule, random.Random(f"network {seed}"))
        drawn = self.rng.sample(sorted(FAULTS), self.rng.randint(0, FAULTS_MAX))
        self.faults = tuple(drawn if faults is None else faults)
        blocks = SNAPSHOT_BLOCKS if JOINING in self.faults else 0
        numbers = range(len(self.founding.powers))
        homes = [Home(self.founding, number, folder / f"node-{number}", blocks) for number in numbers]
        parts = self.schedule, self.network, self.watch, self._verified
        self.nodes = [Node(number, home, *parts) for number, home in enumerate(homes)]
        self.workload = Workload(self.founding, self.nodes, self.schedule, random.Random(f"workload {seed}"))
        self.blocks: tuple[Decided, ...] = ()
        """All blocks, once it has run."""
        self._quorum = QuorumWatch(self.nodes, self.network, self.watch)
        self._are_faults_over = False

    def during_faults(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Do ``action`` later, unless all faults have ended by then."""

        def act() -> None:
            if not self._are_faults_over:
                action()
                self._quorum.look(self.schedule.now_ms)

        self.schedule.after(delay_ms, act)

    def run(self) -> None:
        """From the first start to the last check; ``watch`` has what was found."""
        self.drive()
        self.close()

    def drive(self) -> None:
        """The same, and leave the nodes running."""
        self._look()
        for name in self.faults:
            begins_ms = self.rng.randint(CALM_MS, FAULTS_MS // 2)
            self.schedule.after(begins_ms, partial(self._begin, name))
        self.schedule.run(FAULTS_MS)
        self.heal()
        self._go_on()

    def close(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            if node.is_up:
                node.home.close()

    def heal(self) -> None:
        """End all faults."""
        self._are_faults_over = True
        self.watch.note("all faults end")
        self.network.heal()
        for node in self.nodes:
            node.conduct, node.skew_ms, node.slowness_ms = Conduct(), 0, 0
            node.home.disk.disarm()
            node.home.disk.refusal = None

    def _verified(self, height: int) -> EngineDisk | None:
        """What light clients have of the chain up to ``height``, once two blocks follow it."""
        return next((node.disk for node in self.nodes if node.disk.height >= height + 2), None)

    def _begin(self, name: str) -> None:
        self.watch.note(f"fault: {name}")
        FAULTS[name](self)

    def _go_on(self) -> None:
        """What must follow once all faults have ended; then what holds of everything that was kept."""
        height = max(node.disk.height for node in self.nodes)
        self.schedule.run(self.schedule.now_ms + PROGRESS_MS, lambda: self._lowest() >= height + 2)
        if self._lowest() < height + 2:
            heights = [node.disk.height for node in self.nodes]
            self.watch.violate(
                f"no progress within {PROGRESS_MS} ms after all faults: heights {heights}, then {height}"
            )
        self.workload.is_open = False
        self.schedule.run(self.schedule.now_ms + DRAIN_MS, self._is_drained)
        if not self._is_drained():
            waiting = [(sent.signer, sent.codes) for sent in self.workload.waiting]
            self.watch.violate(f"not everything was decided and certified: {waiting}")
        for violation in violations(self.nodes, self.workload.acknowledged):
            self.watch.violate(violation)
        self.blocks = decided_blocks(self.nodes)

    def _lowest(self) -> int:
        return min(node.disk.height if node.is_up else 0 for node in self.nodes)

    def _is_drained(self) -> bool:
        heights = {node.disk.height for node in self.nodes}
        return not self.workload.waiting and len(heights) == 1 and all(node.is_up for node in self.nodes)

    def _look(self) -> None:
        """What happens all the time: nodes that ended are started again, and what must not be is looked for."""
        for node in self.nodes:
            if not node.is_up and self.rng.random() < 0.3:
                node.start()
        self._quorum.look(self.schedule.now_ms)  # after them: one that starts may end before the next look
        self.schedule.after(LOOK_MS, self._look)


def draw_founding(rng: random.Random) -> Founding:
    """A chain of mostly four organisations of one power each."""
    organisations = rng.choice([4] * 12 + [1, 3, 3, 5, 5, 7])
    powers = [1] * organisations if rng.random() < 0.7 else [rng.randint(1, 4) for _ in range(organisations)]
    return Founding(tuple(powers), rng.choice(["block", "simulated"]))


def simulate(seed: int) -> Report:
    """Run one seed; the same seed runs the same way, but for the random numbers in signatures."""
    with TemporaryDirectory(prefix="gridledger-simulation-") as folder:
        simulation = Simulation(seed, Path(folder))
        simulation.run()
        watch = simulation.watch
        return Report(
            seed=seed,
            organisations=len(simulation.nodes),
            clock=simulation.founding.clock,
            faults=simulation.faults,
            height=max(node.disk.height for node in simulation.nodes),
            acknowledged=len(simulation.workload.acknowledged),
            crashes=watch.crashes,
            rejected_proposals=watch.rejected,
            simulated_s=simulation.schedule.now_ms / 1000,
            violations=tuple(watch.violations),
            journal=tuple(watch.journal),
            founding=simulation.founding,
            blocks=simulation.blocks,
        )
