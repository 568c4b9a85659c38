"""Every figure that pages and node give of a finished demonstration is that of its files: each party, slot, line and posting."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from gridcore.signers import open_signer
from ledger.client import Client, run_with_client
from tests.demo.checks import SLOT_S
from tests.demo.demo_run import Finished
from tests.demo.live import LiveDemo, Visitor, live_demo

pytestmark = pytest.mark.slow
HOUSEHOLDS, SLOTS = 12, 12
AREA, DAY = "A1", "2026-06-21"
COLUMNS: Final = ("import_wh", "export_wh", "bought_wh", "sold_wh", "pays_nano", "supplier_only_nano")
KINDS: Final = (
    "trade_buy trade_sell residual_import surplus residual_export shortfall network_traded network_residual levy"
).split()
PAGES_SHOWN: Final = ("H001", "H005", "H113", "L001")
"""Parties whose pages are read as well: a buyer and a seller of the market, a home that does not trade, a load."""


class Taken(NamedTuple):
    """What a party took, traded and owes in a slot, in the order of COLUMNS: Wh and nano."""

    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int
    pays_nano: int
    supplier_only_nano: int


class Files:
    """The files of a finished demonstration, put together by party and slot by arithmetic of their own."""

    def __init__(self, out: Path) -> None:
        demo = Finished(out, 0, "", "", 0.0)
        self.meter_of = {row["party"]: row["meter"] for row in demo.rows("meters.csv") if row["party"]}
        modulus_of = {row["meter"]: int(row["modulus_wh"]) for row in demo.rows("meters.csv")}
        register = {
            (row["meter"], int(row["boundary_s"])): (int(row["import_wh"]), int(row["export_wh"]))
            for row in demo.rows("registers.csv")
        }
        self.lines: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for row in demo.rows("statements.csv"):
            numbers = (int(row["energy_wh"]), int(row["price_micro_per_kwh"]), int(row["amount_nano"]))
            self.lines[row["party"]].append((int(row["slot_start_s"]), row["line_kind"], *numbers))
        self.posted: dict[tuple[str, int], int] = defaultdict(int)
        for row in demo.rows("postings.csv"):
            amount_nano = int(row["debit_nano"]) - int(row["credit_nano"])
            self.posted[row["account"], int(row["slot_start_s"])] += amount_nano
        self.slots = sorted({slot_start_s for _, slot_start_s in self.posted})
        side = {row["order"]: row["side"] for row in demo.rows("orders.csv")}
        filled: dict[tuple[str, int, str], int] = defaultdict(int)
        for row in demo.rows("fills.csv"):
            party = row["order"].partition("/")[0]
            filled[party, int(row["slot_start_s"]), side[row["order"]]] += int(row["filled_wh"])
        self.volume_wh = {
            slot: sum(wh for (_, at, of), wh in filled.items() if (at, of) == (slot, "buy")) for slot in self.slots
        }
        prices = tomllib.loads((out / "rules.toml").read_text("utf-8"))["prices"]
        import_micro = sum(prices[f"{name}_micro_per_kwh"] for name in ("residual_price", "network_residual", "levy"))
        export_micro = prices["feed_in_price_micro_per_kwh"]
        self.taken: dict[str, dict[int, Taken]] = {}
        for party, meter in self.meter_of.items():
            self.taken[party] = {}
            for slot in self.slots:
                spans = zip(register[meter, slot], register[meter, slot + SLOT_S], strict=True)
                energy = [end - start + (modulus_of[meter] if end < start else 0) for start, end in spans]
                bought_wh, sold_wh = (filled.get((party, slot, of), 0) for of in ("buy", "sell"))
                posted_nano = self.posted.get((party, slot), 0)
                alone_nano = energy[0] * import_micro - energy[1] * export_micro
                self.taken[party][slot] = Taken(energy[0], energy[1], bought_wh, sold_wh, posted_nano, alone_nano)

    def sums(self, party: str) -> tuple[int, ...]:
        """COLUMNS over all slots."""
        return tuple(map(sum, zip(*self.taken[party].values(), strict=True)))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDemo]:
    """A demonstration whose slots are over, with every one of them in the series of its pages."""
    with live_demo(tmp_path_factory.mktemp("figures") / "out", households=HOUSEHOLDS, slots=SLOTS) as demo:
        demo.wait_until_over()
        visitor = demo.visitor("regulator")
        demo.wait_for(lambda: True if visitor.rows("/api/v1/areas")[0]["settled"] == SLOTS else None, "projected slots")
        yield demo


@pytest.fixture(scope="module")
def files(demo: LiveDemo) -> Files:
    """What its files say."""
    return Files(demo.out)


@pytest.fixture(scope="module")
def visitor(demo: LiveDemo) -> Visitor:
    """A clerk of the utility."""
    return demo.visitor("utility")


def test_every_party_has_the_lines_of_the_statements_and_energies_of_the_registers(
    files: Files, visitor: Visitor
) -> None:
    assert len(files.meter_of) > HOUSEHOLDS, "homes that do not trade are billed too"
    assert len(files.slots) == SLOTS
    for party, taken in files.taken.items():
        lines = [tuple(row.values()) for row in visitor.rows(f"/api/v1/households/{party}/lines")]
        assert sorted(lines) == sorted(files.lines[party]), party
        curve = visitor.rows(f"/api/v1/households/{party}/intervals")
        settled = {row["slot_start_s"]: row for row in curve if row["pays_nano"] is not None}
        assert {slot: Taken(*(row[name] for name in COLUMNS)) for slot, row in settled.items()} == taken, party
        (day,) = visitor.rows(f"/api/v1/households/{party}/days")
        assert (day["slots_settled"], *(day[name] for name in COLUMNS)) == (SLOTS, *files.sums(party)), party
        kinds = visitor.rows(f"/api/v1/households/{party}/kinds")
        assert sum(row["amount_nano"] for row in kinds) == files.sums(party)[4], party
        assert sum(row["lines"] for row in kinds) == len(files.lines[party]), party


def test_the_utilitys_tables_have_every_party_slot_and_account_of_the_files(files: Files, visitor: Visitor) -> None:
    parties = visitor.rows(f"/api/v1/areas/{AREA}/days/{DAY}/parties")
    assert {row["party"]: tuple(row[name] for name in COLUMNS) for row in parties} == {
        party: files.sums(party) for party in files.taken
    }
    volumes_wh = {row["slot_start_s"]: row["volume_wh"] for row in visitor.rows(f"/api/v1/areas/{AREA}/slots")}
    for slot in files.slots:
        rows = visitor.rows(f"/api/v1/areas/{AREA}/slots/{slot}/positions")
        assert {row["party"]: Taken(*(row[name] for name in COLUMNS)) for row in rows} == {
            party: taken[slot] for party, taken in files.taken.items()
        }
        money = visitor.rows(f"/api/v1/areas/{AREA}/slots/{slot}/money")
        of_slot = [line for lines in files.lines.values() for line in lines if line[0] == slot]
        assert sum(row["lines"] for row in money) == len(of_slot)
        assert sum(row["amount_nano"] for row in money) == sum(line[-1] for line in of_slot)
        assert volumes_wh[slot] == files.volume_wh[slot]


def test_the_nodes_own_answers_are_those_of_the_files(demo: LiveDemo, files: Files) -> None:
    async def ask(client: Client) -> None:
        for slot in files.slots:
            run = await client.query(f"areas/{AREA}/slots/{slot}/run")
            lines = defaultdict(list)
            for line in run["lines"]:
                numbers = (line["energy_wh"], line["price_micro_per_kwh"], line["amount_nano"])
                lines[line["party"]].append((slot, line["line_kind"], *numbers))
            for party, expected in files.lines.items():
                assert sorted(lines[party]) == sorted(line for line in expected if line[0] == slot), (party, slot)
            posted = {one["account"]: one["debit_nano"] - one["credit_nano"] for one in run["postings"]}
            wanted = {account: nano for (account, at), nano in files.posted.items() if at == slot}
            assert posted == wanted, slot
            found = await client.query(f"areas/{AREA}/slots/{slot}/positions")
            columns = zip(*(found[name] for name in COLUMNS), strict=True)
            assert dict(zip(found["parties"], map(tuple, columns), strict=True)) == {
                party: taken[slot] for party, taken in files.taken.items()
            }
            own = await client.query(f"areas/{AREA}/slots/{slot}/positions", party="H005")
            assert own["parties"] == ["H005"]
            assert tuple(own[name][0] for name in COLUMNS) == files.taken["H005"][slot]

    run_folder = demo.out / "run"
    node = tomllib.loads((run_folder / "node.toml").read_text("utf-8"))["listen"]
    key, password = (f"file:{run_folder / name}" for name in ("utility.pem", "utility.password"))
    signer = open_signer(key, password, origin="key")
    run_with_client(f"http://{node['host']}:{node['port']}", ask, signer_id="utility", signer=signer)


@pytest.mark.parametrize("party", PAGES_SHOWN)
def test_a_households_own_pages_say_what_the_files_say(demo: LiveDemo, files: Files, party: str) -> None:
    visitor = demo.visitor("household", party)
    pays_nano = files.sums(party)[4]
    said = "You get" if pays_nano < 0 else "You pay"
    day, statement = visitor.text(f"/households/{party}?day={DAY}"), visitor.text(f"/households/{party}/statement")
    assert f"So far: {SLOTS} of 96 slots of the day are settled." in day
    (amount,) = re.findall(rf"{said} ([\d.,]+) CNY\.", day)
    digits = len(amount.partition(".")[2])
    assert digits >= 2
    assert amount == f"{round(abs(pays_nano) / 10**9, digits):,.{digits}f}"
    assert f"{to_four_digits(pays_nano)}" in statement
    links = re.findall(
        rf'href="/households/{party}/lines/(\d+)/(\w+)"', visitor.get(f"/households/{party}/statement").text
    )
    assert [(int(slot), kind) for slot, kind in links] == sorted(
        ((slot, kind) for slot, kind, *_ in files.lines[party]), key=lambda line: (line[0], KINDS.index(line[1]))
    )


def to_four_digits(nano: int) -> str:
    """An amount as a table shows it."""
    return f"{abs(nano) / 10**9:,.4f}"
