"""A bill line down to its proof: what the page shows, the check, the attempts at cheating, and when there is no proof yet."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from gridcore import cbor, verify
from gridcore.sm3 import sm3
from gridevidence import forgery
from gridevidence.view import decode_bundle
from gridweb import proofs
from gridweb.access import Role
from gridweb.pages import line_tables
from gridweb.pages.household_tables import line_url
from ledger.client import NodeBusy
from ledger.http.queries.contracts import contract_answer
from settlement.catalogue import CATALOGUE
from tests.conftest import REPOSITORY
from tests.second_verifier.evidence import Evidence
from tests.unit.verify.honest import HONEST, ROLLED, TRADE, evidence
from tests.unit.web.household_world import evidence_world
from tests.unit.web.household_world import household as browser_of
from tests.unit.web.web_world import DAY_S, Browser, World

MID_MARKET = contract_answer(CATALOGUE["mid_market_rate/1"].contract, CATALOGUE["mid_market_rate/1"].vocabulary)
PARTY, START_S = "h1", 9_000
APPROVED: Evidence = HONEST["a register that an organisation answers for"]
LINE = f"/households/{PARTY}/lines/{START_S}/trade_buy"
STEM = f"a1-{PARTY}-trade_buy-1970-01-01T0230"
"""Of the files of that line."""
BUNDLE = TRADE.bundle_bytes
API_LINE = f"/api/v1{LINE}"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return evidence_world(tmp_path, TRADE)


def household(world: World, language: str = "en") -> Browser:
    """The browser of the household that the bundle is about."""
    return browser_of(world, language, PARTY)


async def cheat(browser: Browser, what: str, **options: Any) -> str:
    response = await browser.post(f"{LINE}/cheat", {"what": what}, **options)
    assert response.status_code == 200
    return unescape(await response.get_data(as_text=True))


def test_every_word_of_verifier_and_forgery_has_its_translation() -> None:
    assert line_tables.CLAIM_TITLES.keys() == verify.CLAIMS.keys()
    beside = (verify.IMPORTED_UNSIGNED, verify.TRADES_UNSHOWN, verify.IMPORT_ESTIMATE_UNCHECKED)
    assert list(line_tables.NOT_CHECKED) == [*verify.CLAIMS.values(), *verify.NEVER_CHECKED, *beside]
    assert line_tables.ANSWERS.keys() == verify.EXIT_STATUS.keys() - {verify.BAD_USAGE}
    assert line_tables.ALTERATION_TITLES.keys() == forgery.ALTERATIONS.keys()
    for contract_id, known in verify.CONTRACTS.items():
        words = CATALOGUE[contract_id].vocabulary
        assert list(known.not_checked) == [text["en"] for text in words.not_checked]


async def test_the_page_shows_the_integer_arithmetic_down_to_registers_signatures_and_blocks(world: World) -> None:
    page = unescape(await household(world).text(LINE)).replace("\N{NO-BREAK SPACE}", " ")
    view = decode_bundle(BUNDLE)
    assert "600 Wh × 100000 µCNY/kWh = 60000000 nCNY" in page
    assert "(51000 − 50000) × 1 = 1000 Wh" in page
    summary = re.search(r"([\d.]+) kWh × ([\d.]+) CNY/kWh = <strong>([\d.]+) CNY", page)
    assert summary is not None
    assert Decimal(summary[1]) * Decimal(summary[2]) == Decimal(summary[3]) != 0
    assert f"{PARTY}/{START_S}/1" in page
    for shown in (
        view.readings[0].batch.signature.hex(),
        view.readings[1].batch.signed.hex(),
        view.readings[1].batch.public_key.hex(),
        view.orders[0].transaction.id.hex(),
        view.header.state_root.hex(),
        view.run.contract,
        view.readings[0].batch.block.digest.hex()[:12],
    ):
        assert shown in page
    assert page.count(f"{view.position.pays_nano} nCNY") == 1


async def test_the_page_says_whose_the_keys_are_and_which_clock_the_gateway_stated(world: World) -> None:
    page = unescape(await household(world).text(LINE))
    for key in decode_bundle(BUNDLE).keys:
        assert key.fingerprint in page
    assert "enrolled by admin in block 1" in page
    assert "named by genesis" in page
    assert "the gateway states itself" in page
    trust = world.site.config.trust
    pins = [
        {"signer": "h1", "fingerprint": key.fingerprint} for key in decode_bundle(BUNDLE).keys if key.signer == "h1"
    ]
    trust.write_text(json.dumps({**TRADE.trust, "pins": pins}))
    assert "pinned in the trust root; enrolled by admin in block 1" in await household(world).text(LINE)


@pytest.mark.parametrize(
    ("of", "sums"),
    [
        (evidence(ROLLED), ["M-1, Import: (500 − 99500 + 100000) × 1 = 1000 Wh"]),
        (
            HONEST["a meter exchanged inside the slot"],
            ["M-1, Import: (50400 − 50000) × 1 = 400 Wh", "M-3, Import: (700 − 100) × 1 = 600 Wh"],
        ),
    ],
    ids=["rolled over", "exchanged"],
)
async def test_a_register_that_rolled_over_and_an_exchanged_meter_are_shown(
    tmp_path: Path, of: Evidence, sums: list[str]
) -> None:
    page = unescape(await household(evidence_world(tmp_path, of)).text(LINE)).replace("\N{NO-BREAK SPACE}", " ")
    shown = re.sub(r"<[^>]*>", "", page)
    assert [text for text in sums if text in shown] == sums


async def test_a_later_run_is_told_of(tmp_path: Path) -> None:
    world = evidence_world(tmp_path, HONEST["a later run"])
    assert "<dt>Later runs</dt><dd>corrected</dd>" in await household(world).text(LINE)


async def test_nothing_of_a_neighbour_stands_in_what_a_household_gets(world: World) -> None:
    browser = household(world)
    for address in (LINE, f"{LINE}/bundle", f"{LINE}/altered?what=amount", f"{API_LINE}/terms", f"{API_LINE}/orders"):
        response = await browser.get(address)
        body = await response.get_data(as_text=False)
        assert response.status_code == 200, address
        assert not [name for name in (b"party/h2", b"signer/h2", b"h2/9000", b"M-2") if name in body], address


async def test_links_to_blocks_and_slots_are_for_those_who_may_open_them(world: World) -> None:
    assert "/blocks/" not in await household(world).text(LINE)
    page = await world.browser(Role.UTILITY).text(LINE)
    assert f'href="/slots/a1/{START_S}"' in page
    assert 'href="/blocks/4"' in page


async def test_from_a_line_a_clerk_reaches_the_correction_of_both_of_its_registers(world: World) -> None:
    page = await world.browser(Role.UTILITY).text(LINE)
    assert re.findall(r"/meters/[^/]+/correction\?boundary=(\d+)", page) == [str(START_S), str(START_S + 900)]
    assert "/correction" not in await household(world).text(LINE)


async def test_a_line_without_orders_says_so(tmp_path: Path) -> None:
    shared: Evidence = HONEST["a community without orders"]
    world = evidence_world(tmp_path, shared, MID_MARKET)
    page = await household(world).text(LINE.replace("trade_buy", "community_buy"))
    assert "No order of the party was filled in this slot." in page
    assert "forged_limit" not in page


async def test_trades_along_the_grid_show_the_fee_beside_the_price_and_others_have_no_column_for_it(
    tmp_path: Path,
) -> None:
    known = CATALOGUE["grid_fee_path/1"]
    placed = evidence_world(
        tmp_path, HONEST["a trade along the grid"], contract_answer(known.contract, known.vocabulary)
    )
    for language, title in (("en", "Grid fee"), ("zh_CN", "电网费用")):
        page = unescape(await household(placed, language).text(LINE)).replace("\N{NO-BREAK SPACE}", " ")
        assert f'<th scope="col">{title}</th>' in page
        assert "600 Wh × 265000 µCNY/kWh = 159000000 nCNY" in page
        assert "600 Wh × 35000 µCNY/kWh = 21000000 nCNY" in page
    table = json.loads(await household(placed).text(f"{API_LINE}/trades"))
    assert [row[-2:] for row in table["rows"]] == [[35_000, 21_000_000]]
    sold = line_tables.trades_table(decode_bundle(HONEST["a sell of the kind of its point"].bundle_bytes))
    assert [column.key for column in sold.columns] == [column.key for column in line_tables.TRADE_COLUMNS]


async def test_verify_now_lists_what_was_checked_and_what_was_not_in_both_languages(world: World) -> None:
    for language, answer, claim, unchecked in (
        ("en", "Verified", "Gateway and party signed", "that the meter measured right"),
        ("zh_CN", "已验证", "网关与主体（或其聚合商）均已签名", "电能表计量无误"),
    ):
        response = await household(world, language).post(f"{LINE}/verify")
        page = unescape(await response.get_data(as_text=True))
        assert 'data-answer="verified"' in page
        for text in (answer, claim, unchecked):
            assert text in page
        assert page.count("<code>certificate</code>") == 1
        assert "exit status 0" in page or "退出状态 0" in page


async def test_a_line_over_imported_energy_shows_the_file_and_that_no_meter_signed_it(tmp_path: Path) -> None:
    world = evidence_world(tmp_path, HONEST["an energy that was imported"])
    for language, words in (("en", "No meter signed it."), ("zh_CN", "没有电能表为其签名。")):
        page = unescape(await household(world, language).text(LINE))
        assert words in page
        assert sm3(b"readings").hex() in page
        assert "readings.csv" in page
        response = await household(world, language).post(f"{LINE}/verify")
        assert 'data-answer="verified"' in await response.get_data(as_text=True)


@pytest.mark.parametrize("what", [name for name in forgery.ALTERATIONS if name not in forgery.OF_IMPORTS])
async def test_trying_to_cheat_shows_both_verdicts_and_names_the_claim_that_failed(world: World, what: str) -> None:
    page = await cheat(household(world), what)
    altered = forgery.alter(BUNDLE, what)
    verdict = verify.verify_bundle(altered.data, verify.decode_trust(world.site.config.trust.read_bytes()))
    claim = verdict.reason.partition(":")[0]
    assert re.findall(r'data-answer="([\w ]+)"', page) == ["verified", "not verified"]
    assert re.findall(r'data-failed="(\w+)"', page) == [claim]
    assert line_tables.CLAIM_TITLES[claim] in page
    assert verdict.reason in page
    assert f"{LINE}/altered?what={what}" in page


def at_home(verifier: Path, bundle: Path, trust: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(verifier), str(bundle), "--trust", str(trust)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_the_altered_copy_can_be_taken_home_and_fails_there(world: World, tmp_path: Path) -> None:
    browser = household(world)
    await browser.text(LINE)
    copy, bundle = tmp_path / "altered.evd", tmp_path / "line.evd"
    response = await browser.get(f"{LINE}/altered?what=forged_reading")
    assert f'filename="{STEM}-altered-forged_reading.evd"' in response.headers["Content-Disposition"]
    copy.write_bytes(await response.get_data(as_text=False))
    bundle.write_bytes(await (await browser.get(f"{LINE}/bundle")).get_data(as_text=False))
    verifier = tmp_path / "verify.py"
    verifier.write_bytes(await (await browser.get("/verify.py")).get_data(as_text=False))
    trust = tmp_path / "trust.json"
    trust.write_bytes(await (await browser.get("/trust.json")).get_data(as_text=False))
    answers = [at_home(verifier, path, trust) for path in (bundle, copy)]
    assert [answer.returncode for answer in answers] == [0, 1]
    assert "NOT VERIFIED: signatures:" in answers[1].stdout


async def test_a_script_gets_the_verdict_alone(world: World) -> None:
    page = await cheat(household(world), "amount", headers={"HX-Request": "true"})
    assert "<html" not in page
    assert re.findall(r'data-failed="(\w+)"', page) == ["position"]


async def test_an_alteration_that_there_is_not_is_a_bad_request(world: World) -> None:
    browser = household(world)
    for what in ("", "weather", "<script>"):
        response = await browser.post(f"{LINE}/cheat", {"what": what})
        assert response.status_code == 400
        assert "<script>" not in await response.get_data(as_text=True)
        assert (await browser.get(f"{LINE}/altered", query_string={"what": what})).status_code == 400


async def test_page_download_check_and_cheat_are_about_the_same_bytes_asked_once(world: World) -> None:
    browser = household(world)
    await browser.text(LINE)
    world.node.answers["evidence"] = b"another bundle, made later"
    response = await browser.get(f"{LINE}/bundle")
    assert await response.get_data(as_text=False) == BUNDLE
    assert response.headers["Content-Disposition"] == f'attachment; filename="{STEM}.evd"'
    assert (await browser.post(f"{LINE}/verify")).status_code == 200
    assert [path for path, _ in world.node.asked].count("evidence") == 1


@pytest.mark.parametrize(("room", "asked"), [(2, 2), (1, 3), (0, 3)])
async def test_bundles_are_kept_at_hand_while_there_is_room(
    world: World, monkeypatch: pytest.MonkeyPatch, room: int, asked: int
) -> None:
    monkeypatch.setattr(proofs, "BUNDLES_BYTES_MAX", room * len(BUNDLE))
    browser = household(world)
    for kind in ("trade_buy", "levy", "levy", "trade_buy"):
        assert (await browser.get(LINE.replace("trade_buy", kind) + "/bundle")).status_code == 200
    assert [path for path, _ in world.node.asked].count("evidence") == asked


async def test_a_busy_node_is_not_said_to_wait_for_the_next_block(world: World) -> None:
    def busy(**_: Any) -> bytes:
        raise NodeBusy("http://127.0.0.1:1: …", "256 questions wait already; ask again later")

    world.node.answers["evidence"] = busy
    browser = household(world)
    response = await browser.get(LINE)
    page = await response.get_data(as_text=True)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    assert "The proof cannot be fetched now." in page
    assert "256 questions wait already" in page
    assert "newest block" not in page
    assert f'hx-get="{LINE}"' in page, "it looks again by itself"


@pytest.mark.parametrize("word", ["not-yet", "busy"])
async def test_programs_are_told_not_yet_from_busy(world: World, word: str) -> None:
    def later(**_: Any) -> bytes:
        raise NodeBusy("http://127.0.0.1:1: …", "later", word)

    world.node.answers["evidence"] = later
    response = await household(world).get(f"/api/v1{LINE}/terms")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    assert (await response.get_json())["type"] == f"urn:gridledger:problem:{word}"


async def test_a_line_of_the_newest_block_is_said_not_to_be_provable_yet_and_the_page_looks_again(world: World) -> None:
    def too_new(**_: Any) -> bytes:
        raise NodeBusy(
            "http://127.0.0.1:1: …", "block 7 is the newest; the next block makes its content provable", "not-yet"
        )

    made, world.node.answers["evidence"] = world.node.answers["evidence"], too_new
    browser = household(world)
    response = await browser.get(LINE)
    page = await response.get_data(as_text=True)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    assert "This line cannot be proved yet." in page
    assert "stands in the newest block" in page
    assert "the next block makes its content provable" in page
    assert "hx-trigger" in page
    assert world.site.source.outages() == []
    assert (await browser.get(f"{LINE}/bundle")).status_code == 503
    assert (await browser.post(f"{LINE}/verify")).status_code == 503
    world.node.answers["evidence"] = made
    assert "This line cannot be proved yet." not in await browser.text(LINE)


async def test_a_line_that_there_is_not_is_not_found_and_a_kind_that_there_is_not_is_refused(world: World) -> None:
    browser = household(world)
    assert (await browser.get(f"/households/{PARTY}/lines/{START_S}/dividend")).status_code == 400
    del world.node.answers["evidence"]
    assert (await browser.get(f"/households/{PARTY}/lines/{START_S}/levy")).status_code == 404


@pytest.mark.parametrize("slot", [START_S + 1, START_S - 1000 * DAY_S, 10**30])
async def test_an_instant_at_which_no_slot_begins_is_not_found_and_not_asked_of_the_node(
    world: World, slot: int
) -> None:
    browser = household(world)
    line = f"/households/{PARTY}/lines/{slot}/levy"
    for address in (line, f"{line}/bundle", f"{line}/altered?what=amount", f"/api/v1{line}/terms"):
        assert (await browser.get(address)).status_code == 404, address
    assert (await browser.post(f"{line}/verify")).status_code == 404
    assert "evidence" not in [path for path, _ in world.node.asked]


async def test_another_household_gets_nothing_of_a_line_in_any_way(world: World) -> None:
    stranger = world.browser(Role.HOUSEHOLD, "h2")
    addresses = [LINE, f"{LINE}/bundle", f"{LINE}/altered?what=amount"]
    addresses += [f"{API_LINE}/{name}" for name in ("terms", "orders", "readings")]
    statuses = [(await stranger.get(address)).status_code for address in addresses]
    statuses += [(await stranger.post(f"{LINE}/{name}")).status_code for name in ("verify", "cheat")]
    assert set(statuses) == {403}
    assert "evidence" not in [path for path, _ in world.node.asked]


async def test_the_tables_of_a_line_are_exact(world: World) -> None:
    browser = household(world)
    terms = await (await browser.get(f"{API_LINE}/terms")).get_json()
    assert ["trade_buy", 600, 100_000, 60_000_000] in terms["rows"]
    assert terms["totals"][3] == decode_bundle(BUNDLE).position.pays_nano
    orders = await (await browser.get(f"{API_LINE}/orders")).get_json()
    assert orders["rows"][0] == [f"{PARTY}/{START_S}/1", "buy", 600, 300_000, 600, 100_000]
    readings = await (await browser.get(f"{API_LINE}/readings")).get_json()
    assert readings["rows"][1] == [START_S + 900, 51_000, 0, 1, "measured", "late", -80, "synced", 3]


async def test_the_verifier_handed_out_is_the_one_of_the_repository_and_its_digest_is_shown(world: World) -> None:
    source = (REPOSITORY / "gridcore" / "verify.py").read_bytes()
    browser = world.browser()
    assert await (await browser.get("/verify.py")).get_data(as_text=False) == source
    page = await household(world).text(LINE)
    assert sm3(source).hex() in page
    assert f"python3 -I -S verify.py {STEM}.evd --trust trust.json" in page


async def test_a_trust_root_of_another_chain_cannot_decide_and_a_broken_one_is_a_fault_in_words(world: World) -> None:
    browser = household(world)
    trust = world.site.config.trust
    good = trust.read_text()
    trust.write_text(good.replace(str(TRADE.trust["chain"]), "village" + "f" * 16))
    response = await browser.post(f"{LINE}/verify")
    assert 'data-answer="cannot be decided"' in await response.get_data(as_text=True)
    for broken in ("{", "{}"):
        trust.write_text(broken)
        response = await browser.post(f"{LINE}/verify")
        assert response.status_code == 500
        assert "trust" in await response.get_data(as_text=True)
    trust.unlink()
    assert (await browser.get("/trust.json")).status_code == 500


async def test_a_node_that_hands_out_a_broken_bundle_is_found_out_and_does_not_break_the_page(tmp_path: Path) -> None:
    world = evidence_world(tmp_path, TRADE)
    browser = household(world)
    parts = cbor.decode(BUNDLE)
    parts["position"]["row"] = parts["position"]["row"][:-1] + b"\x01"
    world.node.answers["evidence"] = cbor.encode(parts)
    response = await browser.post(f"{LINE}/verify")
    assert 'data-failed="position"' in await response.get_data(as_text=True)


async def test_bytes_from_the_node_that_are_no_bundle_are_no_traceback(tmp_path: Path) -> None:
    world = evidence_world(tmp_path, TRADE)
    world.node.answers["evidence"] = b"nonsense"
    response = await household(world).get(LINE)
    assert response.status_code == 500
    assert "Traceback" not in await response.get_data(as_text=True)


async def test_a_line_of_one_of_several_points_is_proved_at_that_point(tmp_path: Path) -> None:
    world = evidence_world(tmp_path, HONEST["a party with two points"])
    browser = household(world)
    of_point = line_url(PARTY, START_S, "trade_buy", "p1")
    assert f'action="{of_point}/verify#verdict"' in await browser.text(of_point)
    response = await browser.post(f"{of_point}/verify", {})
    assert 'data-answer="verified"' in await response.get_data(as_text=True)
    assert "p1" in [params.get("point") for path, params in world.node.asked if path == "evidence"]
    bundle = await browser.get(f"{of_point}/bundle")
    assert bundle.headers["Content-Disposition"].endswith('filename="a1-h1-trade_buy-p1-1970-01-01T0230.evd"')


@pytest.mark.parametrize(("language", "words"), [("en", "nobody's meter signed"), ("zh_CN", "负责")])
async def test_a_register_that_somebody_answers_for_is_shown_with_who_and_why(
    tmp_path: Path, language: str, words: str
) -> None:
    world = evidence_world(tmp_path, APPROVED)
    browser = household(world, language)
    page = unescape(await browser.text(LINE))
    (approval,) = decode_bundle(APPROVED.bundle_bytes).approvals
    assert (approval.when, approval.import_wh) == ("end", 51_000)
    assert words.casefold() in page.casefold()
    assert f'<q lang="">{approval.reason}</q>' in page
    assert approval.transaction.signature.hex() in page
    table = await (await browser.get(f"{API_LINE}/readings")).get_json()
    assert [row[4:6] for row in table["rows"]] == [["measured", ""], ["corrected", approval.reason]]
