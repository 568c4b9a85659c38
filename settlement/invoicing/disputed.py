"""What of a month's documents is disputed, and therefore not due. Pure, in integers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from settlement.invoicing.total import invoice_total


class ContestedNet(NamedTuple):
    """A line or a slot that stands contested. tax_ppm: the rate of the tax that comes on top of it, None where none is paid."""

    amount_nano: int
    tax_ppm: int | None


class Contested(NamedTuple):
    """What of a month's documents stands contested, in nano-currency: lines and slots, so much of the tax, and so much of the total."""

    nets: Sequence[ContestedNet] = ()
    tax_nano: int = 0
    total_nano: int = 0


def disputed_nano(contested: Contested, gross_nano: int, *, quantum_nano: int, rounding: str) -> int:
    """What is not due of documents that come to ``gross_nano``: the union of what is contested, so that nothing is held back twice.

    Nets of a rate are summed up and rounded once, and so is their tax. The tax on them is part of a contested tax, and all of it part of a
    contested total: the larger one counts. Credits are paid out, contested or not: they count for nothing. From 0 to what the documents come
    to, 0 where they are a credit. SettlementError as of ``invoice_total``.
    """
    net_nano = Counter[int | None]()
    for amount_nano, tax_ppm in contested.nets:
        net_nano[tax_ppm] += max(amount_nano, 0)
    of_nets = invoice_total([*net_nano.values()], [*net_nano], quantum_nano, rounding)
    tax_nano = max(contested.tax_nano, of_nets.tax * quantum_nano)
    union_nano = max(contested.total_nano, of_nets.net * quantum_nano + tax_nano)
    return min(max(gross_nano, 0), union_nano)
