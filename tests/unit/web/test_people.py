"""Who stands behind a pseudonym: known to the utility and to the household alone, and to nobody once erased."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridcore.sm3 import sm3
from gridledger.cli import main
from gridweb.access import Role
from gridweb.database import open_database
from gridweb.people import PEOPLE, TEXT_CHARACTERS_MAX, People, pseudonym
from tests.unit.web.household_world import NEIGHBOUR, PARTY, fill_day, household, household_world
from tests.unit.web.test_household_pages import PAGE
from tests.unit.web.web_world import World

WORDS = "We were away on that evening."
NAME, ADDRESS = "Zhang Wei", "3 Lotus Lane"


async def world_with_a_name(folder: Path) -> World:
    world = household_world(folder)
    await fill_day(world)
    assert world.site.people is not None
    world.site.people.add("C-1001", NAME, ADDRESS, PARTY)
    world.site.people.add("C-1002", "Li Na", party=NEIGHBOUR)
    return world


async def test_the_utility_and_the_household_see_the_name(tmp_path: Path) -> None:
    world = await world_with_a_name(tmp_path)
    for browser in (world.browser(Role.UTILITY), household(world)):
        page = await browser.text(PAGE)
        assert NAME in page
        assert ADDRESS in page
        assert "Li Na" not in page


@pytest.mark.parametrize("role", [Role.REGULATOR, Role.ADMINISTRATOR])
async def test_regulator_and_administrator_see_the_pseudonym_alone(tmp_path: Path, role: Role) -> None:
    page = await (await world_with_a_name(tmp_path)).browser(role).text(PAGE)
    assert PARTY in page
    assert NAME not in page


async def test_pages_without_a_file_of_people_show_pseudonyms(tmp_path: Path) -> None:
    world = await world_with_a_name(tmp_path)
    object.__setattr__(world.site, "people", None)
    assert NAME not in await world.browser(Role.UTILITY).text(PAGE)


def files_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def test_an_erased_person_is_in_no_byte_of_the_files(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with closing(open_database(path, PEOPLE)) as database:
        people = People(database)
        kept, person = people.add("C-7", "Li Na"), people.add("C-1001", NAME, ADDRESS)
        people.keep_words(person.party, WORDS)
        people.keep_words(kept.party, "other words")
        assert NAME.encode() in files_of(path)
        assert people.words_of(person.party) == {sm3(WORDS.encode()): WORDS}
        people.erase(person.party)
        assert people.words_of(person.party) == {}
        assert people.words_of(kept.party) != {}
        assert people.find(person.party) is None
        assert people.all() == [kept]
        content = files_of(path)
    assert not [word for word in (NAME, ADDRESS, "C-1001", person.party, WORDS) if word.encode() in content]


def test_a_pseudonym_is_a_salted_digest_of_the_reference() -> None:
    assert pseudonym(bytes(16), "C-1001") == pseudonym(bytes(16), "C-1001") != pseudonym(bytes([1] * 16), "C-1001")
    assert len(pseudonym(bytes(16), "C-1001")) == 21


def test_the_same_customer_gets_another_pseudonym_after_erasure(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "people.db", PEOPLE)) as database:
        people = People(database)
        first = people.add("C-1001", NAME)
        people.erase(first.party)
        assert people.add("C-1001", NAME).party != first.party


def test_what_does_not_fit_is_refused_by_argument(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "people.db", PEOPLE)) as database:
        people = People(database)
        people.add("C-1", NAME, party="H001")
        for arguments, words in (
            (("", NAME), "--reference"),
            (("C-2", "a\nb"), "--name"),
            (("C-2", "a" * (TEXT_CHARACTERS_MAX + 1)), "--name"),
            (("C-2", NAME, "", "a b/c"), "--party"),
            (("C-1", NAME), "is kept already"),
            (("C-2", NAME, "", "H001"), "is kept already"),
        ):
            with pytest.raises(UsageError, match=words):
                people.add(*arguments)
        assert len(people.all()) == 1
        with pytest.raises(UsageError, match="nobody is kept"):
            people.erase("H002")


def test_the_command_keeps_lists_and_erases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = ["--file", str(tmp_path / "people.db"), "--json"]
    assert main(["people", "add", "--reference", "C-1", "--name", NAME, *file]) == 0
    party = json.loads(capsys.readouterr().out)["party"]
    assert main(["people", "list", *file]) == 0
    assert [person["name"] for person in json.loads(capsys.readouterr().out)["people"]] == [NAME]
    assert main(["people", "erase", "--party", party, *file]) == 0
    capsys.readouterr()
    assert main(["people", "list", *file]) == 0
    assert json.loads(capsys.readouterr().out) == {"people": []}


@pytest.mark.parametrize("words", [["list"], ["erase", "--party", "P1"]])
def test_a_file_that_is_not_there_is_not_made_by_looking(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["people", *words, "--file", str(tmp_path / "people.db")]) == 2
    assert "people.db: is not there" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "text"), [("--party", "a b"), ("--name", "a\tb"), ("--address", 201 * "x"), ("--reference", "\n")]
)
def test_a_person_who_is_refused_leaves_no_file(
    tmp_path: Path, option: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {"--reference": "C-1", "--name": "Zhang Wei", option: text}
    words = [word for pair in said.items() for word in pair]
    assert main(["people", "add", *words, "--file", str(tmp_path / "people.db")]) == 2
    assert capsys.readouterr().err.startswith(f"{option} ")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_users_is_no_file_of_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "people.db").write_bytes(b"not a database" * 100)
    (tmp_path / "people.db").chmod(0o600)
    assert main(["people", "list", "--file", str(tmp_path / "people.db")]) == 2
    assert "check web.people" in capsys.readouterr().err
