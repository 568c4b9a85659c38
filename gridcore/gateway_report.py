"""What a gateway tells its nodes of itself besides its batches: how much waits, how many meters fail. Numbers and short words alone.

It is no transaction and no evidence: a node keeps the newest one of each gateway in memory, says when it came, and forgets it at a restart.
The query that carries it is signed by the gateway, so nobody else can speak for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.forms import INSTANT, Form, integer, text
from gridcore.transactions.reading_batch import AGENT_CHARACTERS_MAX

REPORT_BYTES_MAX: Final = 1_024
_ITEMS_MAX: Final = 64
_COUNT: Final = integer(0, 2**53)
_WORD: Final = Form(
    f"a printable text of at most {AGENT_CHARACTERS_MAX} characters",
    lambda value: text(0, AGENT_CHARACTERS_MAX).holds(value) and value.isprintable(),
)


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """``time_s``: by the gateway's clock; ``signer``: the scheme of its key; ``age_s``: how much older the oldest waiting batch is than the
    newest boundary; ``failing``: meters without a reading at the last boundary; ``alarms``: what somebody has to look at.
    """

    time_s: int
    version: str
    signer: str
    batches: int
    size_bytes: int
    age_s: int
    fill_percent: int
    in_memory: int
    meters: int
    failing: int
    alarms: int

    def encode(self) -> bytes:
        """Canonical bytes."""
        return cbor.encode(asdict(self))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The report in ``data``. EncodingError names the first field that is not as it should be."""
        if len(data) > REPORT_BYTES_MAX:
            raise EncodingError(f"a report has at most {REPORT_BYTES_MAX} bytes")
        value: Any = cbor.decode(data, items_max=_ITEMS_MAX)
        names = {field.name for field in fields(cls)}
        if not isinstance(value, dict) or set(value) != names:
            raise EncodingError(f"a report is a map of {', '.join(sorted(names))}")
        for name in sorted(names):
            form = _FORMS.get(name, _COUNT)
            if not form.holds(value[name]):
                raise EncodingError(f"report: {name} is {form.words}")
        return cls(**value)


_FORMS: Final[Mapping[str, Form]] = {"time_s": INSTANT, "version": _WORD, "signer": _WORD}
"""Of the fields that are no counts."""
