"""The table ``[runs]`` of a file: when the settlement runs of a zone fall due (docs/settlement-runs.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gridcore.registry.run_calendar import CORRECTION_DATES_MAX, PPM, RUN_S_MAX, CorrectionDate, RunCalendar

_RUN_TIME: Final = {"min": 0, "max": RUN_S_MAX}
_SHARE: Final = {"min": 0, "max": PPM}


@dataclass(frozen=True)
class CorrectionDateConfig:
    """See ``gridcore.registry.run_calendar.CorrectionDate``."""

    due_after_s: int = field(metadata=_RUN_TIME)
    measured_ppm: int = field(default=0, metadata=_SHARE)


@dataclass(frozen=True)
class RunsConfig:
    """See ``gridcore.registry.run_calendar.RunCalendar``."""

    initial_measured_ppm: int = field(metadata=_SHARE)
    initial_last_after_s: int = field(metadata=_RUN_TIME)
    final_run_after_s: int = field(metadata=_RUN_TIME)
    dispute_material_nano: int = field(metadata={"min": 0, "max": 10**18})
    corrections: tuple[CorrectionDateConfig, ...] = field(default=(), metadata={"max": CORRECTION_DATES_MAX})

    @property
    def calendar(self) -> RunCalendar:
        """As a zone's row has it."""
        dates = [CorrectionDate(date.due_after_s, date.measured_ppm) for date in self.corrections]
        return RunCalendar(
            corrections=dates,
            dispute_material_nano=self.dispute_material_nano,
            final_run_after_s=self.final_run_after_s,
            initial_last_after_s=self.initial_last_after_s,
            initial_measured_ppm=self.initial_measured_ppm,
        )
