"""What a genesis may hold, and the one line for everything that it may not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gridcore import cbor
from gridcore.errors import UsageError
from gridcore.genesis import Genesis, chain_id, decode_genesis
from gridcore.registry.row import Row
from gridcore.registry.run_calendar import RunCalendar
from gridcore.validator import Validator
from ledger.genesis_check import check_genesis
from settlement.catalogue import CONTRACTS, pins
from tests.worlds.consortium import FIRST_S, PRICES, SLOT_S, TERMS
from tests.worlds.keys import key
from tests.worlds.two_areas import TWO_AREAS

KNOWN = CONTRACTS, pins()
Values = dict[str, dict[str, Any]]
LATER_S = FIRST_S + 7
"""Inside the first slot."""


RUNS = RunCalendar([], 0, 9_000, 3_600, 0)


def founded(rows: Sequence[Row], **frame: Any) -> Genesis:
    """The world's genesis with other rows; ``frame``: other fields of it."""
    return replace(TWO_AREAS.genesis, registry=tuple(row.encode() for row in rows), **frame)


def checked(change: Callable[[Values], None], more: Sequence[Row] = ()) -> None:
    """Check the world's genesis after a change to the values of its rows by key, and with more rows."""
    values = {row.key: dict(row.value) for row in TWO_AREAS.rows()}
    change(values)
    rows = [Row(name, 0, value) for name, value in values.items()]
    check_genesis(founded([*rows, *more]), *KNOWN)


def with_rows(*more: Row) -> None:
    """Check the world's genesis with more rows."""
    checked(lambda _: None, more)


def file(**fields: Any) -> bytes:
    """The world's genesis file with other fields; the chain id follows."""
    found = {**cbor.decode(TWO_AREAS.genesis_file), **fields}
    return cbor.encode({**found, "chain": chain_id(found)})


def value_of(name: str, **changes: Any) -> dict[str, Any]:
    """The value of one of the world's rows, with other fields."""
    return {**next(row.value for row in TWO_AREAS.rows() if row.key == name), **changes}


def later_value(name: str, **changes: Any) -> dict[str, Any]:
    """The value of a later row of one of the world's installations, whose registers go on."""
    value = value_of(name, **changes)
    del value["first_registers"]
    return value


def broken_off(name: str, **changes: Any) -> dict[str, Any]:
    """The value of a later row of one of the world's installations, whose registers begin again."""
    return value_of(name, final_registers=[7, 7], **changes)


def test_a_sound_genesis_passes_and_comes_back_from_its_bytes() -> None:
    check_genesis(TWO_AREAS.genesis, *KNOWN)
    assert decode_genesis(TWO_AREAS.genesis_file) == TWO_AREAS.genesis
    check_genesis(TWO_AREAS.genesis)


@pytest.mark.parametrize(
    ("name", "field", "value", "words"),
    [
        ("organisation/util", "title", "", "title is a text of 1 to 200 characters"),
        ("organisation/util", "roles", ["utility"], "roles: clock is none that the organisation util may have"),
        ("signer/util", "public_key", bytes(65), "public_key is 65 bytes 04||x||y"),
        ("signer/util", "roles", ["utility", "administrator"], "roles is an ascending array"),
        ("signer/util", "roles", ["king"], "roles"),
        ("signer/util", "roles", [], "roles"),
        ("signer/util", "organisation", "dso", "organisation: there is no row organisation/dso"),
        ("gateway/gw-1", "organisation", "", "organisation is 1 to 64 of A-Z"),
        ("gateway/gw-1", "protection", "sdf/gm0018", "protection is 1 to 64 of"),
        ("gateway/gw-1", "retired", False, "retired is true, not False"),
        ("party/p-1", "area", "a-9", "area: there is no row area/a-9"),
        ("party/p-1", "area", "a-2", "area: at 0 a point of it is in area a-1, not a-2"),
        ("party/p-1", "trades", 1, "trades is true or false"),
        ("area/a-1", "calendar", "x", "calendar: there is no row calendar/x"),
        ("area/a-1", "rules", "x", "rules: there is no row rules/x"),
        ("area/a-1", "zone", "x", "zone: there is no row zone/x"),
        ("zone/z-1", "first_slot_start_s", FIRST_S + 1, "multiple of slot_s 900"),
        ("zone/z-1", "contract", "p2p/9", "contract 'p2p/9' is not in this node"),
        ("zone/z-1", "contract_pin", bytes(32), "contract_pin of p2p_call_auction/1 is"),
        ("zone/z-1", "gate_before_start_s", -1, "gate_before_start_s"),
        ("zone/z-1", "gate_before_start_s", 86_400, "less than open_before_start_s 86400"),
        ("rules/r", "terms", {**TERMS, "rationing": "time"}, "rationing is one of pro_rata"),
        ("rules/r", "terms", {**TERMS, "reference_price_micro_per_kwh": 10**9 + 1}, "reference_price_micro_per_kwh"),
        ("rules/r", "prices", {}, "prices lacks the field residual_price_micro_per_kwh"),
        ("rules/r", "prices", {**PRICES, "levy_micro_per_kwh": "1"}, "prices is a map of whole numbers"),
        ("zone/z-1", "final_after_s", 899, "final_after_s is at least metering_deadline_s 900"),
        ("zone/z-1", "run_calendar", RUNS.encode(), "final_after_s is above final_run_after_s 9000"),
        ("zone/z-1", "gap_slots_max", 0, "gap_slots_max is a whole number, 1 to 4320"),
        ("zone/z-1", "gap_slots_max", 4_321, "gap_slots_max is a whole number, 1 to 4320"),
        ("zone/z-1", "runs_follow_points", False, "runs_follow_points is true, or absent"),
        ("zone/z-1", "run_calendar", {}, "run_calendar is a map of corrections, dispute_material_nano"),
        ("point/P-1", "standing_profile", "x", "standing_profile: there is no row standing_profile/x"),
        ("point/P-1", "role", "cellar", "role is one of exchange, feeder, household, load"),
        ("point/P-1", "party", "p-9", "party: there is no row party/p-9"),
        ("point/P-2", "party", "p-1", "trades: at 0 there is no point of it in area a-1"),
        ("installation/1", "gateway", "gw-9", "gateway: there is no row gateway/gw-9"),
        ("installation/1", "point", "P-9", "point: there is no row point/P-9"),
        ("installation/1", "point", "P-2", "another meter hangs at point/P-2"),
        ("installation/1", "limit_wh", 0, "limit_wh is a whole number, 1 to"),
        ("installation/1", "ratio", 10_001, "ratio is a whole number, 1 to 10000"),
        ("installation/1", "ratio", True, "ratio is a whole number"),
        ("installation/3", "limit_wh", 25_000_001, "limit_wh x ratio is at most 1000000000 Wh"),
        ("installation/1", "modulus_wh", 2**53 + 1, "modulus_wh is a whole number"),
        ("installation/1", "modulus_wh", 20_000, "modulus_wh is 0 or more than twice limit_wh 10000"),
        ("installation/1", "meter", "M\n1", "meter is 1 to 64 of"),
        ("installation/1", "profile", "p" * 65, "profile is 1 to 64 of"),
        ("installation/1", "first_registers", [0], "first_registers is [import, export]"),
        ("installation/1", "reason", "", "reason is a text of 1 to 200 characters"),
    ],
)
def test_a_wrong_field_is_named_in_one_line_with_its_row(name: str, field: str, value: Any, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        checked(lambda values: values[name].__setitem__(field, value))
    line = str(raised.value)
    assert line.startswith("genesis: registry row ")
    assert words in line
    assert "\n" not in line


def test_unknown_and_missing_fields_are_named() -> None:
    with pytest.raises(
        UsageError, match="party/p-1: 'colour' is no field of it; it has aggregator, area, contracted_w, credit_nano"
    ):
        checked(lambda values: values["party/p-1"].__setitem__("colour", 1))
    with pytest.raises(UsageError, match="party/p-1: trades is missing: true or false"):
        checked(lambda values: values["party/p-1"].__delitem__("trades"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("weather/x", "begins with one of organisation, calendar, signer"),
        ("area", "the name after the slash"),
        ("area/a b", "the name after the slash"),
        ("installation/01", "a number, 0 to 4294967295, without leading zeros"),
        ("installation/4294967296", "a number, 0 to"),
        ("x" * 4_000, "begins with one of"),
    ],
)
def test_a_key_of_no_entity_is_named(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        with_rows(Row(name, 0, {}))
    assert len(str(raised.value)) < 330


@pytest.mark.parametrize("row", [b"", cbor.encode(["signer/x", 0]), cbor.encode(["signer/x", -1, {}]), bytes(4_097)])
def test_bytes_that_are_no_row_are_named_by_their_place(row: bytes) -> None:
    with pytest.raises(UsageError, match="genesis: registry row 0: "):
        check_genesis(replace(TWO_AREAS.genesis, registry=(row,)))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([Row("gateway/gw-1", 0, value_of("gateway/gw-1"))], "another row of it begins then"),
        ([Row("zone/z-1", 9, value_of("zone/z-1", metering_deadline_s=1))], "metering_deadline_s is 900 as in the row"),
        ([Row("area/a-3", FIRST_S + 1, value_of("area/a-1"))], f"from_s is at most {FIRST_S}, where the slots"),
        ([Row("point/P-1", LATER_S, value_of("point/P-1", area="a-2"))], "area is a-1 as in the row before"),
        ([Row("point/P-1", LATER_S, {"area": "a-1", "role": "load"})], f"trades: at {LATER_S} there is no point of it"),
        ([Row("installation/1", FIRST_S + SLOT_S, {"point": "P-1", "removed": True})], "lies inside a slot of 900 s"),
        ([Row("installation/1", LATER_S, later_value("installation/1", ratio=2))], "ratio is 1 as in the row before"),
        (
            [Row("installation/1", LATER_S, later_value("installation/1", meter="M"))],
            "another meter has another number",
        ),
        ([Row("installation/1", LATER_S, value_of("installation/1"))], "first_registers come with final_registers"),
        (
            [
                Row("point/P-9", 0, {"area": "a-1", "role": "load"}),
                Row("installation/9", 5, later_value("installation/1", point="P-9")),
            ],
            "the first row of an installation has",
        ),
        ([Row("installation/9", 5, value_of("installation/1"))], "at 5 another meter hangs at point/P-1"),
        ([Row("installation/9", 5, {"point": "P-1", "removed": True})], "nothing was installed before"),
        (
            [
                Row("installation/1", LATER_S, {"point": "P-1", "removed": True}),
                Row("installation/1", LATER_S + SLOT_S, value_of("installation/1")),
            ],
            "does not come back",
        ),
        (
            [Row("standing_profile/h", 0, {"import_wh": [1], "export_wh": [1]})],
            "import_wh has 96 slots of 900 s, not 1",
        ),
        (
            [Row("standing_profile/h", 0, {"import_wh": [1], "export_wh": []})],
            "export_wh is 1 to 288 energies, each 0 to 1000000000 Wh",
        ),
        (
            [Row("standing_profile/h", 0, {"import_wh": [1], "export_wh": [1, 2]})],
            "export_wh has as many slots as import_wh, 1, not 2",
        ),
        (
            [
                Row("organisation/late", 9, {"roles": ["utility"], "title": "Late"}),
                Row("gateway/gw-3", 5, value_of("gateway/gw-1", organisation="late")),
            ],
            "organisation/late begins at 9, after this row at 5",
        ),
    ],
)
def test_rows_that_do_not_follow_those_before_are_named(more: list[Row], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        with_rows(*more)


def test_what_changes_by_dated_rows_passes() -> None:
    with_rows(
        Row("rules/r", FIRST_S + 2 * SLOT_S, {"prices": {**PRICES, "levy_micro_per_kwh": 1}, "terms": TERMS}),
        Row("installation/3", LATER_S, later_value("installation/3", gateway="gw-2", limit_wh=9)),
        Row("installation/3", LATER_S + SLOT_S, {"final_registers": [5, 0], "point": "P-3", "removed": True}),
        Row("installation/9", LATER_S + SLOT_S, value_of("installation/3", meter="M-9", first_registers=[0, 0])),
        Row("installation/2", LATER_S, broken_off("installation/2", ratio=2, reason="other transformers")),
        Row("party/p-1", LATER_S, value_of("party/p-1", trades=False)),
        Row("point/P-1", LATER_S, {"area": "a-1", "role": "household"}),
        Row("signer/gw-1", LATER_S, {"organisation": "util", "revoked": True}),
        Row("gateway/gw-1", LATER_S, {"organisation": "util", "retired": True}),
    )


def test_limits_themselves_are_allowed() -> None:
    def to_the_limit(values: Values) -> None:
        values["installation/1"].update(limit_wh=10**9, ratio=1, modulus_wh=2**53)
        values["installation/2"].update(limit_wh=10_000, modulus_wh=20_001, meter="M" * 64)
        values["installation/3"].update(limit_wh=10**5, ratio=10**4, first_registers=[0, 10**13])
        values["rules/r"]["prices"] = {**PRICES, "levy_micro_per_kwh": 10**8, "surplus_price_micro_per_kwh": -(10**8)}
        values["zone/z-1"].update(gate_before_start_s=0, metering_deadline_s=0, open_before_start_s=1)

    checked(to_the_limit)


def test_an_entity_of_another_organisation_than_its_signer_is_refused() -> None:
    dso = Row("organisation/dso", 0, {"roles": ["gateway"], "title": "The other"})
    with pytest.raises(UsageError, match="signer/gw-1: organisation is dso, that of gateway/gw-1, not util"):
        checked(lambda values: values["gateway/gw-1"].update(organisation="dso"), [dso])
    with pytest.raises(UsageError, match="gateway/gw-1: organisation is util, that of signer/gw-1, not dso"):
        with_rows(dso, Row("gateway/gw-1", 7, value_of("gateway/gw-1", organisation="dso")))


def test_a_party_with_the_name_of_an_account_is_refused() -> None:
    with pytest.raises(UsageError, match="party/levy: has the name of a counter-account"):
        with_rows(Row("party/levy", 0, value_of("party/p-1", trades=False)))


def validator(**changes: Any) -> dict[str, Any]:
    """A map of a validator without fault; ``changes``: its other fields."""
    return {**Validator("v-1", "util", key("v-1").public_key, 1, b"")._asdict(), **changes}


def two_validators(**of_second: Any) -> list[dict[str, Any]]:
    """Two with consensus keys; ``of_second``: fields of the one that has the larger public key."""
    pair = [validator(name=name, public_key=key(name).public_key) for name in ("v-1", "v-2")]
    first, second = sorted(pair, key=lambda one: one["public_key"])
    return [
        {**first, "name": "v-1", "consensus_key": bytes(32)},
        {**second, "name": "v-2", "consensus_key": b"2" * 32, **of_second},
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"validators": []}, "validators is 1 to 256 maps"),
        ({"validators": [validator(public_key=bytes(65))]}, "ascending by public_key"),
        ({"validators": [validator(power=0)]}, "power 1 to 2147483648"),
        ({"validators": [validator(power=2**31 + 1)]}, "power 1 to 2147483648"),
        ({"validators": [validator(), validator(name="v-2")]}, "ascending by public_key"),
        ({"validators": [validator(name="a b")]}, "validators is"),
        ({"validators": [{**validator(), "more": 1}]}, "maps of name, organisation, public_key, power, consensus_key"),
        ({"validators": [validator(consensus_key=bytes(31))]}, "consensus_key empty in all of them or 32 bytes"),
        ({"validators": two_validators(name="v-1")}, "names unique"),
        ({"validators": two_validators(consensus_key=bytes(32))}, "of its own in each"),
        ({"validators": two_validators(consensus_key=b"")}, "empty in all of them"),
        ({"currency": "yuan"}, "currency is three capital letters"),
        ({"name": ""}, "name is a printable text of 1 to 40 characters without a slash"),
        ({"name": "a/b"}, "name is a printable text"),
        ({"name": "\x1b[2J"}, "name is a printable text"),
        ({"name": "n" * 41}, "name is a printable text"),
        ({"ledger_time_s": -1}, "ledger_time_s"),
        ({"registry": [1]}, "registry is an array"),
        ({"clock": "sun"}, "clock is one of block, simulated, imported"),
        ({"slot_s": 901}, "slot_s is one of 300, 900"),
        ({"salt_seed": b""}, "salt_seed is 32 bytes"),
        ({"protocol": [[3, 0]]}, "protocol is an array"),
        ({"protocol": [[2, 0], [3, 0]]}, "protocol is an array"),
        ({"calendars": {}}, "has exactly the keys"),
        ({"thresholds": {"contract": 0, "protocol": 1, "registry": 1, "signers": 1}}, "thresholds is a map"),
        ({"thresholds": {"contract": 1}}, "thresholds is a map"),
        ({"version": 3}, "version is 2"),
        ({"type": "receipt"}, "a map of type 'genesis'"),
        ({"colour": 1}, "has exactly the keys"),
    ],
)
def test_a_wrong_field_beside_the_registry_is_named(fields: Mapping[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        decode_genesis(file(**fields))
    assert "\n" not in str(raised.value)


def test_a_genesis_of_the_first_version_is_refused_in_one_line_that_names_its_release() -> None:
    old = cbor.encode({"leaves": [], "type": "genesis", "version": 1})
    with pytest.raises(UsageError, match=r"^genesis: of version 1, which release 0\.1 reads") as raised:
        decode_genesis(old)
    assert "\n" not in str(raised.value)


def test_a_chain_id_of_another_content_is_refused() -> None:
    found = cbor.decode(TWO_AREAS.genesis_file)
    with pytest.raises(UsageError, match="chain is 'test-"):
        decode_genesis(cbor.encode({**found, "chain": found["chain"][:-1] + "x"}))


def test_more_approvals_than_there_are_organisations_are_refused() -> None:
    thresholds = TWO_AREAS.genesis.thresholds._replace(registry=2)
    with pytest.raises(UsageError, match=r"thresholds\.registry is at most 1, the number of organisations"):
        check_genesis(replace(TWO_AREAS.genesis, thresholds=thresholds))


def test_an_organisation_without_an_administrator_does_not_count_for_the_thresholds_of_a_genesis() -> None:
    dso = Row("organisation/dso", 0, {"roles": ["administrator", "utility"], "title": "The dso"})
    values = {"organisation": "dso", "public_key": key("dso").public_key}
    desk, admin = (Row(f"signer/dso-{role}", 0, {**values, "roles": [role]}) for role in ("utility", "administrator"))
    util = Row("signer/util-administrator", 0, {**values, "organisation": "util", "roles": ["administrator"]})
    thresholds = TWO_AREAS.genesis.thresholds._replace(registry=2)
    with pytest.raises(
        UsageError, match=r"thresholds\.registry is at most 1, the number of organisations that have an"
    ):
        check_genesis(founded([*TWO_AREAS.rows(), util, dso, desk], thresholds=thresholds))
    check_genesis(founded([*TWO_AREAS.rows(), util, dso, desk, admin], thresholds=thresholds))


def test_a_validator_of_an_organisation_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="validator v-1: there is no organisation/stranger"):
        check_genesis(replace(TWO_AREAS.genesis, validators=(Validator("v-1", "stranger", key("v-1").public_key),)))


def test_a_local_day_begins_with_a_slot() -> None:
    with pytest.raises(UsageError, match=r"calendar/c: months: a local day begins with a slot"):
        checked(lambda values: values["calendar/c"].update(months=[7]))
    with pytest.raises(UsageError, match=r"calendar/c: days is 1 to 400 instants, UTC seconds, ascending"):
        checked(lambda values: values["calendar/c"].update(days=[900, 0]))
    later = Row("calendar/c", FIRST_S, value_of("calendar/c"))
    with pytest.raises(UsageError, match=rf"calendar/c: days begin at from_s {FIRST_S} or later"):
        with_rows(later)
