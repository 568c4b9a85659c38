"""What rows of the registry look like: one form an entity, and what the form alone cannot say (docs/spec/registry.md)."""

from __future__ import annotations

import itertools
import re
from datetime import date
from typing import Any

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.x509 import decode_certificate
from tests.twin.forms import NAME, TIME, Leaf, fits

RUN_SPAN, SHARE = range(10 * 366 * 86_400 + 1), range(10**6 + 1)
WH_MAX, SPAN, END = 10**9, range(366 * 86_400 + 1), 253_402_300_800
ROLES = ["administrator", "aggregator", "clock", "gateway", "prosumer", "regulator", "utility"]


TAKEN_UP = {"gap_slots": "gap_slots_max", "runs_follow_points": "runs_follow_points"}
"""Rules that a zone may take up later, by the begin of the field that says from when on."""


REGISTERS = [range(10**13 + 1)] * 2


SHORT_TEXT = re.compile(".{1,64}", re.DOTALL)


WITH_TEXT = re.compile(".{1,200}", re.DOTALL)


AGREED: dict[str, Any] = {"buyer": NAME, "buyer_point": NAME, "seller": NAME, "seller_point": NAME}


ENTITIES: dict[str, list[dict[str, Any]]] = {
    "organisation": [{"authority?": bytes, "roles": list, "title": WITH_TEXT}, {"removed": True}],
    "calendar": [{"days": list, "months": list, "tz": SHORT_TEXT, "tz_version": SHORT_TEXT}],
    "signer": [
        {"certificate?": bytes, "organisation": NAME, "public_key": 65, "roles": list},
        {"organisation": NAME, "revoked": True},
    ],
    "gateway": [{"organisation": NAME, "protection": NAME}, {"organisation": NAME, "retired": True}],
    "key_policy": [{"batches_from_s?": TIME, "protections": list}],
    "zone": [
        {
            "contract": re.compile(".{1,64}", re.DOTALL),
            "contract_pin": 32,
            "correction_after_s?": SPAN,
            "final_after_s?": RUN_SPAN,
            "first_slot_start_s": TIME,
            "gap_slots_from_s?": TIME,
            "gap_slots_max?": range(1, 4_321),
            "gate_before_start_s": SPAN,
            "metering_deadline_s": SPAN,
            "open_before_start_s": SPAN,
            "run_calendar?": {
                "corrections": list,
                "dispute_material_nano": range(10**18 + 1),
                "final_run_after_s": RUN_SPAN,
                "initial_last_after_s": RUN_SPAN,
                "initial_measured_ppm": SHARE,
            },
            "part_slots_are_measured?": True,
            "profiles_have_conditions?": True,
            "runs_follow_points?": True,
            "runs_follow_points_from_s?": TIME,
        }
    ],
    "area": [{"calendar": NAME, "rules": NAME, "zone": NAME}],
    "rules": [{"prices": dict, "series?": dict, "terms": dict, "until_s?": TIME}],
    "price_series": [{"prices": bytes, "slot_s": range(1, 86_401)}],
    "party": [
        {
            "aggregator?": NAME,
            "area": NAME,
            "contracted_w?": dict,
            "credit_nano?": range(10**18 + 1),
            "organisation": NAME,
            "tariff?": NAME,
            "trades": bool,
        }
    ],
    "tariff": [
        {
            "components": list,
            "days?": dict,
            "quantum_nano": range(1, 10**12 + 1),
            "rounding": re.compile("half_even|half_up_away"),
            "tax_ppm": range(1_000_001),
        }
    ],
    "balance_terms": [
        {
            "loss_responsible": NAME,
            "prices": {
                f"{word}_price_micro_per_kwh": range(-(10**9), 10**9 + 1)
                for word in ("gain", "loss", "shortfall", "surplus")
            },
            "penalty?": {
                "penalty_ppm": SHARE,
                "price_micro_per_kwh": range(10**9 + 1),
                "sides": re.compile("both|short_only"),
                "tolerance_ppm": SHARE,
            },
            "series?": dict,
        }
    ],
    "standing_profile": [{"export_wh": list, "import_wh": list}],
    "grid_connection": [{"voltage_level": str}],
    "reactive_energy": [
        {"reactive_varh": range(10**13 + 1), "returned_varh": range(10**13 + 1), "until_s": range(253_402_300_800)}
    ],
    "point": [
        {
            "area": NAME,
            "balance_responsible_export?": NAME,
            "balance_responsible_import?": NAME,
            "energy_kind?": re.compile("biomass|coal|gas|geothermal|hydro|nuclear|oil|solar|waste|wind"),
            "exchange_area?": NAME,
            "grid_operator?": NAME,
            "grid_place?": range(1, 65_536),
            "offtaker?": NAME,
            "party?": NAME,
            "priority?": range(1_000_001),
            "role": re.compile("exchange|household|load|feeder"),
            "rules?": NAME,
            "share_ppm?": range(1_000_001),
            "standing_profile?": NAME,
            "supplier?": NAME,
        },
    ],
    "agreement": [
        {
            **AGREED,
            "basis": re.compile("difference|fixed_quantity|pay_as_produced"),
            "price_micro_per_kwh": range(-(10**9), 10**9 + 1),
            "quantity_wh?": range(1, WH_MAX + 1),
            "series?": NAME,
            "share_ppm?": range(1, 1_000_001),
        },
        {**AGREED, "ended": True},
    ],
    "installation": [
        {
            "final_registers?": REGISTERS,
            "first_registers?": REGISTERS,
            "gateway": NAME,
            "limit_wh": range(1, WH_MAX + 1),
            "meter": NAME,
            "modulus_wh": range(2**53 + 1),
            "point": NAME,
            "profile": NAME,
            "ratio": range(1, 10_001),
            "reason?": WITH_TEXT,
        },
        {"final_registers?": REGISTERS, "point": NAME, "reason?": WITH_TEXT, "removed": True},
    ],
}


def is_registry_row(row: bytes) -> bool:
    """Whether these bytes are a canonical row of an entity that there is."""
    try:
        item = cbor.decode(row)
    except EncodingError:
        return False
    return fits(item, [str, TIME, dict]) and item[0].split("/")[0] in ENTITIES


def has_name(kind: str, name: str) -> bool:
    """Installations have numbers, the rest has names."""
    if kind == "key_policy":
        return name == "gateway"
    if kind != "installation":
        return fits(name, NAME)
    return name.isascii() and name.isdigit() and str(int(name)) == name and int(name) < 2**32


def has_certificates(value: Leaf) -> bool:
    """Whether certificates in a value are of their kinds, that of a signer of its own key."""
    try:
        root, own = (decode_certificate(value[key]) if key in value else None for key in ("authority", "certificate"))
    except EncodingError:
        return False
    is_root = root is None or (root.is_authority and root.issuer == root.subject)
    return is_root and (own is None or (not own.is_authority and own.public_key == value["public_key"]))


def has_form(kind: str, value: Leaf) -> bool:
    """Whether a value is one of its kind of entity."""
    if not any(fits(value, form) for form in ENTITIES[kind]):
        return False
    roles = value.get("roles")
    if roles is not None and (not roles or not all(role in ROLES for role in roles) or roles != sorted(set(roles))):
        return False
    if "public_key" in value and not is_point(value["public_key"]):
        return False
    if not has_certificates(value):
        return False
    if kind == "zone":
        is_gate_late = value["gate_before_start_s"] >= value["open_before_start_s"]
        is_late = is_gate_late or value.get("final_after_s", END) < value["metering_deadline_s"]
        is_alone = any(f"{rule}_from_s" in value and name not in value for rule, name in TAKEN_UP.items())
        return not is_late and not is_alone and has_run_dates(value)
    if kind == "key_policy":
        classes = value["protections"]
        return 1 <= len(classes) <= 8 and all(fits(c, NAME) for c in classes) and classes == sorted(set(classes))
    if kind == "calendar":
        return are_instants(value["days"], 1, 400) and are_instants(value["months"], 0, 40)
    if kind == "rules":
        series = value.get("series", {"": "x"} if "series" not in value else {})
        are_series = 1 <= len(series) <= 8 and all(fits(name, NAME) for name in series.values())
        are_theirs = "series" not in value or set(series) <= set(value["prices"])
        return are_series and are_theirs and all(fits(p, range(-(2**63), 2**63)) for p in value["prices"].values())
    if kind == "point":
        is_exchange = value["role"] == "exchange"
        has_other = value.get("exchange_area", value["area"]) != value["area"]
        return has_other == is_exchange == ("exchange_area" in value) and not (is_exchange and "party" in value)
    if kind == "balance_terms":
        series = value.get("series", {"": "x"} if "series" not in value else {})
        are_theirs = "series" not in value or set(series) <= set(value["prices"])
        return bool(series) and are_theirs and all(fits(name, NAME) for name in series.values())
    if kind == "party":
        contracted = value.get("contracted_w", {"": 0} if "contracted_w" not in value else {})
        names = [name for name in contracted if "contracted_w" in value]
        return 1 <= len(contracted) <= 16 and all(map(is_word, names)) and are_in(contracted.values(), 0, 10**12)
    if kind == "grid_connection":
        return is_word(value["voltage_level"])
    if kind == "tariff":
        return is_tariff(value["components"]) and has_right_days(value)
    if kind == "price_series":
        count, rest = divmod(len(value["prices"]), 8)
        return rest == 0 and 1 <= count <= 3_000 and all(abs(price) <= 10**9 for price in prices_in(value))
    if kind == "standing_profile":
        energies = value["import_wh"] + value["export_wh"]
        is_day = 1 <= len(value["import_wh"]) == len(value["export_wh"]) <= 288
        return is_day and all(fits(energy, range(WH_MAX + 1)) for energy in energies)
    if kind == "agreement" and "basis" in value:
        is_share, is_quantity, word = "share_ppm" in value, "quantity_wh" in value, value["basis"]
        is_told = {"fixed_quantity": is_quantity, "pay_as_produced": is_share, "difference": "series" in value}[word]
        return is_told and is_share != is_quantity and value["buyer_point"] != value["seller_point"]
    if kind == "installation" and "limit_wh" in value:
        modulus, limit = value["modulus_wh"], value["limit_wh"]
        stated = [*value.get("final_registers", []), *value.get("first_registers", [])]
        is_told = "first_registers" in value or "final_registers" not in value
        is_below = modulus == 0 or (modulus > 2 * limit and max(stated, default=0) < modulus)
        return bool(limit * value["ratio"] <= WH_MAX) and is_told and is_below
    return True


COMPONENT: dict[str, Any] = {
    "account": str,
    "base": re.compile("import|export|traded|residual|kw_contracted|kw_peak|day|percent"),
    "covers?": re.compile("trade"),
    "day_kinds?": list,
    "highest_level?": str,
    "levels?": list,
    "months?": list,
    "name": str,
    "of?": list,
    "peak_of?": re.compile("party|point"),
    "place_levels?": list,
    "power_factor_standard?": range(80, 91, 5),
    "price?": range(-(10**12), 10**12 + 1),
    "price_series?": NAME,
    "steps?": list,
    "steps_per?": re.compile("month|year"),
    "tax_ppm?": range(1_000_001),
    "taxed": bool,
    "user_level?": str,
    "weekdays?": list,
    "windows?": list,
}


HIDDEN = {
    *range(0x20), *range(0x7F, 0xA1), 0xAD, 0x1680, *range(0x2000, 0x2010), *range(0x2028, 0x2030), *range(0x205F, 0x2070), 0x3000, 0xFEFF,
}  # fmt: skip


def is_word(item: Any) -> bool:
    """Whether this is a short text without control and format characters, and without spaces that look like another."""
    return isinstance(item, str) and 1 <= len(item) <= 64 and not any(ord(one) in HIDDEN for one in item)


def are_in(values: Any, low: int, high: int) -> bool:
    """Whether these are whole numbers within bounds."""
    return all(fits(value, range(low, high + 1)) for value in values)


def is_tariff(components: list[Any]) -> bool:
    """Whether these are the components of a tariff, each after those that it counts."""
    if len(components) > 64 or not all(fits(one, COMPONENT) and is_component(one) for one in components):
        return False
    names = [one["name"] for one in components]
    is_behind = all(set(one.get("of", [])).isdisjoint(names[place:]) for place, one in enumerate(components))
    return is_behind and len(set(names)) == len(names)


def is_component(one: Leaf) -> bool:
    """Whether the parts of a component go together."""
    is_energy, has_price = one["base"] in ("import", "export", "traded", "residual"), "price" in one
    has_steps, has_series, has_levels = "steps" in one, "price_series" in one, "levels" in one
    has_standard = "power_factor_standard" in one
    if has_standard and one["base"] != "percent":
        return False
    if has_price + has_steps + has_series + has_levels + has_standard != 1 or ("of" in one) != (
        one["base"] == "percent"
    ):
        return False
    if not has_right_levels(one) or ("tax_ppm" in one and not one["taxed"]):
        return False
    if not is_energy and (has_steps or has_series or has_levels):
        return False
    if not is_energy and one["base"] != "kw_peak" and not {"windows", "weekdays", "day_kinds"}.isdisjoint(one):
        return False
    if one.get("day_kinds", ["holiday"]) not in DAY_KINDS:
        return False
    weekdays = one.get("weekdays", [1])
    if not weekdays or not are_in(weekdays, 1, 7) or weekdays != sorted(set(weekdays)):
        return False
    if "steps_per" in one and not has_steps:
        return False
    if "peak_of" in one and one["base"] != "kw_peak":
        return False
    if not all(map(is_word, [one["name"], one["account"], *one.get("of", ["x"])])) or one.get("of") == []:
        return False
    months = one.get("months", [1])
    if not months or not are_in(months, 1, 12) or months != sorted(set(months)) or len(one.get("of", [])) > 64:
        return False
    steps, windows = one.get("steps", [[0, 0]]), one.get("windows", [[0, 1]])
    if not all(fits(pair, [range(-(10**15), 10**15 + 1)] * 2) for pair in [*steps, *windows]):
        return False
    begins, instants = [step[0] for step in steps], [time for window in windows for time in window]
    are_steps = 1 <= len(steps) <= 16 and begins[0] == 0 and begins == sorted(set(begins))
    are_windows = 1 <= len(windows) <= 24 and are_in(instants, 0, 86_400) and instants == sorted(instants)
    is_dear = not are_in([step[1] for step in steps], -(10**12), 10**12)
    return are_steps and are_windows and not is_dear and all(start < end for start, end in windows)


DAY_KINDS = [
    list(kinds) for size in (1, 2, 3) for kinds in itertools.combinations(("holiday", "weekend", "workday"), size)
]


def has_right_days(tariff: Leaf) -> bool:
    """Whether a tariff names days of the calendar, if any, and a holiday where a component holds on holidays."""
    days = tariff.get("days")
    is_needed = any("holiday" in one.get("day_kinds", []) for one in tariff["components"])
    return (days is None or are_named_days(days)) and not (is_needed and "holiday" not in (days or {}))


def are_named_days(days: dict[Any, Any]) -> bool:
    """Whether these are days of the calendar by kind, each of one kind."""
    if not days or not set(days) <= {"holiday", "weekend", "workday"}:
        return False
    for named in days.values():
        if not isinstance(named, list) or not named or not all(isinstance(day, str) for day in named):
            return False
        if named != sorted(set(named)) or not all(is_in_calendar(day) for day in named):
            return False
    every = [day for named in days.values() for day in named]
    return len(every) == len(set(every)) <= 400


def is_in_calendar(text: str) -> bool:
    """Whether a text is a day from 1970 on, written as ``2027-02-06``."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return False
    return day.isoformat() == text and day.year >= 1970


def has_right_levels(one: Leaf) -> bool:
    """Whether a component's voltage levels, if it has some, are different ones, and those that it names are among them in their order."""
    named = [one[key] for key in ("user_level", "highest_level") if key in one]
    if "levels" not in one:
        return not named and "covers" not in one and "place_levels" not in one
    pairs = one["levels"]
    if not 1 <= len(pairs) <= 16 or not all(fits(pair, [str, range(-(10**12), 10**12 + 1)]) for pair in pairs):
        return False
    names = [pair[0] for pair in pairs]
    are_theirs = all(map(is_word, names)) and len(set(names)) == len(names) and set(named) <= set(names)
    are_ordered = [name for name in names if name in named] == list(dict.fromkeys(named))
    return are_theirs and are_ordered and has_right_places(one, names)


def has_right_places(one: Leaf, names: list[str]) -> bool:
    """Whether a component that follows trades is of traded energy, and its places of the grid ascend and have levels of its own."""
    if "covers" not in one:
        return "place_levels" not in one
    pairs = one.get("place_levels", [[1, names[0]]])
    are_pairs = 1 <= len(pairs) <= 64 and all(fits(pair, [range(1, 65_536), str]) for pair in pairs)
    if one["base"] != "traded" or not are_pairs:
        return False
    places = [pair[0] for pair in pairs]
    return places == sorted(set(places)) and {pair[1] for pair in pairs} <= set(names)


def has_run_dates(zone: Leaf) -> bool:
    """Whether the times of a zone's run calendar, if it has one, follow one another."""
    if "run_calendar" not in zone:
        return True
    calendar, dates = zone["run_calendar"], zone["run_calendar"]["corrections"]
    if "correction_after_s" in zone or "final_after_s" not in zone or len(dates) > 16:
        return False
    if not all(fits(date, [RUN_SPAN, SHARE]) for date in dates):
        return False
    first, last = calendar["initial_last_after_s"], calendar["final_run_after_s"]
    times = [first, *(due for due, _ in dates), last, zone["final_after_s"]]
    return times == sorted(set(times)) and zone["metering_deadline_s"] <= first


def prices_in(series: Leaf) -> list[int]:
    """The prices of an entry of a series."""
    data = series["prices"]
    return [int.from_bytes(data[at : at + 8], "little", signed=True) for at in range(0, len(data), 8)]


def are_instants(value: list[Any], low: int, high: int) -> bool:
    """Whether these are so many ascending times."""
    is_time = all(fits(instant, TIME) for instant in value)
    return is_time and low <= len(value) <= high and value == sorted(set(value))


def is_point(key: bytes) -> bool:
    """Whether these 65 bytes are a point of the SM2 curve."""
    p = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
    b = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
    x, y = int.from_bytes(key[1:33], "big"), int.from_bytes(key[33:], "big")
    return key[0] == 4 and x < p and y < p and (y * y - (x**3 - 3 * x + b)) % p == 0
