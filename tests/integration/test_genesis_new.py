"""A chain founded from a file: the commands of docs/node.md run as they stand, and its first slot is settled."""

from __future__ import annotations

import io
import json
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from gridcore import cbor
from gridcore.serving.ports import HOST, free_port
from gridcore.signers import open_signer
from gridcore.sm import Signer
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.content import sign_content
from gridledger.cli import main
from gridledger.founding.config import EXAMPLE
from ledger.client import Client
from tests.integration.village import meter
from tests.processes import ready_line
from tests.waiting import until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "node.md"
FIRST_S = 1_800_000_000
SLOT_S = 900
METERING_DEADLINE_S = 900
DAY_S = 86_400
PASSWORD = "three quiet rivers meet"


def documented_commands() -> tuple[list[list[str]], list[list[str]]]:
    """The words of the commands in "A chain of your own": those that end, and those that run until they are stopped."""
    section = PAGE.read_text(encoding="utf-8").partition("## A chain of your own")[2].partition("\n## ")[0]
    ending, running = re.findall(r"^```console\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[1:] for line in ending.splitlines()], [
        shlex.split(line)[1:] for line in running.splitlines()
    ]


def write_example(folder: Path, capsys: pytest.CaptureFixture[str], **changes: str) -> Path:
    """village.toml: the example with other values of some keys."""
    assert main(["genesis", "new", "--example"]) == 0
    text = capsys.readouterr().out
    for key, value in changes.items():
        text, count = re.subn(rf"^(# )?{key} = \S+", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
        assert count == 1, key
    path = folder / "village.toml"
    path.write_text(text, encoding="utf-8")
    return path


def signer(folder: Path, name: str) -> Signer:
    """The key of ``name``, as its owner opens it."""
    keys = folder / "village" / "keys"
    return open_signer(f"file:{keys / name}.pem", f"file:{keys / name}.password")


@contextmanager
def started(commands: Sequence[Sequence[str]], folder: Path) -> Iterator[None]:
    """The commands as processes that are all ready, one after the other."""
    with ExitStack() as stack:
        for words in commands:
            process = subprocess.Popen(
                [sys.executable, "-m", "gridledger", *words, "--json"],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            stack.callback(process.communicate)
            stack.callback(process.terminate)
            if words[0] != "edge":
                assert ready_line(process, 30)["ready"]
        yield


async def advance(client: Client, chain: str, clock: Signer, from_s: int, to_s: int) -> None:
    """Move ledger time."""
    content = ClockAdvance(client_id=to_s.to_bytes(16), valid_until_s=from_s + DAY_S, to_s=to_s)
    (answer,) = await client.submit([sign_content(content, chain=chain, signer="clock", sign=clock.sign).wire])
    assert answer.name == "ACCEPTED"


async def test_first_slot_of_a_chain_from_the_example_is_settled_by_the_commands_of_the_documentation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ending, running = documented_commands()
    async with meter() as (fleet, meter_port):
        node_port, pages_port = free_port(), free_port()
        write_example(
            tmp_path,
            capsys,
            clock='"simulated"',
            first_slot_start_s=str(FIRST_S),
            node_port=str(node_port),
            pages_port=str(pages_port),
            port=str(meter_port),
        )
        for words in ending:
            monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
            assert main(words) == 0, words
        chain = json.loads((tmp_path / "village" / "trust.json").read_text())["chain"]
        clock, utility = signer(tmp_path, "clock"), signer(tmp_path, "utility")
        with started(running, tmp_path):
            async with Client(f"http://{HOST}:{node_port}", chain=chain, signer_id="utility", signer=utility) as client:
                now_s = FIRST_S - DAY_S
                for boundary_s, import_wh in ((FIRST_S, 1_000), (FIRST_S + SLOT_S, 1_250)):
                    fleet.set_registers([import_wh], [0])
                    await advance(client, chain, clock, now_s, boundary_s)
                    now_s = boundary_s
                    await until(partial(covered, client, boundary_s))
                await advance(client, chain, clock, now_s, now_s + METERING_DEADLINE_S)
                run = await client.query(f"areas/north/slots/{FIRST_S}/run")
            async with httpx.AsyncClient(base_url=f"http://{HOST}:{pages_port}") as browser:
                assert (await browser.get("/healthz")).is_success
    lines = [(line["line_kind"], line["energy_wh"], line["amount_nano"]) for line in run["lines"]]
    assert ("residual_import", 250, 250 * 460_000) in lines


async def covered(client: Client, boundary_s: int) -> bool:
    """Whether the ledger has the meter's registers of a boundary."""
    found: dict[str, Any] = await client.query("areas/north/coverage", boundary_s=boundary_s)
    return bool(found["committed"] == found["expected"] == 1)


def test_example_founds_a_chain_on_block_time_whose_files_pass_their_checks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "village"
    assert main(["genesis", "new", "--config", str(EXAMPLE), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    names = {path.relative_to(out).as_posix() for path in out.iterdir()}
    assert names == {"genesis.cbor", "trust.json", "keys", "node.toml", "edge-1.toml", "web.toml"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (out / "keys").iterdir()} == {0o600}
    for kind, name in (("node", "node.toml"), ("edge", "edge-1.toml"), ("web", "web.toml")):
        assert main(["config", "check", kind, str(out / name)]) == 0
    capsys.readouterr()
    init = ["node", "init", "--genesis", str(out / "genesis.cbor"), "--data", str(out / "ledger"), "--json"]
    assert main(init) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["chain"], made["genesis"]) == (told["chain"], told["genesis"])


def test_founding_again_into_the_same_folder_is_refused_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["genesis", "new", "--config", str(EXAMPLE), "--out", str(tmp_path / "village")]
    assert main(words) == 0
    before = (tmp_path / "village" / "genesis.cbor").read_bytes()
    assert main(words) == 2
    assert "is not empty; name an absent or an empty folder" in capsys.readouterr().err
    assert (tmp_path / "village" / "genesis.cbor").read_bytes() == before


def test_file_with_a_dlt645_meter_makes_an_agent_s_file_that_is_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"port": '5020\nframer = "dlt645"', "profile": '"dlt645_2007"', "modulus_wh": "1000000000"}
    path = write_example(tmp_path, capsys, **places)
    path.write_text(path.read_text("utf-8").replace("unit_id = 1 ", 'address = "000012345678" ', 1), encoding="utf-8")
    assert main(["genesis", "new", "--config", str(path), "--out", str(tmp_path / "village")]) == 0
    assert main(["edge", "check", "--config", str(tmp_path / "village" / "edge-1.toml")]) == 0


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("rationing", '"pro_rata"\nrationng = 1', "market.rationng is an unknown key; did you mean 'rationing'?"),
        ("time_zone", '"Asia/Shangha"', "calendar: time_zone = 'Asia/Shangha' is no time zone known here"),
        ("time_zone", '"../etc"', "calendar: time_zone = '../etc' is no time zone known here"),
        (
            "profile",
            '"huawei_sun2000"',
            "gateways[0].meters[0]: profile = 'huawei_sun2000' informs only; choose one that bills",
        ),
        (
            "profile",
            '"acrel_adl40"',
            "gateways[0].meters[0]: unknown profile 'acrel_adl40'; did you mean 'acrel_adl400'?",
        ),
        ("party", '"web"', "gateway, party and the signers of every chain 'web' is given twice"),
        ("gateway", '"../x"', "signer/../x"),
        ("first_slot_start_s", "1800000001", "first_slot_start_s is a multiple of slot_s 900"),
        ("levy_micro_per_kwh", "40000 # \nlevi = 1", "prices"),
        ("line", '"yard"', "gateways[0]: meter 'M-1' is on line 'hall'; lines are yard"),
        ("unit_id", '1\naddress = "000000000001"', "meter 'M-1' needs one place: unit_id on a Modbus line, address on"),
    ],
)
def test_what_does_not_fit_is_one_line_that_names_file_and_key_and_no_folder_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: str, line: str
) -> None:
    path = write_example(tmp_path, capsys, **{key: value})
    assert main(["genesis", "new", "--config", str(path), "--out", str(tmp_path / "village")]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"{path}: ")
    assert line in told
    assert not (tmp_path / "village").exists()


def test_config_without_out_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["genesis", "new", "--config", str(EXAMPLE)]) == 2
    assert "--config needs --out" in capsys.readouterr().err


def test_the_calendar_of_runs_in_the_documentation_founds_a_chain_that_has_it(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/settlement-runs.md").read_text(encoding="utf-8")
    (calendar,) = re.findall(r"```toml\n(\[timeline\]\n.*?)```", page, re.DOTALL)
    text, count = re.subn(
        r"^\[timeline\].*?^\[prices\]", f"{calendar}\n[prices]", EXAMPLE.read_text(), flags=re.DOTALL | re.MULTILINE
    )
    assert count == 1
    path, out = tmp_path / "village.toml", tmp_path / "village"
    path.write_text(text, encoding="utf-8")
    assert main(["genesis", "new", "--config", str(path), "--out", str(out)]) == 0
    rows = [cbor.decode(row) for row in cbor.decode((out / "genesis.cbor").read_bytes())["registry"]]
    (zone,) = [value for key, _, value in rows if key.startswith("zone/")]
    assert zone["gap_slots_max"] == 4_320
    assert zone["runs_follow_points"] is True
    assert zone["run_calendar"] == {
        "corrections": [[604_800, 950_000], [2_592_000, 0]],
        "dispute_material_nano": 10**9,
        "final_run_after_s": 7_776_000,
        "initial_last_after_s": 86_400,
        "initial_measured_ppm": 990_000,
    }


def test_a_calendar_of_runs_out_of_order_is_one_line_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = "initial_measured_ppm = 0\ninitial_last_after_s = 900\nfinal_run_after_s = 800\ndispute_material_nano = 0"
    path = write_example(tmp_path, capsys, final_after_s="86400")
    path.write_text(path.read_text().replace("[prices]", f"[runs]\n{runs}\n\n[prices]", 1), encoding="utf-8")
    assert main(["genesis", "new", "--config", str(path), "--out", str(tmp_path / "village")]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert "the correction dates and final_run_after_s ascend" in told
    assert not (tmp_path / "village").exists()
