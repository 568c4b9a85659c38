"""A chain is founded: its organisations, keys, calendar and files, from a file (``gridledger genesis new``) or a demonstration.

``config`` is the file and ``chain`` what follows from it; the rest is shared with ``gridledger.demo``.
"""
