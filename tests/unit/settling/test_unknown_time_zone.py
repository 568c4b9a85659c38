"""A ledger takes any name of a time zone; what goes by local days says in one line that a machine does not know it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridledger.cli import main
from gridledger.settling.area_month import AreaDocuments
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import CALENDAR
from tests.worlds.ledgers import ledger_with
from tests.worlds.tariffed import MONTH, TARIFFED, first_slots

SAYS = "the calendar of area a-1 names the time zone Mars/Phobos, which the table of this machine lacks; register the calendar"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with settled slots."""
    world, folder = replace(TARIFFED, calendar=CALENDAR._replace(tz="Mars/Phobos")), tmp_path_factory.mktemp("mars")
    with ledger_with(folder / "ledger", world, first_slots(world.sender())):
        return folder / "ledger"


@pytest.mark.parametrize("words", [["documents", "--month", MONTH], ["extract"]])
def test_a_command_is_refused_in_one_line(
    data: Path, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["settle", *words, "--data", str(data), "--out", str(out)]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert SAYS in said.replace("'", "")
    assert not out.exists()


def test_a_node_refuses_the_documents_of_a_month(data: Path) -> None:
    with reading(data, CONTRACTS) as reader, pytest.raises(UsageError) as error:
        AreaDocuments()(reader, "a-1", MONTH, party=None, start=0)
    assert SAYS in str(error.value).replace("'", "")
