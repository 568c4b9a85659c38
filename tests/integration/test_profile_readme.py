"""firmware_profiles/README.md, followed to the letter beside an installed wheel: no checkout, and a meter of pymodbus."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent

import pymodbus
import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

REGISTERS = [2301, 2302, 0xFFFF, 0xFE0C, 0, 0, 0, 0, 0, 0, 1, 0xE240, 0, 1000, 0, 5000]
"""Of the Example EX3: 230.1 V, -500 W, tariffs of 1234.56 and 10 kWh, 50 kWh export."""
ADDRESS = "tcp://192.0.2.10:502"


class Installed:
    """The project as a gateway has it: a wheel, unpacked, and a folder to work in."""

    def __init__(self, folder: Path, repository: Path) -> None:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
        subprocess.run(build, cwd=repository, capture_output=True, check=True)
        (wheel,) = (folder / "dist").glob("*.whl")
        self.site, self.home = folder / "site", folder / "home"
        zipfile.ZipFile(wheel).extractall(self.site)
        self.home.mkdir()
        programs = folder / "bin"
        programs.mkdir()
        program = programs / "gridledger"
        program.write_text(
            f"#!{sys.executable} -S\nimport sys\nfrom gridledger.cli import main\nsys.exit(main(sys.argv[1:]))\n",
            "utf-8",
        )
        program.chmod(0o755)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        # -S, and libraries by their path: an editable installation of this checkout must not come first.
        libraries = f"{self.site}{os.pathsep}{Path(pymodbus.__file__).parents[1]}"
        self.environment = {"PATH": path, "PYTHONPATH": libraries, "HOME": str(self.home), "LANG": "C.UTF-8"}

    def run(self, words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-ec", words], cwd=self.home, env=self.environment, capture_output=True, text=True, check=False
        )

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """Kind and text of every block of the README that the wheel carries."""
        text = (self.site / "firmware_profiles" / "README.md").read_text("utf-8")
        found = re.findall(r"^ *```(\w+)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
        return [(kind, dedent(block)) for kind, block in found]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"), repository)


@asynccontextmanager
async def meter() -> AsyncIterator[int]:
    served = SimDevice(1, [SimData(0, values=REGISTERS, datatype=DataType.REGISTERS)])
    server = ModbusTcpServer(served, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    listener: object = server.transport
    assert isinstance(listener, asyncio.Server)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus


def test_program_of_the_wheel_is_the_one_that_runs(installed: Installed) -> None:
    told = installed.run(f"{sys.executable} -S -c 'import firmware_profiles; print(firmware_profiles.__file__)'")
    assert told.stdout.strip() == str(installed.site / "firmware_profiles" / "__init__.py")


async def test_readme_leads_from_a_manual_to_a_probed_meter(installed: Installed) -> None:
    kinds = [kind for kind, _ in installed.blocks]
    assert kinds == ["sh", "toml", "sh", "sh"]
    async with meter() as port:
        for kind, block in installed.blocks:
            if kind == "toml":
                (installed.home / "own" / "example_ex3.toml").write_text(block, "utf-8")
                continue
            done = await asyncio.to_thread(installed.run, block.replace(ADDRESS, f"tcp://127.0.0.1:{port}"))
            assert done.returncode == 0, done.stderr
    assert ADDRESS in installed.blocks[-1][1]
    assert "may produce billable readings" in done.stdout
    assert re.search(r"1\.8\.0 +3:0x000a +1244560 +Wh +1244\.56 +ok", done.stdout), done.stdout
    assert re.search(r"16\.7\.0 +3:0x0002 +-500 +W", done.stdout)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('order = "ABCD"', 'order = "CDAB"', "fixtures[0] (1.8.0): raw decodes to 37958451210 Wh, but value says 1234560 Wh"),
        ('scale = "10/1" # 0.01', 'scale = "100/1" # 0.01', "fixtures[0] (1.8.0): raw decodes to 12345600 Wh"),
        ("sum_of = [10, 12]", "sum_of = [40011, 40013]", "looks like a manual's number of holding register 10"),
        ("sum_of = [10, 12]", "sum_of = [10, 13]", "point 2.8.0 (registers 0xe to 0xf) partly overlaps point 1.8.0"),
        ('billing = ["1.8.0", "2.8.0"]', 'billing = ["1.8.0"]', "billing lacks 2.8.0, which the meter counts"),
        ("netting", "neting", "neting is an unknown key; did you mean 'netting'?"),
    ],
)  # fmt: skip
def test_mistake_of_a_beginner_is_one_line(installed: Installed, old: str, new: str, reason: str) -> None:
    text = next(block for kind, block in installed.blocks if kind == "toml")
    assert old in text
    folder = installed.home / "mistake"
    folder.mkdir(exist_ok=True)
    (folder / "example_ex3.toml").write_text(text.replace(old, new), "utf-8")
    done = installed.run("gridledger profiles check mistake")
    assert done.returncode == 2
    assert "mistake/example_ex3.toml" in done.stderr
    assert reason in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
