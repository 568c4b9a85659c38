"""What is charged beside a contract's lines: tariffs as data, charges of the grid, schedules, certificates. Pure, in integers.

``components``: the components of a tariff; ``reading``: how a file names them; ``charges``: what they come to, month by month; ``network``
and ``schedules``: the rules of single charges (docs/spec/contracts.md names their vectors).
"""

from __future__ import annotations

from settlement.tariffs.reading import components_of

__all__ = ["components_of"]
