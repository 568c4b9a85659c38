"""What is away, and since when: reported by whoever notices, shown by every page until it is back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gridcore.clock import Clock
from gridcore.logs import get_logger
from gridweb.i18n import N_

PARTS: Final = {
    "node": N_("the ledger node"),
    "series": N_("the time series store"),
    "broker": N_("the MQTT broker"),
}
"""What pages rest on, by the name under which it is reported, in words for people."""

log = get_logger(__name__)


@dataclass(frozen=True)
class Outage:
    """A part that is away. ``since_s``: UTC seconds at which it was noticed; ``reason``: one line, for operators."""

    name: str
    since_s: int
    reason: str

    @property
    def title(self) -> str:
        """The part in words: a message id."""
        return PARTS.get(self.name, self.name)


class Health:
    """The outages of this moment; used by one event loop alone."""

    def __init__(self, clock: Clock, on_change: Callable[[], None] = lambda: None) -> None:
        """``on_change`` is called when a part goes away or comes back."""
        self._clock = clock
        self._outages: dict[str, Outage] = {}
        self._known: set[str] = set()
        self.on_change = on_change

    def report(self, name: str, reason: str | None) -> None:
        """Part ``name`` is away for a ``reason``, or answers (None). Saying it again changes nothing."""
        self._known.add(name)
        before = self._outages.get(name)
        if reason is None:
            if before is not None:
                del self._outages[name]
                log.info("part_back", part=name, away_s=self._clock.now_s() - before.since_s)
                self.on_change()
        elif before is None:
            self._outages[name] = Outage(name, self._clock.now_s(), reason)
            log.warning("part_away", part=name, reason=reason)
            self.on_change()

    def moment(self, name: str, reason: str) -> Outage:
        """An outage of this very moment, for one part of one page: it is not reported."""
        return Outage(name, self._clock.now_s(), reason)

    def outage(self, name: str) -> Outage | None:
        """The outage of a part, if it is away."""
        return self._outages.get(name)

    def known(self) -> list[str]:
        """The parts of which anything was ever reported, in the order of PARTS: of others nothing can be said."""
        return [name for name in PARTS if name in self._known]

    def outages(self) -> list[Outage]:
        """All outages, the oldest first."""
        return sorted(self._outages.values(), key=lambda outage: (outage.since_s, outage.name))
