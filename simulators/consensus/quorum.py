"""Whether anything can be decided at all: nodes that run, hear one another, and hold more than 2/3 of the power together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulators.consensus.network import Network
from simulators.consensus.node import Node
from simulators.consensus.watch import Watch

SETTLED_MS = 5_000
"""After so long without a quorum nothing is under way any more that could complete a decision."""


class QuorumWatch:
    """Looks whether there is a quorum; without one no height may be decided (I7).

    It must look whenever a quorum may come to be: a node has started, or the network was mended. It may be gone again by the next look.
    """

    def __init__(self, nodes: Sequence[Node], network: Network, watch: Watch) -> None:
        self._nodes = nodes
        self._network = network
        self._watch = watch
        self._without_since_ms: int | None = None
        self._height = 0

    def look(self, now_ms: int) -> None:
        """Look once."""
        height = max(node.disk.height for node in self._nodes)
        if self.is_there():
            self._without_since_ms = None
            return
        if self._without_since_ms is None:
            self._without_since_ms, self._height = now_ms, height
        elif now_ms < self._without_since_ms + SETTLED_MS:
            self._height = height
        elif height > self._height:
            self._height = height
            self._watch.violate(f"height {height} was decided without a quorum")

    def is_there(self) -> bool:
        """Whether some node can learn of the votes of more than 2/3 of the power, directly or through others."""
        newest = max((node.disk for node in self._nodes), key=lambda disk: disk.height)
        powers = dict(newest.members[newest.height])
        return any(self._is_quorum(self._reaching(node), powers) for node in self._nodes if node.is_up)

    def _is_quorum(self, nodes: Sequence[Node], powers: Mapping[bytes, int]) -> bool:
        voters = [node for node in nodes if not node.disk.is_joining]
        return 3 * sum(powers.get(node.home.address, 0) for node in voters) > 2 * sum(powers.values())

    def _reaching(self, node: Node) -> Sequence[Node]:
        """The running nodes from which a way leads to ``node``, and itself."""
        found, todo = {node.number: node}, [node]
        while todo:
            receiver = todo.pop()
            for other in self._nodes:
                if other.is_up and other.number not in found and self._network.is_heard(other.number, receiver.number):
                    found[other.number] = other
                    todo.append(other)
        return list(found.values())
