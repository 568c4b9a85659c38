"""``python -m gridledger`` is the command ``gridledger``."""

from __future__ import annotations

import sys

from gridledger.cli import main

sys.exit(main())
