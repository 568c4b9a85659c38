"""Why a part is away, as people read it: reasons are one line in one language where they are made, for logs and operators.

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
)
"""What ``ledger.client`` and the stores of series say, and the message of each."""


def said(reason: str) -> str:
    """A reason in the language of the request."""
    if reason in STALLS.values():
        return translate(reason)
    found = ((form.fullmatch(reason), message) for form, message in _FORMS)
    return next((translate(message) % match.groupdict() for match, message in found if match), reason)
