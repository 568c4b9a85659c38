from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

import pytest

from gridcore.logs import BYTES_SHOWN_MAX, REDACTED, SILENCED, clean_text, configure_logs, get_logger, is_secret_key

PEM = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nTUlHSEFnRUE\n-----END ENCRYPTED PRIVATE KEY-----"


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    output = capsys.readouterr()
    assert output.out == ""
    return [json.loads(line) for line in output.err.splitlines()]


@dataclass(frozen=True)
class Holder:
    gateway: str
    password: str


@pytest.mark.parametrize(
    "facts",
    [
        {"password": "hunter2"},
        {"pin": "hunter2"},
        {"hsm_pin": "hunter2"},
        {"Key-Password": "hunter2"},
        {"private_key": b"hunter2"},
        {"signing_key": "hunter2"},
        {"scalar": "hunter2"},
        {"influx_token": "hunter2"},
        {"authorization": "hunter2"},
        {"customer_name": "hunter2"},
        {"name": "hunter2"},
        {"address": "hunter2"},
        {"account_number": "hunter2"},
        {"config": {"node": [{"password": "hunter2"}]}},
        {"config": Holder("gw1", "hunter2")},
        {"uri": "mqtt://gw1:hunter2@127.0.0.1:1883/x"},
        {"line": "connect password=hunter2 host=x"},
        {"line": 'pin: "hunter2"'},
        {"line": "?pin-value=hunter2&x=1"},
        {"line": "Authorization: Bearer hunter2"},
        {"body": PEM.replace("TUlHSEFnRUE", "hunter2")},
        {"body": PEM.replace("TUlHSEFnRUE", "hunter2").encode()},
        {"body": "-----BEGIN PRIVATE KEY-----\nhunter2 cut"},
        {"error": ValueError("password=hunter2")},
        {"deep": [[[[[[[[[["hunter2"]]]]]]]]]]},
    ],
)
def test_secret_never_reaches_a_log_line(facts: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    for is_json in (True, False):
        configure_logs(json=is_json)
        get_logger("x").warning("batch_signed", counter=7, **facts)
        output = capsys.readouterr().err
        assert "hunter2" not in output
        assert b"hunter2".hex() not in output
        assert REDACTED in output
        assert "batch_signed" in output


def test_secret_in_a_traceback_and_in_a_library_line_is_cut_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(json=True)
    try:
        raise ValueError("login with password=hunter2 failed")
    except ValueError:
        get_logger("x").exception("login_failed")
    logging.getLogger("pymodbus").error("token=%s host=%s", "hunter2", "h1")
    first, second = logged(capsys)
    assert "ValueError: login with password=" in first["exception"]
    assert second["event"] == f"token={REDACTED} host=h1"
    assert second["module"] == "pymodbus"
    assert "hunter2" not in json.dumps([first, second])


def test_facts_that_are_no_secret_stay(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(json=True)
    facts = {
        "gateway": "gw1",
        "public_key": "04ab",
        "counter": 7,
        "host": "127.0.0.1:502",
        "has_spinner": True,
        "path": "/run/node.pid",
    }
    get_logger("edge.agent").info("batch_signed", digest=b"\x01\x02", rows=b"\0" * (BYTES_SHOWN_MAX + 1), **facts)
    (line,) = logged(capsys)
    assert line["event"] == "batch_signed"
    assert line["module"] == "edge.agent"
    assert line["level"] == "info"
    assert line["at"].endswith("Z")
    assert line["digest"] == "0102"
    assert line["rows"].endswith(f"... ({BYTES_SHOWN_MAX + 1} bytes)")
    assert facts.items() <= line.items()


def test_level_filters_and_second_configuration_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(json=True, level="info")
    configure_logs(json=True, level="error")
    get_logger("x").info("quiet")
    logging.getLogger("hypercorn").warning("quiet")
    get_logger("x").error("loud")
    logging.getLogger("hypercorn").error("loud too")
    assert [line["event"] for line in logged(capsys)] == ["loud", "loud too"]


def test_gone_reader_of_the_log_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, _: str) -> int:
            raise BrokenPipeError

    configure_logs(json=False)
    monkeypatch.setattr("sys.stderr", Gone())
    get_logger("x").error("lost")


def test_words_are_judged_whole() -> None:
    assert is_secret_key("smtp_password")
    assert is_secret_key("PIN")
    assert not is_secret_key("spin_count")
    assert not is_secret_key("tokens_per_s")
    assert clean_text("mapping: 5, spin=3, tokenize = 4") == "mapping: 5, spin=3, tokenize = 4"


@pytest.mark.parametrize("turn", [1, 2])
def test_logs_that_one_test_configures_are_as_before_in_the_next(turn: int, capsys: pytest.CaptureFixture[str]) -> None:
    get_logger("x").warning("told", turn=turn)
    assert f"event='told' module='x' turn={turn}" in capsys.readouterr().err
    configure_logs(json=True, level="error")  # what the second turn would see


def test_libraries_that_our_events_speak_for_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(json=True, level="debug")
    for name in SILENCED:
        logging.getLogger(name).error("Connection to (127.0.0.1, 9) failed")
    logging.getLogger("another.library").error("said")
    assert [line["event"] for line in logged(capsys)] == ["said"]
