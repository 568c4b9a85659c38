"""Who may open what: roles, the viewer of a request, and the rule that every route has to declare.

    @pages.get("/quality")
    @requires(*READS_ALL)
    async def show_quality() -> str: ...

The rule is kept by the application before a view runs (``gridweb.app``); a route without one stops the start. What belongs
to one party is checked inside, by ``check_party``: the answer to another's data is 403 whether or not it exists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from gridcore.errors import require
from gridcore.serving.problems import Problem


class Role(StrEnum):
    """What a person is here for."""

    UTILITY = "utility"
    HOUSEHOLD = "household"
    REGULATOR = "regulator"
    ADMINISTRATOR = "administrator"


READS_ALL: Final = (Role.UTILITY, Role.REGULATOR, Role.ADMINISTRATOR)
EVERY_ROLE: Final = tuple(Role)


@dataclass(frozen=True)
class Viewer:
    """Who looks at a page. ``party``: the pseudonym whose data it may see; of a household alone, else None."""

    name: str
    role: Role
    party: str | None = None

    def __post_init__(self) -> None:
        require((self.party is not None) == (self.role is Role.HOUSEHOLD), "a household has a party, nobody else has")

    @property
    def reads_all(self) -> bool:
        """Whether load curves of everybody are open to this viewer."""
        return self.role in READS_ALL

    def may_see(self, party: str) -> bool:
        """Whether the data of ``party`` are open to this viewer."""
        return self.reads_all or self.party == party


def check_party(viewer: Viewer, party: str) -> None:
    """Problem 403 unless the viewer may see the data of ``party``."""
    if not viewer.may_see(party):
        raise Problem("not-authorised", "a household sees its own data alone")


View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Rule:
    """Who may use a route: some roles, or everybody without signing in (``is_public``)."""

    roles: frozenset[Role]
    is_public: bool = False


_RULE: Final = "gridweb_rule"


def requires(*roles: Role) -> Callable[[View], View]:
    """Declare that a view is for signed-in people of these roles."""
    require(bool(roles), "a rule names at least one role")

    def mark(view: View) -> View:
        setattr(view, _RULE, Rule(frozenset(roles)))
        return view

    return mark


def public(view: View) -> View:
    """Declare that a view is for everybody: sign-in, health, what every page loads."""
    setattr(view, _RULE, Rule(frozenset(), is_public=True))
    return view


def rule_of(view: Callable[..., Any]) -> Rule | None:
    """The rule that a view declares, if it does."""
    rule = getattr(view, _RULE, None)
    return rule if isinstance(rule, Rule) else None
