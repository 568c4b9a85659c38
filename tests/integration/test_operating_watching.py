"""docs/operating/watching.md: the command, and every metric that the page names."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from ledger.engines.base import STALLS
from tests.integration.village import FIRST_S, PAGES, RUN_NODE, SLOT_S, blocks_of, founded


def test_the_page_names_metrics_and_stalls_that_a_node_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (status,) = blocks_of("watching.md")
    page = (PAGES / "watching.md").read_text(encoding="utf-8")
    metrics, stalls = (re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) for part in page.split("| `stall` |"))
    village = founded(tmp_path)
    with village.running(RUN_NODE):
        village.advance(FIRST_S - SLOT_S)
        village.do(status)
        text = httpx.get(f"{village.url}/metrics").text
    assert "height 1" in capsys.readouterr().out
    assert [name for name in metrics if f"gridledger_node_{name} " not in text] == []
    assert stalls == list(STALLS)
