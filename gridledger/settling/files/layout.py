"""How readings are written in a file: our own ``readings.csv``, and exports of meter operators as presets.

A preset is a TOML file beside this one, in ``presets/``; one reader interprets them all. What an export leaves open is
stated there and never guessed: whether a stamp is an interval's start or end, how the repeated hour is told apart, whether
a direction without any rows is 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gridcore.config import load_config
from gridcore.errors import UsageError
from gridledger.settling.files.fault import nearest
from gridledger.settling.files.stamps import ISO_FORMATS

PRESETS: Final = Path(__file__).resolve().parent / "presets"
UNITS: Final = ("kWh", "Wh", "MWh", "kW", "W")
REPEATED_HOURS: Final = ("refused", "in_order", "in_reverse")


@dataclass(frozen=True)
class FileForm:
    """``[file]``. header_row: where the header stands; 0 in a file of records. others: columns that are not read may be there.

    short_rows: the last fields of a row may be left out.
    """

    delimiter: str = field(default=",", metadata={"choices": (",", ";", "\t", "|")})
    encoding: str = field(default="utf-8", metadata={"choices": ("utf-8", "cp1252", "gb18030")})
    decimal: str = field(default=".", metadata={"choices": (".", ",")})
    header_row: int = field(default=1, metadata={"min": 0, "max": 100})
    others: bool = True
    short_rows: bool = False


@dataclass(frozen=True)
class RecordForm:
    """``[records]``: the kinds of records of a file that has some. data_before, data_after: columns around the values."""

    header: str
    header_columns: tuple[str, ...]
    data: str
    data_before: tuple[str, ...]
    data_after: tuple[str, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class TimeForm:
    """``[time]``. at: what a stamp is of its interval. column: the stamp, or a date beside one of the two others.

    time_column: the time of day; number_column: the number of the interval in the local day, from 1, with ``number_format``
    around it (``n`` is the number). In a wide layout the place of the value is that number. zone: of local times, absent
    where rules.toml says it; repeated_hour: how local times of the hour that comes twice are told apart.
    """

    at: str = field(metadata={"choices": ("start", "end")})
    column: str
    formats: tuple[str, ...] = ISO_FORMATS
    time_column: str | None = None
    time_formats: tuple[str, ...] = ("hh:mm:ss", "hh:mm")
    number_column: str | None = None
    number_format: str = "n"
    zone: str | None = None
    repeated_hour: str = field(default="refused", metadata={"choices": REPEATED_HOURS})


@dataclass(frozen=True)
class EnergyForm:
    """``[energy]``. unit: kW and W are averages over the interval.

    Either a column a direction, or one value whose ``direction_column`` says in a word which it is (``skipped_words``: rows
    that are neither); several words of one direction are registers that add up. unit_column: must hold one of
    ``unit_words``. wide: the values of a day stand side by side. silent_is_zero: a point without any value of a direction
    has none of it.
    """

    unit: str = field(metadata={"choices": UNITS})
    import_column: str | None = None
    export_column: str | None = None
    value_column: str | None = None
    direction_column: str | None = None
    import_words: tuple[str, ...] = ()
    export_words: tuple[str, ...] = ()
    skipped_words: tuple[str, ...] = ()
    unit_column: str | None = None
    unit_words: tuple[str, ...] = ()
    wide: bool = False
    silent_is_zero: bool = True


@dataclass(frozen=True)
class QualityForm:
    """``[quality]``: the words of its column; ``characters``: how many of a word count, all where absent. Empty is measured."""

    column: str
    measured: tuple[str, ...] = ("measured",)
    estimated: tuple[str, ...] = ("estimated",)
    corrected: tuple[str, ...] = ("corrected",)
    suspect: tuple[str, ...] = ("suspect",)
    characters: int | None = None


@dataclass(frozen=True)
class Layout:
    """A layout of readings. source: where it is described, a URL; point_column absent: the name of the file is the point."""

    title: str
    source: str
    time: TimeForm
    energy: EnergyForm
    file: FileForm = FileForm()
    point_column: str | None = None
    records: RecordForm | None = None
    quality: QualityForm | None = None
    notes: str = ""


OWN: Final = Layout(
    title="readings.csv",
    source="docs/settle-files.md",
    time=TimeForm(at="start", column="start"),
    energy=EnergyForm(unit="kWh", import_column="import_kwh", export_column="export_kwh", silent_is_zero=False),
    file=FileForm(others=False),
    point_column="point",
    quality=QualityForm("quality"),
)
"""Our own layout."""


def preset_names() -> list[str]:
    """Names of the presets, in their order."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_preset(name: str) -> Layout:
    """The layout of a preset; UsageError with the nearest name for one that is none."""
    names = preset_names()
    if name not in names:
        raise UsageError(f"gridledger settle files: --preset {name}: is no preset; {nearest(name, names)}")
    return load_config(PRESETS / f"{name}.toml", Layout)
