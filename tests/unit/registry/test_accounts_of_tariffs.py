"""``registry submit``: an account that nobody knows is refused before anything is submitted, unless who submits has named it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.cli import main
from gridledger.registering.rows_file import FileRow, read_rows
from gridledger.registering.submission import Registered, register
from tests.worlds.consortium import Consortium, household
from tests.worlds.keys import key
from tests.worlds.nodes import RunningNode, running_node

WORLD = Consortium(meters=[household(1, "p-1")], roles={"admin": ["administrator"]})
TARIFF = """\
[[tariff]]
name = "home"
from_s = {from_s}
tax_ppm = 0
quantum_nano = 1
rounding = "half_even"
components = [
    {{name = "energy", account = "grid", base = "import", taxed = true, price = 5}},
    {{name = "levy2", account = "{account}", base = "import", taxed = true, price = 5}},
]
"""


def rows(path: Path, account: str, from_s: int = 0) -> list[FileRow]:
    file = path / "tariff.toml"
    file.write_text(TARIFF.format(account=account, from_s=from_s), "utf-8")
    return read_rows(file)


async def submitted(node: RunningNode, found: list[FileRow], *accounts: str, is_dry: bool = False) -> Registered:
    return await register(node.client("admin"), "admin", key("admin"), found, is_dry=is_dry, accounts=accounts)


async def test_an_account_that_nobody_knows_is_one_line_and_nothing_is_registered(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger", WORLD) as node:
        for is_dry in (True, False):
            done = await submitted(node, rows(tmp_path, "gird"), is_dry=is_dry)
            assert done.refused == (
                f"{tmp_path / 'tariff.toml'}: tariff 1, tariff/home: components, 2: account 'gird' is no account of a contract, and the tariff "
                "never charged to it; did you mean grid? one of your own: --account NAME"
            )
            assert (done.new, done.heights) == (0, ())
        assert (await node.client("admin").query("registry/tariff"))["names"] == []


async def test_an_account_of_one_s_own_is_named_once(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger", WORLD) as node:
        assert (await submitted(node, rows(tmp_path, "town hall"), "museum")).refused != ""
        assert (await submitted(node, rows(tmp_path, "town hall"), "museum", "town hall")).new == 1
        assert (await submitted(node, rows(tmp_path, "town hall", 900))).new == 1
        assert (await submitted(node, rows(tmp_path, "townhall", 1_800))).refused.endswith(
            "did you mean town hall? one of your own: --account NAME"
        )
        assert (await submitted(node, rows(tmp_path, "supplier", 1_800))).new == 1


def test_the_option_is_told_by_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["registry", "submit", "--help"]) == 0
    assert "--account NAME" in capsys.readouterr().out
