"""Memory that nobody uses any more, given back to the machine."""

from __future__ import annotations

import ctypes
import sys


def give_back_memory() -> None:
    """Give back what was freed: where gigabytes were held in millions of pieces, the allocator keeps most of it for later.

    glibc alone can be asked; elsewhere nothing happens.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
