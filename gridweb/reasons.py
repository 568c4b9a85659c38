"""Why a part is away, or the node has no answer, as people read it: reasons are one line in one language where they are made, for logs and operators.

What is technical in them (an address, a path, the system's own words) stays as it is; of a reason that is not known here all of it does.
"""

from __future__ import annotations

import re
from typing import Final

from gridweb.health import STALLS
from gridweb.i18n import N_, translate

_FORMS: Final = (
    (
        re.compile(r"(?P<place>\S+): no node answers there \((?P<why>.*)\)"),
        N_("%(place)s: no node answers there (%(why)s)"),
    ),
    (
        re.compile(r"(?P<place>\S+): no answer within (?P<seconds>\S+) s \((?P<why>.*)\)"),
        N_("%(place)s: no answer within %(seconds)s s (%(why)s)"),
    ),
    (re.compile(r"(?:it|the node) has not answered for (?P<seconds>\d+) s"), N_("no answer for %(seconds)s s")),
    (
        re.compile(r"(?P<place>.+): (?P<why>.+); check its disk, owner and size_mib_max"),
        N_("%(place)s: %(why)s; check its disk, owner and size_mib_max"),
    ),
    (
        re.compile(r"(?P<place>.+): cannot be opened \((?P<why>.+)\); check its folder and owner"),
        N_("%(place)s: cannot be opened (%(why)s); check its folder and owner"),
    ),
    (re.compile(r"(?P<place>.+): has been emptied meanwhile"), N_("%(place)s: has been emptied meanwhile")),
    # --------------------------------------------------------------------------------- documents, payments, issued books
    (
        re.compile(r"month (?P<month>\S+): area (?P<area>\S+) has no settled slot of it; it has (?P<months>.+)"),
        N_("month %(month)s: area %(area)s has no settled slot of it; it has %(months)s"),
    ),
    (
        re.compile(r"month (?P<month>\S+): area (?P<area>\S+) has no settled slot of it; none is settled yet"),
        N_("month %(month)s: area %(area)s has no settled slot of it; none is settled yet"),
    ),
    (re.compile("this node makes no documents of months"), N_("this node makes no documents of months")),
    (
        re.compile(
            r"zone (?P<zone>\S+): (?P<several>.+) have settled slots of one month; documents are made of one contract's"
        ),
        N_("zone %(zone)s: %(several)s have settled slots of one month; documents are made of one contract's"),
    ),
    (
        re.compile(
            r"month (?P<month>\S+): price series (?P<series>\S+) says no price of the slot that starts at (?P<start>\S+), "
            r"by which component (?P<component>.+) of (?P<party>\S+) is charged; register it"
        ),
        N_(
            "month %(month)s: price series %(series)s says no price of the slot that starts at %(start)s, "
            "by which component %(component)s of %(party)s is charged; register it"
        ),
    ),
    (
        re.compile(
            r"month (?P<month>\S+): point (?P<point>.+) in the slot that starts at (?P<start>\S+): (?P<why>.+); "
            r"by it component (?P<component>.+) of (?P<party>\S+) is charged: (?P<remedy>.+)"
        ),
        N_(
            "month %(month)s: point %(point)s in the slot that starts at %(start)s: %(why)s; "
            "by it component %(component)s of %(party)s is charged: %(remedy)s"
        ),
    ),
    (
        re.compile(
            r"this ledger began with the snapshot of height (?P<height>\d+), and payments of that time are in blocks before; "
            r"take a ledger that has them \(gridledger node restore, from an archive\)"
        ),
        N_(
            "this ledger began with the snapshot of height %(height)s, and payments of that time are in blocks before; "
            "take a ledger that has them (gridledger node restore, from an archive)"
        ),
    ),
    (
        re.compile(r"is of chain (?P<chain>\S+), these pages are of (?P<own>\S+)"),
        N_("is of chain %(chain)s, these pages are of %(own)s"),
    ),
    (
        re.compile(
            r"issue (?P<issue>\d+) is of block (?P<height>\d+), the node is at (?P<newest>\d+): wait until it has caught up"
        ),
        N_("issue %(issue)s is of block %(height)s, the node is at %(newest)s: wait until it has caught up"),
    ),
    (
        re.compile(r"issue (?P<issue>\d+) is of another block (?P<height>\d+) than the node's"),
        N_("issue %(issue)s is of another block %(height)s than the node's"),
    ),
    # ------------------------------------------------------------------------------------------------ what is not there
    (re.compile(r"no area '(?P<name>.*)' on this chain"), N_("no area '%(name)s' on this chain")),
    (re.compile(r"no gateway '(?P<name>.*)' on this chain"), N_("no gateway '%(name)s' on this chain")),
    (re.compile(r"no party '(?P<name>.*)' in area '(?P<area>.*)'"), N_("no party '%(name)s' in area '%(area)s'")),
    (re.compile(r"no party '(?P<name>[^']*)'"), N_("no party '%(name)s'")),
    (re.compile("no party of this name is billed on this chain"), N_("no party of this name is billed on this chain")),
    (re.compile("no meter of this code is installed"), N_("no meter of this code is installed")),
    (
        re.compile(r"no meter '(?P<name>.*)' was ever installed on this chain"),
        N_("no meter '%(name)s' was ever installed on this chain"),
    ),
    (re.compile(r"no dispute (?P<name>\S+)"), N_("no dispute %(name)s")),
    (re.compile(r"no proposal (?P<name>\S+)"), N_("no proposal %(name)s")),
    (
        re.compile(r"no (?P<kind>\S+) '(?P<name>.*)' is registered"),
        N_("no %(kind)s '%(name)s' is registered"),
    ),
    (re.compile("no block has decided this transaction"), N_("no block has decided this transaction")),
)
"""What ``ledger.client``, the stores of series, the node (its 404) and readers of books say, and the message of each."""


def said(reason: str) -> str:
    """A reason in the language of the request."""
    if reason in STALLS.values():
        return translate(reason)
    found = ((form.fullmatch(reason), message) for form, message in _FORMS)
    return next((translate(message) % match.groupdict() for match, message in found if match), reason)
