"""The virtual network: delay, loss, duplication, order that changes, and links that are cut in one direction or both."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from simulators.consensus.messages import Message
from simulators.consensus.schedule import Schedule


@dataclass(frozen=True)
class Weather:
    """What the network does to a message. delay_ms: from, to; loss, duplication: how probable, 0 to 1.

    Messages overtake one another wherever the delays that they draw differ enough.
    """

    delay_ms: tuple[int, int] = (1, 30)
    loss: float = 0.0
    duplication: float = 0.0


CALM = Weather()


class Network:
    """Links between nodes, each known by its number. ``weather`` and the cut links change while it runs."""

    def __init__(self, schedule: Schedule, rng: random.Random) -> None:
        self.weather = CALM
        self.receivers: dict[int, Callable[[int, Message], None]] = {}
        """By node: what takes a message, with the number of its sender."""
        self._cut: set[tuple[int, int]] = set()
        self._schedule = schedule
        self._rng = rng

    def cut(self, senders: Iterable[int], receivers: Collection[int]) -> None:
        """Let nothing through any more from these to those."""
        self._cut.update((sender, receiver) for sender in senders for receiver in receivers)

    def divide(self, some: Collection[int]) -> None:
        """Let nothing through between these and the others, in either direction."""
        others = self.receivers.keys() - set(some)
        self.cut(some, others)
        self.cut(others, some)

    def is_heard(self, sender: int, receiver: int) -> bool:
        """Whether the link from one node to another lets anything through."""
        return (sender, receiver) not in self._cut

    def heal(self) -> None:
        """All links as they were at first."""
        self._cut.clear()
        self.weather = CALM

    def broadcast(self, sender: int, message: Message) -> None:
        """Send to everybody else."""
        for receiver in self.others(sender):
            self.send(sender, receiver, message)

    def others(self, sender: int) -> list[int]:
        """All nodes but one."""
        return [receiver for receiver in sorted(self.receivers) if receiver != sender]

    def send(self, sender: int, receiver: int, message: Message) -> None:
        """Send once; it arrives once, never, or twice. What was under way when a link was cut is lost."""
        rng, weather = self._rng, self.weather
        copies = 1 + (rng.random() < weather.duplication) if rng.random() >= weather.loss else 0
        for _ in range(copies):
            self._schedule.after(rng.randint(*weather.delay_ms), lambda: self._arrive(sender, receiver, message))

    def _arrive(self, sender: int, receiver: int, message: Message) -> None:
        if (sender, receiver) not in self._cut:
            self.receivers[receiver](sender, message)
