"""The scenarios that ship, and a scenario by its name or its path."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from gridcore.config import read_config
from gridcore.errors import UsageError
from simulators.scenarios.schema import Scenario, scenario_of

DEMONSTRATION: Final = "demonstration"
_SUFFIX: Final = ".toml"
_FOLDER: Final = Path(__file__).parent / "gallery"


class Found(NamedTuple):
    """A scenario, the bytes of its file, and where that lies."""

    scenario: Scenario
    data: bytes
    path: Path

    @property
    def is_whole(self) -> bool:
        """Whether the file, a seed and rules say all of it: of no other size than the file's."""
        of_file = scenario_of(self.data, self.path)
        return of_file.sized(seed=self.scenario.seed, rules=self.scenario.tariff.rules) == self.scenario

    def sized(
        self,
        *,
        households: int | None = None,
        slots: int | None = None,
        seed: int | None = None,
        validators: int | None = None,
        rules: Path | None = None,
    ) -> Found:
        """``Scenario.sized``, of the same file."""
        sized = self.scenario.sized(households=households, slots=slots, seed=seed, validators=validators, rules=rules)
        return self._replace(scenario=sized)


def names() -> list[str]:
    """What ships, by name."""
    return sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}"))


def find_scenario(scenario: str) -> Found:
    """The scenario of that name in the gallery, or in the file of that path; ConfigError names file and key."""
    if "/" in scenario or scenario.endswith(_SUFFIX):
        return _load(Path(scenario))
    if scenario not in names():
        raise UsageError(
            f"no scenario {scenario!r}; the gallery has {', '.join(names())}, another one is a path ending in .toml"
        )
    return _load(_FOLDER / f"{scenario}{_SUFFIX}")


def _load(path: Path) -> Found:
    data = read_config(path)
    return Found(scenario_of(data, path), data, path)
