"""The operating error of this package. (Contracts raise their own kit's ``ContractError``: they import nothing of ours.)"""

from __future__ import annotations

from gridcore.errors import GridError


class SettlementError(GridError):
    """Input that has no result under the rules of settlement; one line that names what is wrong."""
