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
    "blocks": N_("blocks of the ledger node"),
    "series": N_("the time series store"),
    "projection": N_("the time series that follow the ledger"),
    "broker": N_("the MQTT broker"),
}
"""What pages rest on, by the name under which it is reported, in words for people."""
STALLS: Final = {
    "disk": N_("the disk takes no writes, or has no more than its reserve"),
    "block": N_("a block has been in the making for over a minute"),
    "waiting": N_("transactions have waited for a block for three of its intervals"),
    "quorum": N_("validators with more than two thirds of the power do not reach one another"),
    "behind": N_("the node takes over what the other validators decided"),
    "engine": N_("the consensus engine does not answer"),
    "clock": N_("ledger time stands, the clock of the node is too far ahead of it"),
}
"""What holds a node up, by its word for it: message ids."""

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
        self._outages: dict[str, dict[str, Outage]] = {}
        self._known: set[str] = set()
        self.on_change = on_change

    def now_s(self) -> int:
        """The wall clock, UTC seconds."""
        return self._clock.now_s()

    def report(self, name: str, reason: str | None, by: str = "") -> None:
        """Part ``name`` is away for a ``reason``, or answers (None). Saying it again changes nothing.

        ``by``: who says so, empty for whoever asks all the time and for everything (the projection). Its word that a part is
        back goes for all; a word of others takes back their own report alone: a store on a full disk can still be read, and a
        node that answers a page may refuse the projection.
        """
        self._known.add(name)
        said = self._outages.setdefault(name, {})
        before = self.outage(name)
        if reason is None:
            for one in list(said) if not by else [by]:
                said.pop(one, None)
            if before is not None and not said:
                log.info("part_back", part=name, away_s=self._clock.now_s() - before.since_s)
                self.on_change()
        elif by not in said:
            said[by] = Outage(name, self._clock.now_s(), reason)
            if before is None:
                log.warning("part_away", part=name, reason=reason)
                self.on_change()

    def moment(self, name: str, reason: str) -> Outage:
        """An outage of this very moment, for one part of one page: it is not reported."""
        return Outage(name, self._clock.now_s(), reason)

    def outage(self, name: str, by: str | None = None) -> Outage | None:
        """The outage of a part, if it is away: of what is said ``by`` one alone, or by anybody, the first that still holds."""
        said = self._outages.get(name, {})
        return next(iter(said.values()), None) if by is None else said.get(by)

    def known(self) -> list[str]:
        """The parts of which anything was ever reported, in the order of PARTS: of others nothing can be said."""
        return [name for name in PARTS if name in self._known]

    def outages(self) -> list[Outage]:
        """All outages, the oldest first."""
        away = [outage for name in self._outages if (outage := self.outage(name)) is not None]
        return sorted(away, key=lambda outage: (outage.since_s, outage.name))
