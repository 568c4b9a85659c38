"""The pages, one module for each noun, listed here; ``docs/web.md`` says how to add one.

A page module has ``pages``, a Quart blueprint named after the module, whose views all declare who may open them
(``gridweb.access``), and may have ``NAVIGATION``: entries of the bar on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gridweb.access import Role

MODULES: Final = (
    "gridweb.pages.system",
    "gridweb.pages.account",
    "gridweb.pages.start",
    "gridweb.pages.condition",
    "gridweb.pages.users",
    "gridweb.pages.overview",
    "gridweb.pages.flow",
    "gridweb.pages.slot",
    "gridweb.pages.runs",
    "gridweb.pages.documents",
    "gridweb.pages.certificates",
    "gridweb.pages.replaying",
    "gridweb.pages.exporting",
    "gridweb.pages.imbalance",
    "gridweb.pages.balance",
    "gridweb.pages.balance_months",
    "gridweb.pages.balance_documents",
    "gridweb.pages.quality",
    "gridweb.pages.exception",
    "gridweb.pages.fleet",
    "gridweb.pages.gateway",
    "gridweb.pages.meter",
    "gridweb.pages.correcting",
    "gridweb.pages.households",
    "gridweb.pages.block",
    "gridweb.pages.blocks",
    "gridweb.pages.consortium",
    "gridweb.pages.proposing",
    "gridweb.pages.proposals",
    "gridweb.pages.decided",
    "gridweb.pages.registry",
    "gridweb.pages.components",
    "gridweb.pages.tariffs",
    "gridweb.pages.disputes",
    "gridweb.pages.contesting",
    "gridweb.pages.household",
    "gridweb.pages.line",
    "gridweb.pages.orders",
    "gridweb.pages.standing",
    "gridweb.pages.payments",
    "gridweb.pages.balances",
    "gridweb.pages.issued",
    "gridweb.pages.interface",
    "gridweb.pages.verify",
    "gridweb.pages.sample",
)


@dataclass(frozen=True)
class Entry:
    """A link of the bar on top, or of the bar below it that the pages of a section share.

    title: a message id; order: from left to right; shown to ``roles`` alone; section: the path of the entry on top below which it stands, "" on top.
    """

    path: str
    title: str
    roles: Sequence[Role]
    order: int
    section: str = ""
