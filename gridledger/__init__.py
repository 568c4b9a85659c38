"""The command line and the composition root: builds processes out of the other packages."""

from __future__ import annotations

__version__ = "0.1.0"
