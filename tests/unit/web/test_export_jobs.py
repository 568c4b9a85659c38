"""Exports beside the pages: a month as one ZIP file, its progress, who may have it, and what bounds it."""

from __future__ import annotations

import asyncio
import csv
import io
import threading
import zipfile
from pathlib import Path

import pytest

from gridcore.serving.problems import Problem
from gridweb.access import Role
from gridweb.exports import jobs
from gridweb.exports.csv_file import CSV
from gridweb.exports.format import Format, Provenance
from gridweb.exports.jobs import Export, Exports, Part
from gridweb.health import Outage
from gridweb.jobs import KEPT_OF_ONE_MAX, KEPT_S
from gridweb.source import SourceBusy
from gridweb.tables import Column, Table
from tests.unit.web.household_world import DAY_START_S, PARTY, fill_day, household, household_world
from tests.unit.web.web_world import NOW_S, Browser, World
from tests.worlds.clocks import ManualClock

MONTH = "2024-06"
FORM = {"content": "kinds", "area": "A1", "month": MONTH, "format": "csv"}
WHERE = Provenance("chain", 7, NOW_S, "")
TABLE = Table("t", (Column("a", "A", "count"),), [(1,), (2,)])


async def ended(world: World, browser: Browser) -> str:
    """The list once nothing is at work any more."""
    await asyncio.gather(*(job.task for job in world.site.exports.of("utility-x") if job.task is not None))
    return await browser.text("/exports/list")


async def test_a_month_of_every_party_comes_as_a_zip_with_a_file_for_each(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    browser = world.browser(Role.UTILITY)
    assert "No export yet." in await browser.text(f"/exports?area=A1&month={MONTH}")
    begun = await browser.post("/exports", FORM)
    assert (begun.status_code, begun.headers["Location"]) == (303, "/exports")
    listed = await ended(world, browser)
    assert "2 of 2 files" in listed
    assert "hx-get" not in listed, "nothing is at work: the page asks no more"
    (job,) = world.site.exports.of("utility-x")
    answer = await browser.get(f"/exports/{job.job}/file")
    assert answer.headers["Content-Disposition"].endswith(f"A1-kinds-{MONTH}.zip")
    with zipfile.ZipFile(io.BytesIO(await answer.get_data(as_text=False))) as file:
        assert file.namelist() == [f"H001-{MONTH}.csv", f"H002-{MONTH}.csv"]
        text = file.read(file.namelist()[0]).decode()
    alone = await browser.text(f"/api/v1/households/{PARTY}/month?month={MONTH}&format=csv")
    assert text == alone
    assert len(list(csv.reader(io.StringIO(text)))) > 1
    await world.site.exports.close()


async def test_years_tariffs_and_certificates_come_with_the_rows_of_their_pages(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    price = {"value": {"prices": {"levy_micro_per_kwh": 40_000}}, "from_s": 0, "recorded_height": 0}
    world.node.answers["registry/rules/r"] = {"entries": [price]}
    browser = world.browser(Role.UTILITY)
    wanted = {
        "years": ("A1-years-2024.zip", f"{PARTY}-2024.csv", f"/households/{PARTY}/months?year=2024"),
        "tariffs": ("A1-tariffs.zip", "A1-tariff.csv", "/areas/A1/tariff?"),
        "certificates": ("A1-certificates.zip", "A1-certificates.csv", "/areas/A1/certificates?"),
    }
    held, alone = {}, {}
    for content, (name, member, address) in wanted.items():
        assert (await browser.post("/exports", FORM | {"content": content})).status_code == 303
        await ended(world, browser)
        job = world.site.exports.of("utility-x")[0]
        assert (job.state, job.reason, job.file_name) == ("done", "", name)
        answer = await browser.get(f"/exports/{job.job}/file")
        with zipfile.ZipFile(io.BytesIO(await answer.get_data(as_text=False))) as file:
            held[content] = file.read(member).decode()
        alone[content] = await browser.text(f"/api/v1{address}&format=csv")
    assert held == alone
    await world.site.exports.close()


async def test_an_export_is_its_owner_s_alone_and_goes_when_it_is_removed(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    owner, other = world.browser(Role.UTILITY), world.browser(Role.REGULATOR)
    await owner.post("/exports", FORM)
    await ended(world, owner)
    (job,) = world.site.exports.of("utility-x")
    path = job.path
    assert path is not None
    assert path.exists()
    assert (await other.get(f"/exports/{job.job}/file")).status_code == 404
    assert (await other.post(f"/exports/{job.job}/remove")).status_code == 404
    assert (await household(world).get("/exports")).status_code == 403
    assert (await owner.post(f"/exports/{job.job}/remove")).status_code == 303
    assert not path.exists()
    assert (await owner.get(f"/exports/{job.job}/file")).status_code == 404
    await world.site.exports.close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"content": "all"},
            "content is one of lines, kinds, years, documents, issued, accounts, ",
        ),
        ({"format": "doc"}, "format one of csv"),
        ({"month": "2024-13"}, "month: write YYYY-MM"),
    ],
)
async def test_a_form_with_something_unknown_begins_nothing(tmp_path: Path, change: dict[str, str], says: str) -> None:
    world = household_world(tmp_path)
    answer = await world.browser(Role.UTILITY).post("/exports", FORM | change, headers={"Accept": "application/json"})
    assert answer.status_code == 400
    assert says in await answer.get_data(as_text=True)
    assert world.site.exports.of("utility-x") == []


async def table() -> Table:
    """The table of a part."""
    return TABLE


async def never() -> Table:
    """A table that does not come."""
    await asyncio.Event().wait()
    return TABLE


def files_of(folder: Path) -> list[str]:
    """The names of the files in a folder."""
    return sorted(file.name for file in folder.iterdir())


def begin(of: Exports, *parts: Part, owner: str = "anna", form: Format = CSV) -> Export:
    """A job of these parts."""
    return of.start(owner, "title", "file.zip", parts, form, WHERE)


async def test_one_person_has_one_export_at_work_and_everybody_together_two(tmp_path: Path) -> None:
    kept = Exports(ManualClock(NOW_S), tmp_path)
    first = begin(kept, Part("a", never))
    with pytest.raises(Problem, match="an export of yours is at work"):
        begin(kept, Part("a", never))
    begin(kept, Part("a", never), owner="ben")
    with pytest.raises(Problem, match="exports of other people are at work"):
        begin(kept, Part("a", never), owner="cora")
    kept.remove(first)
    await asyncio.sleep(0)
    assert first.state == "working", "cancelled before its first step: it is gone from the list all the same"
    assert kept.of("anna") == []
    begin(kept, Part("a", never), owner="cora")
    await kept.close()


async def test_the_oldest_of_one_person_goes_when_a_further_one_begins_and_all_go_after_a_day(tmp_path: Path) -> None:
    clock = ManualClock(NOW_S)
    kept = Exports(clock, tmp_path)
    started = []
    for _number in range(KEPT_OF_ONE_MAX + 1):
        started.append(begin(kept, Part("a", table)))
        assert started[-1].task is not None
        await started[-1].task
    assert [job.job for job in kept.of("anna")] == [job.job for job in reversed(started[1:])]
    clock.advance_to(NOW_S + KEPT_S + 1)
    assert kept.of("anna") == []
    await kept.close()


async def test_a_table_longer_than_the_format_bears_fails_the_export_by_its_name(tmp_path: Path) -> None:
    kept = Exports(ManualClock(NOW_S), tmp_path)
    job = begin(kept, Part("short", table), Part("long", table), form=CSV._replace(rows_max=1))
    assert job.task is not None
    await job.task
    assert (job.state, job.path) == ("failed", None)
    assert "short has 2 rows, a file of this format at most 1: choose another format" in job.reason
    await kept.close()


async def test_a_part_that_is_named_as_if_it_lay_elsewhere_is_a_file_of_no_folder(tmp_path: Path) -> None:
    kept = Exports(ManualClock(NOW_S), tmp_path)
    job = begin(kept, Part("../../x-2027-000001", table), Part("util-2027-000001", table))
    assert job.task is not None
    await job.task
    assert job.path is not None
    with zipfile.ZipFile(job.path) as file:
        assert file.namelist() == ["..-..-x-2027-000001.csv", "util-2027-000001.csv"]
    await kept.close()


async def test_a_file_beyond_its_bytes_fails_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BYTES_MAX", 64)
    kept = Exports(ManualClock(NOW_S), tmp_path)
    job = begin(kept, Part("a", table), Part("b", table))
    assert job.task is not None
    await job.task
    assert job.state == "failed"
    assert files_of(tmp_path) == []
    assert "the file would be larger than" in job.reason
    await kept.close()


async def test_whose_exports_hold_as_much_as_one_person_may_begins_no_more_and_others_still_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Exports(ManualClock(NOW_S), tmp_path)
    first = begin(kept, Part("a", table))
    assert first.task is not None
    await first.task
    monkeypatch.setattr(jobs, "BYTES_OF_ONE_MAX", first.bytes)
    with pytest.raises(Problem, match="your exports hold as much as those of one person may: remove one of them"):
        begin(kept, Part("a", table))
    other = begin(kept, Part("a", table), owner="ben")
    assert other.task is not None
    await other.task
    monkeypatch.setattr(jobs, "BYTES_KEPT_MAX", first.bytes + other.bytes)
    with pytest.raises(Problem, match="as much is kept as there may be"):
        begin(kept, Part("a", table), owner="cora")
    kept.remove(first)
    begin(kept, Part("a", never))
    await kept.close()


async def test_a_node_that_is_busy_for_a_moment_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "RETRY_AFTER_S", 0)
    answers = iter([SourceBusy(Outage("node", NOW_S, "busy")), None])

    async def busy_once() -> Table:
        error = next(answers)
        if error is not None:
            raise error
        return TABLE

    kept = Exports(ManualClock(NOW_S), tmp_path)
    job = begin(kept, Part("a", busy_once))
    assert job.task is not None
    await job.task
    assert (job.state, job.done) == ("done", 1)
    await kept.close()


async def test_an_export_that_is_removed_while_a_file_is_written_ends_by_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, may_go_on = threading.Event(), threading.Event()

    def write(file: zipfile.ZipFile, entry: zipfile.ZipInfo, data: bytes, _method: int) -> None:
        with file.open(entry, "w") as inside:
            writes.set()
            may_go_on.wait(timeout=60)
            inside.write(data)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", write)
    kept, told = Exports(ManualClock(NOW_S), tmp_path), list[BaseException]()
    kept.on_broken = told.append
    job = begin(kept, Part("a", table))
    assert job.task is not None
    await asyncio.to_thread(writes.wait, 60)
    kept.remove(job)
    await asyncio.sleep(0)
    may_go_on.set()
    await asyncio.wait([job.task])
    assert told == []
    assert job.task.cancelled()
    assert files_of(tmp_path) == []


async def test_a_broken_promise_in_an_export_takes_the_process_down(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    world.site.exports.on_broken = world.site.take_down

    async def broken() -> Table:
        raise ZeroDivisionError

    job = begin(world.site.exports, Part("a", broken))
    assert job.task is not None
    await asyncio.gather(job.task, return_exceptions=True)
    await asyncio.sleep(0)
    assert world.site.stop.is_set()
    with pytest.raises(ZeroDivisionError):
        world.site.check_whole()
    await world.site.exports.close()


async def test_a_year_by_months_comes_to_the_sums_of_its_days(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    browser = household(world)
    table = await (await browser.get(f"/api/v1/households/{PARTY}/months?year=2024")).get_json()
    days = await (
        await browser.get(f"/api/v1/households/{PARTY}/days?start_s={DAY_START_S}&end_s={DAY_START_S + 1}")
    ).get_json()
    by_month = {row[0]: row for row in table["rows"]}
    assert by_month[MONTH][3:] == days["rows"][0][3:]
    assert [row[3] for name, row in by_month.items() if name != MONTH] == [None] * (len(by_month) - 1)
    assert table["totals"][3:] == by_month[MONTH][3:]
    page = await browser.text(f"/households/{PARTY}/year?year=2024")
    assert f'href="/households/{PARTY}/month?month={MONTH}"' in page
