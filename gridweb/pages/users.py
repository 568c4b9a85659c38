"""``/users``: who may sign in, for administrators. Users are made on the server (``gridledger serve --add-user``)."""

from __future__ import annotations

from typing import Final

from quart import Blueprint

from gridweb.access import Role, requires
from gridweb.i18n import N_, _
from gridweb.pages import Entry
from gridweb.site import site, source
from gridweb.source import Source
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import ROLE_TITLES, render_page, site_zone

pages = Blueprint("users", __name__)

NAVIGATION = (Entry("/users", N_("Users"), (Role.ADMINISTRATOR,), 95),)

ROLE_WORDS: Final = {role.value: title for role, title in ROLE_TITLES.items()}
COLUMNS = (
    Column("name", N_("Name")),
    Column("role", N_("Role"), words=ROLE_WORDS),
    Column("party", N_("Party")),
    Column("created_s", N_("Since"), "instant"),
    Column("sessions", N_("Sessions"), "count"),
)


@serves_table("/users", Role.ADMINISTRATOR)
async def users_table(source: Source) -> Table:
    """Everybody who may sign in, with the number of browsers in which they are."""
    sessions = site().sessions.count_by_name()
    rows = [
        (user.name, user.role.value, user.party, user.created_s, sessions.get(user.name, 0))
        for user in site().users.all()
    ]
    note = _("Users are added, changed and removed on the server: gridledger serve --config FILE --add-user NAME")
    return Table("users", COLUMNS, rows, title=_("Users"), note=note, tz=await site_zone(source))


@pages.get("/users")
@requires(Role.ADMINISTRATOR)
async def show_users() -> str:
    """The page."""
    return await render_page("users.html", table=await users_table(source()), table_url=table_url(users_table))
