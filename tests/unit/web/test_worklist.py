"""Who works on an exception: noted by one clerk, seen by the others and by nobody else, kept over a restart, and bounded."""

from __future__ import annotations

import html
import io
import re
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from gridcore.quality import MEASURED
from gridcore.serving.problems import Problem
from gridweb import worklist
from gridweb.access import Role
from gridweb.database import open_database
from gridweb.worklist import NOTE_CHARACTERS_MAX, State, Taken, Worklist
from tests.unit.web.test_marked_energies_page import SLOT_S, TODAY_S, world_of, write
from tests.unit.web.test_utility_pages import BLOCK
from tests.unit.web.web_world import NOW_S, Browser, World
from tests.worlds.clocks import ManualClock

KEY = f"spike/a-1/M-1/{TODAY_S + 3 * SLOT_S}/spike"
OTHER = f"spike/a-1/M-2/{TODAY_S + 5 * SLOT_S}/spike"
PAGE = f"/exception?key={quote(KEY, safe='')}"
TABLE = f"/api/v1/exceptions?area=a-1&day={TODAY_S}"


@pytest.fixture
async def world(tmp_path: Path) -> World:
    """Two spikes, the larger one of M-1."""
    world = world_of(tmp_path)
    await write(world, {("M-1", 3): (5_000, 0, MEASURED), ("M-2", 5): (4_000, 0, MEASURED)})
    for name, role in (("anna", Role.UTILITY), ("ben", Role.UTILITY), ("rita", Role.REGULATOR)):
        world.site.users.save(name, role, None, "a long password")
    return world


async def note(browser: Browser, **form: str) -> int:
    fields = {"key": KEY, "state": "taken", "person": "anna", "note": "", **form}
    return int((await browser.post("/exception", fields)).status_code)


async def states(browser: Browser) -> list[tuple[object, ...]]:
    """Meter, state, person and note of each exception, in the order shown."""
    table = await (await browser.get(TABLE)).get_json()
    keys = [column["key"] for column in table["columns"]]
    wanted = ("meter", "state", "person", "note")
    return [tuple(row[keys.index(key)] for key in wanted if key in keys) for row in table["rows"]]


async def test_what_one_clerk_notes_the_others_see_and_what_is_done_comes_last(world: World) -> None:
    one, other = world.browser(Role.UTILITY), world.browser(Role.UTILITY)
    assert await states(one) == [("M-1", "open", None, None), ("M-2", "open", None, None)]
    assert await note(one, person="ben", note="asks the household") == 303
    assert await states(other) == [("M-1", "taken", "ben", "asks the household"), ("M-2", "open", None, None)]
    assert "asks the household" in await other.text(PAGE)
    assert await note(other, state="done", person="ben", note="it was true") == 303
    assert await states(one) == [("M-2", "open", None, None), ("M-1", "done", "ben", "it was true")]
    assert await note(one, state="open") == 303
    assert await states(one) == [("M-1", "open", None, None), ("M-2", "open", None, None)]


def give_overview(world: World) -> None:
    """What the overview asks of the node beside the exceptions."""
    book = {"area": "a-1", "accounts": [], "owes_nano": 0, "parties": 0}
    world.node.answers |= {
        "accounts/sums": {"areas": [book]},
        "blocks/7": BLOCK,
        "disputes": {"disputes": [], "next": None},
        "registry/pending": {"pending": []},
    }


async def test_exports_have_the_state_and_the_overview_counts_what_is_not_done(world: World) -> None:
    give_overview(world)
    clerk = world.browser(Role.UTILITY)
    assert await note(clerk, state="done", person="ben", note="true, a new car") == 303
    csv = await (await clerk.get(f"{TABLE}&format=csv")).get_data(as_text=True)
    assert csv.splitlines()[0].endswith("state,person,note,noted_s,noted_local,key")
    assert ',done,ben,"true, a new car",' in csv
    assert "Exceptions of the day: 1;" in await clerk.text("/overview")
    assert "Exceptions of the day: 2;" in await world.browser(Role.REGULATOR).text("/overview")


async def test_an_export_of_a_month_says_how_far_each_exception_is_to_those_whom_it_concerns(world: World) -> None:
    assert await note(world.browser(Role.UTILITY), person="ben", note="asks") == 303
    heads = []
    for role in (Role.UTILITY, Role.REGULATOR):
        browser = world.browser(role)
        form = {"content": "exceptions", "area": "a-1", "month": "2027-01", "format": "csv"}
        assert (await browser.post("/exports", form)).status_code == 303
        (job,) = world.site.exports.of(f"{role.value}-x")
        assert job.task is not None
        await job.task
        answer = await browser.get(f"/exports/{job.job}/file")
        with zipfile.ZipFile(io.BytesIO(await answer.get_data(as_text=False))) as file:
            texts = [file.read(name).decode() for name in file.namelist()]
        heads.append(
            (
                texts[0].splitlines()[0].endswith("state,person,note,noted_s,noted_local,key"),
                any(",taken,ben,asks," in text for text in texts),
            )
        )
    assert heads == [(True, True), (False, False)]
    await world.site.exports.close()


async def test_a_regulator_sees_exceptions_and_not_who_works_on_them(world: World) -> None:
    assert await note(world.browser(Role.UTILITY), note="asks the household") == 303
    regulator = world.browser(Role.REGULATOR)
    assert await states(regulator) == [("M-1",), ("M-2",)]
    assert "asks the household" not in await regulator.text("/quality")
    assert (await regulator.get(PAGE)).status_code == 403
    assert await note(regulator) == 403


async def test_an_administrator_sees_the_notes_and_a_clerk_alone_writes_them(world: World) -> None:
    assert await note(world.browser(Role.UTILITY), note="asks the household") == 303
    administrator = world.browser(Role.ADMINISTRATOR)
    page = await administrator.text(PAGE)
    assert "asks the household" in page
    assert 'name="state"' not in page
    assert await note(administrator) == 403


async def test_the_form_offers_the_people_of_the_utility_and_each_row_leads_to_it(world: World) -> None:
    clerk = world.browser(Role.UTILITY)
    page = await clerk.text(PAGE)
    offered = re.findall(r"<option(?: selected)?>([^<]*)</option>", page)
    assert offered == ["anna", "ben", "utility-x"]
    assert f'href="/meters/M-1?day={TODAY_S + 3 * SLOT_S}"' in page
    assert f'href="{PAGE}"' in html.unescape(await clerk.text("/quality"))
    chinese = await world.browser(Role.UTILITY, language="zh_CN").text(PAGE)
    assert "谁在处理" in chinese


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"state": "gone"}, 400, "state"),
        ({"person": "rita"}, 400, "person"),
        ({"note": "x" * (NOTE_CHARACTERS_MAX + 1)}, 400, "note"),
        ({"note": "two\nlines"}, 400, "note"),
        ({"note": "a terminal's \x9b2J"}, 400, "note"),
        ({"note": "two\u2028lines"}, 400, "note"),
        ({"note": "read from \u202eright to left"}, 400, "note"),
        ({"key": "spike/a-1"}, 400, "key"),
        ({"key": "spike/a-1/M-1/soon/spike"}, 400, "key"),
        ({"key": f"spike/a-1/M-3/{TODAY_S}/spike"}, 404, "no such exception"),
        ({"key": f"spike/a-9/M-1/{TODAY_S}/spike"}, 404, "no such exception"),
    ],
)
async def test_what_cannot_be_noted_is_one_line_and_nothing_is_kept(
    world: World, form: dict[str, str], status: int, words: str
) -> None:
    fields = {"key": KEY, "state": "taken", "person": "anna", "note": "", **form}
    response = await world.browser(Role.UTILITY).post("/exception", fields)
    assert response.status_code == status
    assert words in await response.get_data(as_text=True)
    assert world.site.worklist.all() == {}


async def test_an_exception_that_is_none_any_more_keeps_its_note_and_can_be_closed(world: World) -> None:
    clerk = world.browser(Role.UTILITY)
    assert await note(clerk, note="asks the household") == 303
    await write(world, {})
    world.node.height = world.progress.height = world.progress.newest = 8
    page = await clerk.text(PAGE)
    assert "It is no exception any more" in page
    assert "asks the household" in page
    assert await note(clerk, state="open") == 303
    assert world.site.worklist.all() == {}


def test_notes_outlast_a_restart_and_the_oldest_that_are_done_make_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worklist, "TAKEN_MAX", 3)
    clock = ManualClock(NOW_S)
    kept = Worklist(open_database(tmp_path / "users.db"), clock)
    for at, (key, state) in enumerate((("a", State.TAKEN), ("b", State.DONE), ("c", State.DONE), ("d", State.TAKEN))):
        clock.advance_to(NOW_S + at)
        kept.note(key, state, "anna", "", "ben")
    again = Worklist(open_database(tmp_path / "users.db"), clock)
    assert again.all().keys() == {"a", "c", "d"}
    assert again.find("a") == Taken(State.TAKEN, "anna", "", "ben", NOW_S)
    again.note("d", State.DONE, "anna", "done", "anna")
    assert again.all().keys() == {"a", "c", "d"}
    with pytest.raises(Problem, match="key: 1 to 300"):
        again.note("k" * 301, State.DONE, "anna", "", "anna")
