"""``/meters/<meter>/correction?boundary=``: what a meter's registers say around a boundary, and the form by which a utility answers for others.

A correction is the ledger's ``metering/approve``: registers that count whatever stands there. It is signed in the browser by the utility's own key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from quart import Blueprint, Response, request

from gridcore.codes import Code
from gridcore.serving.problems import Problem
from gridcore.transactions.approve_reading import REASON_CHARACTERS_MAX, SUBSTITUTE, ApproveReading
from gridweb.access import READS_ALL, Role, requires
from gridweb.acts import act_frame, is_taken, read_act, told
from gridweb.i18n import N_, _
from gridweb.pages.day_tables import slot_path, waits_for_run
from gridweb.pages.gateway import BATCHES_A_PAGE
from gridweb.pages.meters import METERS_MAX, NOT_INSTALLED, Meter, find_meter
from gridweb.pages.stakes import EXCEPTION_PAGES_MAX, refused_rows
from gridweb.pages.troubles import REASONS, REMEDIES, reason_of
from gridweb.site import source, viewer
from gridweb.source import AreaInfo, Source, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page
from settlement.substitution import Registers, Shows, registers_after, surplus_wh

pages = Blueprint("correcting", __name__)

ANSWERS: Final[Mapping[int, str]] = {
    Code.ACCEPTED: N_("The register counts, and the slots around it are settled anew."),
    Code.FUTURE_BOUNDARY: N_("The boundary lies after ledger time."),
    Code.NOT_A_BOUNDARY: N_("No slot begins at this boundary."),
    Code.NOTHING_TO_APPROVE: N_(
        "No meter is installed so at this boundary, its registers begin again before that, or the slots around it are closed."
    ),
    Code.NOT_PERMITTED: N_(
        "A utility of the organisation whose gateway reads this meter answers for it: this signer is none."
    ),
}
"""What the node's answer to a correction means, by code."""
AMOUNTS: Final = N_(
    "Both registers in kWh as the meter shows them, with at most three digits behind the point; the reason has 1 to 200 characters."
)
_KWH: Final = re.compile(r"(\d{1,9})(?:\.(\d{1,3}))?", re.ASCII)
COLUMNS: Final = (
    Column("boundary_s", N_("Boundary"), "instant"),
    Column("import_wh", N_("As the meter shows it: import"), "energy_wh"),
    Column("export_wh", N_("As the meter shows it: export"), "energy_wh"),
    Column("quality", N_("Quality"), "quality"),
)


@dataclass(frozen=True)
class Installed:
    """A meter as it hung at a boundary. number: of its installation; shows: how it counts; by the ratio the ledger multiplies."""

    meter: Meter
    number: int
    shows: Shows

    @property
    def ratio(self) -> int:
        """Of its transformers."""
        return self.shows.ratio


class Substitute(NamedTuple):
    """The registers at a boundary that follow from the stated energy of the slot before it, in kWh as they are written into the form.

    beyond_wh: by how much, primary Wh, they go beyond those that are known at the next boundary.
    """

    import_kwh: str
    export_kwh: str
    beyond_wh: int


async def find_installed(source: Source, meter: Meter, boundary_s: int) -> Installed:
    """How a meter hung at a boundary. SourceMissing where it did not; SourceAway, SourceBusy."""
    found = await source.pages(
        f"areas/{meter.area}/installations", time_s=boundary_s, rows_max=METERS_MAX, **_own(meter)
    )
    for one in (row for page in found for row in page["installations"]):
        if one["meter"] == meter.meter:
            return Installed(meter, one["number"], Shows(one["ratio"], one["modulus_wh"] // one["ratio"]))
    raise SourceMissing(NOT_INSTALLED)


def _own(meter: Meter) -> dict[str, str | int]:
    """What narrows an answer to the rows of the meter's party; a feeder has none."""
    return {} if meter.party is None else {"party": meter.party}


def check_boundary(area: AreaInfo, boundary_s: int, ledger_time_s: int) -> None:
    """Problem 400 unless a slot of the area begins or ends at an instant that ledger time has reached."""
    if boundary_s % area.slot_s or not area.first_slot_start_s <= boundary_s <= min(ledger_time_s, area.days[-1]):
        raise Problem("bad-request", "boundary: UTC seconds of an instant at which a slot has begun or ended")


@serves_table("/meters/<meter>/registers", *READS_ALL)
async def meter_registers_table(source: Source, meter: str, *, boundary: int) -> Table:
    """Registers of a meter at a boundary, and at those before and after it, as the meter shows them."""
    one = await find_meter(source, meter)
    area = await source.area(one.area)
    check_boundary(area, boundary, (await source.as_of()).ledger_time_s)
    return await _read_registers(source, await find_installed(source, one, boundary), area, boundary)


async def _read_registers(source: Source, installed: Installed, area: AreaInfo, boundary_s: int) -> Table:
    rows = []
    for instant_s in (boundary_s - area.slot_s, boundary_s, boundary_s + area.slot_s):
        found = await _register(source, installed, instant_s) if instant_s >= area.first_slot_start_s else None
        if found is not None:
            shown = [
                None if found[name] is None else found[name] // installed.ratio for name in ("import_wh", "export_wh")
            ]
            rows.append((instant_s, *shown, found["quality"]))
    title = _("Registers of %(meter)s around the boundary", meter=installed.meter.meter)
    return Table("registers", COLUMNS, rows, title=title, tz=area.tz)


async def _register(source: Source, installed: Installed, boundary_s: int) -> Mapping[str, Any] | None:
    found = await source.pages(
        f"areas/{installed.meter.area}/registers",
        boundary_s=boundary_s,
        rows_max=METERS_MAX,
        **_own(installed.meter),
    )
    rows = (row for page in found for row in page["registers"])
    return next((row for row in rows if row["meter"] == installed.meter.meter), None)


async def read_refused(source: Source, meter: Meter, boundary_s: int) -> list[str]:
    """Why rows of a meter at a boundary were not accepted: keys of REASONS. SourceAway, SourceBusy."""
    rows_max = (EXCEPTION_PAGES_MAX - 1) * BATCHES_A_PAGE
    found = await source.pages("exceptions", rows_max=rows_max, gateway=meter.gateway)
    batches = [batch for page in found for batch in page["exceptions"] if batch["boundary_s"] == boundary_s]
    return [reason_of(one) for one in refused_rows(batches, {meter.number: meter}) if one.meter == meter.meter]


def read_energies(given: Mapping[str, str]) -> Registers | None:
    """The stated energy of a slot, Wh, out of kWh with at most three digits behind the point; None where none is stated. Problem 400."""
    texts = [given.get(name, "").strip() for name in ("energy_import", "energy_export")]
    if not any(texts):
        return None
    found = [_KWH.fullmatch(text or "0") for text in texts]
    if found[0] is None or found[1] is None:
        raise Problem("bad-request", "energy: kWh from 0 on, with at most three digits behind the point")
    taken, given_wh = (int(one[1]) * 1_000 + int((one[2] or "").ljust(3, "0")) for one in found if one is not None)
    return taken, given_wh


def substitute_of(
    registers: Table | None, energy_wh: Registers | None, slot: tuple[int, int], shows: Shows
) -> Substitute | None:
    """The registers behind a slot (its start and end) whose energy is stated; None where none is, or no register is known where it begins."""
    start_s, end_s = slot
    before = _known(registers, start_s)
    if before is None or energy_wh is None:
        return None
    (found,) = registers_after(before, [energy_wh], shows)
    following = _known(registers, end_s + end_s - start_s)
    beyond_wh = 0 if following is None else surplus_wh(found, following, shows)
    return Substitute(_kwh(found[0]), _kwh(found[1]), beyond_wh)


def _known(registers: Table | None, instant_s: int) -> Registers | None:
    """The registers of a table at an instant, as the meter shows them."""
    row = next((row for row in (registers.rows if registers else ()) if row[0] == instant_s), None)
    if row is None or not isinstance(row[1], int) or not isinstance(row[2], int):
        return None
    return row[1], row[2]


def _kwh(register_wh: int) -> str:
    return f"{register_wh // 1_000}.{register_wh % 1_000:03}"


@pages.get("/meters/<meter>/correction")
@requires(*READS_ALL)
async def show_form(meter: str) -> str:
    """The registers around a boundary (``?boundary=``; else the newest), what was not accepted there, and for a utility the form."""
    one, as_of = await find_meter(source(), meter), await source().as_of()
    area = await source().area(one.area)
    newest_s = as_of.ledger_time_s - as_of.ledger_time_s % area.slot_s
    boundary_s = request.args.get("boundary", default=newest_s, type=int)
    check_boundary(area, boundary_s, as_of.ledger_time_s)
    installed = await find_installed(source(), one, boundary_s)
    slots = [boundary_s - area.slot_s, boundary_s]
    steps = [boundary_s - area.slot_s, boundary_s + area.slot_s]
    registers = await part_of(_read_registers(source(), installed, area, boundary_s))
    energy_wh = read_energies(request.args)
    return await render_page(
        "fleet/correction.html",
        one=one,
        installed=installed,
        area=area,
        boundary_s=boundary_s,
        steps=[step for step in steps if area.first_slot_start_s <= step <= newest_s],
        slots=[slot for slot in slots if area.first_slot_start_s <= slot < area.days[-1]],
        registers=registers,
        energy=[request.args.get(name, "") for name in ("energy_import", "energy_export")],
        is_stated=energy_wh is not None,
        substitute=substitute_of(registers.value, energy_wh, (boundary_s - area.slot_s, boundary_s), installed.shows),
        substitute_reason=SUBSTITUTE,
        registers_url=table_url(meter_registers_table, meter=meter, boundary=boundary_s),
        refused=(await part_of(read_refused(source(), one, boundary_s))).value or [],
        reasons=REASONS,
        remedies=REMEDIES,
        may_correct=viewer().role is Role.UTILITY,
        kind=ApproveReading.kind,
        reason_max=REASON_CHARACTERS_MAX,
        act=act_frame(as_of, amounts=AMOUNTS),
    )


@pages.post("/meters/<meter>/correction")
@requires(Role.UTILITY)
async def correct_reading(meter: str) -> Response:
    """Pass on registers that a utility answers for, signed in its browser; what became of it, as JSON."""
    one = await find_meter(source(), meter)
    act = read_act(await request.body, request.mimetype, ApproveReading)
    area, as_of = await source().area(one.area), await source().as_of()
    check_boundary(area, act.content.boundary_s, as_of.ledger_time_s)
    installed = await find_installed(source(), one, act.content.boundary_s)
    if act.content.installation != installed.number:
        raise Problem(
            "bad-request", f"the transaction is of installation {act.content.installation}, not of this meter's"
        )
    slot_s = max(act.content.boundary_s - area.slot_s, area.first_slot_start_s)
    answer = await source().submit(act.wire)
    when = await _when_settled(source(), area, slot_s) if is_taken(answer) else ""
    return told(answer, ANSWERS, f"{slot_path(area.area, slot_s)}#run", when)


async def _when_settled(source: Source, area: AreaInfo, slot_start_s: int) -> str:
    """Whether a change of a slot waits for ledger time, and until when; "" where it does not, or the node does not say."""
    try:
        found = await part_of(source.query(f"areas/{area.area}/slots/{slot_start_s}/runs"))
    except SourceMissing:  # of a slot that has no run yet
        return ""
    coming = (found.value["next_run"] if found.value else None) or {}
    if not coming.get("has_changed"):
        return ""
    return waits_for_run(coming["due_s"], await source.as_of(), area.tz)
