"""The rules of ``gridwatch/rules.toml``."""

from __future__ import annotations

from pathlib import Path

import gridwatch
from gridwatch.rules import load_rules

RULES = load_rules(Path(gridwatch.__file__).with_name("rules.toml"))
