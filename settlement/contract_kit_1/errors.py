"""The two ways a contract ends without a result. (The kit imports nothing of ours, hence not ``gridcore.errors``.)"""

from __future__ import annotations


class ContractError(Exception):
    """The input has no result under the contract's rules: it is refused. One line that names what is wrong."""


class ContractInvariantError(BaseException):
    """A contract broke its own promise (money or energy not conserved): the process stops.

    Derives from BaseException so that no handler for refusals swallows it.
    """


def promise(condition: bool, what: str) -> None:
    """Raise ContractInvariantError naming ``what`` unless ``condition`` holds."""
    if not condition:
        raise ContractInvariantError(what)
