"""Rules of the risk monitor: one TOML file, a table for each rule, whole numbers with their unit in the name (docs/watch.md)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gridcore.config import load_config
from gridcore.errors import UsageError

RULES_VERSION: Final = 1
DAYS_MAX: Final = 366
WH_MAX: Final = 10**12
METRICS_MAX: Final = 100


def _whole(low: int, high: int) -> Any:
    return dataclasses.field(metadata={"min": low, "max": high})


@dataclass(frozen=True)
class Balance:
    """More flows through the feeder's meter than its points say, beside what was usual in the first days (losses)."""

    learn_days: int = _whole(1, DAYS_MAX)
    allowance_wh_per_day: int = _whole(0, WH_MAX)
    limit_wh: int = _whole(1, WH_MAX)


@dataclass(frozen=True)
class Limits:
    """A slot's energy is more than so many percent of what is registered for the meter."""

    percent_max: int = _whole(1, 1_000)


@dataclass(frozen=True)
class Monotone:
    """A register without a modulus goes back by more than ``back_wh_max``."""

    back_wh_max: int = _whole(0, WH_MAX)


@dataclass(frozen=True)
class Gaps:
    """A meter has no reading at more than so many boundaries in a row."""

    boundaries_max: int = _whole(0, 100_000)


@dataclass(frozen=True)
class Flat:
    """A day of which each slot is like the others: ``spread_wh_max`` between the least and the most, and a percent of the mean."""

    spread_wh_max: int = _whole(0, WH_MAX)
    spread_percent_max: int = _whole(0, 1_000)
    day_wh_min: int = _whole(1, WH_MAX)


@dataclass(frozen=True)
class Standstill:
    """Nothing taken and nothing given for so many slots, at a meter that had energy on each of the first days."""

    learn_days: int = _whole(1, DAYS_MAX)
    slots_max: int = _whole(1, 100_000)


@dataclass(frozen=True)
class NewExport:
    """A point gives more than ``day_wh_max`` in a day, and gave nothing in the first days."""

    learn_days: int = _whole(1, DAYS_MAX)
    day_wh_max: int = _whole(0, WH_MAX)


@dataclass(frozen=True)
class Backwards:
    """Days that look like those before them run backwards: so many usual days' worth, counted together."""

    learn_days: int = _whole(1, DAYS_MAX)
    limit_percent: int = _whole(1, 100_000)


@dataclass(frozen=True)
class Voltage:
    """The voltage between busbar and meter follows the meter's power otherwise than in the first days, in percent of a day, added up."""

    learn_days: int = _whole(1, DAYS_MAX)
    allowance_percent: int = _whole(0, 1_000)
    limit_percent: int = _whole(1, 100_000)


@dataclass(frozen=True)
class Clock:
    """A gateway says that its clock is further off, or that nothing sets it."""

    offset_ms_max: int = _whole(0, 86_400_000)


@dataclass(frozen=True)
class Keys:
    """More batches than these were refused in a day under a gateway's name: its key signs what its outbox does not know."""

    refused_per_day_max: int = _whole(0, 100_000)


@dataclass(frozen=True)
class Blocks:
    """So many seconds of ledger time without a block."""

    silence_s_max: int = _whole(1, 366 * 86_400)


@dataclass(frozen=True)
class Metrics:
    """A node's metric has a value above its own limit. value_max: by the metric's name, as its ``/metrics`` has it, without labels."""

    value_max: dict[str, int] = dataclasses.field(metadata={"min": 1, "max": METRICS_MAX})


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Which rules are on, and how they are set."""

    rules_version: int = _whole(RULES_VERSION, RULES_VERSION)
    balance: Balance | None = None
    limits: Limits | None = None
    monotone: Monotone | None = None
    gaps: Gaps | None = None
    flat: Flat | None = None
    standstill: Standstill | None = None
    new_export: NewExport | None = None
    backwards: Backwards | None = None
    voltage: Voltage | None = None
    clock: Clock | None = None
    keys: Keys | None = None
    blocks: Blocks | None = None
    metrics: Metrics | None = None

    def __post_init__(self) -> None:
        """Check that there is one."""
        if not self.on:
            raise UsageError(f"no rule is on; give a table of {', '.join(RULE_NAMES)}")

    @property
    def on(self) -> list[str]:
        """The names of those that are on."""
        return [name for name in RULE_NAMES if getattr(self, name) is not None]


RULE_NAMES: Final = tuple(field.name for field in dataclasses.fields(Rules) if field.name != "rules_version")


def load_rules(path: Path) -> Rules:
    """The rules in a file; ConfigError names file and key."""
    return load_config(path, Rules)
