"""``edge check --support``: secrets and names are planted wherever one can be written, and none is in the bundle."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from edge.outbox import Entry
from edge.progress import RefusedRow, Seen
from edge.support import LOG_LINES_MAX, Vocabulary, make_bundle
from gridledger.cli import main
from tests.unit.edge_agent.edge_world import FIRST_S, new_outbox, next_batch, write_config

PLANTED = {
    "Xyzzy7", "48291357", "Hildegard", "Quispe", "hush", "oops", "zhangsan", "482913", "\u5f20\u4e09", "8f0c2d9e5b71a4c6", "tr0ub4dor",
    "openbao", "wimbledon", "grandmother",
}  # fmt: skip
"""Passwords, a PIN, key material and names; none of them is a word of this program."""
TABLES = """
[[brokers]]
broker = "Hildegard Quispe"
host = "zhangsan.openbao.example"
user = "Quispe"
password = "file:password"
client_id = "Hildegard"
[[devices]]
number = 9001
device = "\u5f20\u4e09 at home"
broker = "Hildegard Quispe"
address = "wimbledon"
profile = "shelly_pro3em"
[[lines]]
line = "grandmother"
host = "10.0.0.7"
port = 503
[[meters]]
number = 77
meter = "Hildegard Quispe"
line = "grandmother"
unit_id = 5
limit_wh = 10000
profile = "acrel_adl400"
"""
LOG = [
    json.dumps({"event": "agent_started", "level": "info", "gateway": "gw-1", "epoch": 3, "timestamp": "2026-11-29T16:00:01.123456Z"}),
    json.dumps({"event": "meter_not_read", "meter": "Hildegard Quispe", "boundary_s": FIRST_S, "reason": "no_answer",
                "detail": "grandmother: unit 5, registers 0x48+4: no answer within 300 ms"}),
    json.dumps({"event": "key_opened", "pin": 482913, "password": "tr0ub4dor", "key_password": "Xyzzy7", "number": 7}),
    json.dumps({"event": "odd", "reason": "PIN 482913 of Hildegard, password=Xyzzy7 key 8f0c2d9e5b71a4c6", "Xyzzy7": 1,
                "table": {"password": "Xyzzy7"}, "list": ["48291357"]}),
    "Xyzzy7 started by zhangsan@openbao.example with 48291357 and \u5f20\u4e09",
    "[" * 10_000,
]  # fmt: skip


def files_of(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        return {name: bundle.read(name).decode() for name in bundle.namelist()}


def leaks(data: bytes) -> list[str]:
    """Which planted texts stand in a file of the bundle, whole or as the beginning of a longer one."""
    text = "\n".join(files_of(data).values()).lower()
    return [word for word in PLANTED if word.lower() in text]


def planted_config(folder: Path, **changes: str) -> Path:
    """A configuration with names and secrets in every place where somebody might write one."""
    path = write_config(folder, "http://127.0.0.1:9", _tables=TABLES, **changes)
    text = path.read_text().replace('meter = "M-1"', 'meter = "wimbledon"')
    path.write_text("# my password is Xyzzy7, PIN 48291357\n" + text)
    return path


def test_nothing_planted_leaves_and_what_helps_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = planted_config(tmp_path)
    outbox = new_outbox(tmp_path / "outbox.sqlite", 2)
    outbox.store([Entry(FIRST_S + 9000, next_batch, seen=Seen((("Hildegard Quispe", "no connection (zhangsan)"),)))])
    outbox.acknowledge([1], 12, b"\x01" * 32, [RefusedRow(FIRST_S, 77, 83)])
    outbox.note_alarm("batch 2 was refused: 47 ROWS_MISMATCH by Hildegard with 482913")
    outbox.close()
    (tmp_path / "log").write_text("\n".join(LOG))
    bundle = tmp_path / "support.zip"
    words = ["edge", "check", "--config", str(path), "--support", str(bundle), "--log", str(tmp_path / "log")]
    assert main(words) == 0, capsys.readouterr().err
    assert bundle.stat().st_mode & 0o777 == 0o600
    files = files_of(bundle.read_bytes())
    assert leaks(bundle.read_bytes()) == []
    config = json.loads(files["config.json"])
    assert (config["gateway"], config["key"], config["key_password"]) == ("gw-1", "file:(given)", "(given)")
    assert config["lines"][0] == {"line": "(given)", "host": "10.0.0.7", "port": 503}
    assert [row["number"] for row in config["meters"]] == [77, 1]
    assert config["meters"][0]["profile"] == "acrel_adl400"
    assert config["node"] == "http://127.0.0.1:9"
    outbox_told = json.loads(files["outbox.json"])
    assert (outbox_told["batches"], outbox_told["refused_rows"]) == (2, [[FIRST_S, 77, 83]])
    assert outbox_told["alarm"].startswith("batch 2 was refused: 47 ROWS_MISMATCH by #")
    log = files["log.txt"].splitlines()
    assert json.loads(log[0])["event"] == "agent_started"
    assert json.loads(log[0])["timestamp"] == "2026-11-29T16:00:01.123456Z"
    told = json.loads(log[1])
    assert (told["boundary_s"], told["reason"]) == (FIRST_S, "no_answer")
    assert told["detail"] == "#: unit 5, registers 0x48+4: no answer within 300 ms"
    assert main(words) == 2
    assert "exists already and is not overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        'password = "Xyzzy7"\nkey_password = "Xyzzy7"\nXyzzy7 = 48291357\n',
        'key = "Xyzzy7"\ngateway = ["Hildegard"]\nclock = "zhangsan"\nnode = "http://zhangsan:Xyzzy7@openbao:1/"\n',
        'node = "Xyzzy7://48291357:80"\nprofile_signer = "8f0c2d9e5b71a4c6"\nlines = "Hildegard"\n',
        'key = "file:Hildegard.pem"\nmore_nodes = ["http://[Xyzzy7"]\n[sampling]\nslot_s = "48291357"\nXyzzy7 = 1\n',
        "password = Xyzzy7 48291357 [[[",
    ],
)
def test_a_configuration_that_is_refused_makes_a_bundle_too(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(content)
    assert (
        main(["edge", "check", "--config", str(path), "--support", str(tmp_path / "out.zip"), "--log", str(path)]) == 2
    )
    assert len(capsys.readouterr().err.splitlines()) == 1
    data = (tmp_path / "out.zip").read_bytes()
    assert leaks(data) == []
    assert files_of(data)["check.txt"].strip()


def test_only_the_newest_lines_of_a_log_leave(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    log = [json.dumps({"event": "batch_queued", "counter": number}) for number in range(LOG_LINES_MAX + 1)]
    lines = files_of(make_bundle(path, "1", "in order", None, log))["log.txt"].splitlines()
    assert (len(lines), json.loads(lines[0])["counter"]) == (LOG_LINES_MAX, 1)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("PIN 482-913 refused", "PIN #-# refused"),
        ("PIN 48 29 13 57", "PIN # # # #"),
        ("PIN 482\u2013913", "PIN ###"),
        ("key 0x8f0c, 0x2d9e", "key #, #"),
        ("PIN 12.34.56.78.90", "PIN #.#.#.#.#"),
        (
            "unit 5, registers 0x9c40+100: no answer within 300 ms",
            "unit 5, registers 0x9c40+100: no answer within 300 ms",
        ),
        ("1-0:16.7.0 of 10.0.0.17: 47 refused, code 3", "1-0:16.7.0 of 10.0.0.17: 47 refused, code 3"),
    ],
)
def test_a_pin_or_key_in_groups_is_left_out_and_places_stay(said: str, left: str) -> None:
    words = Vocabulary(())
    assert words.clean(said) == left
    assert json.loads(words.clean_line(json.dumps({"event": "odd", "reason": said})))["reason"] == left
