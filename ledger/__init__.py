"""The replicated ledger: ``state`` is its rules, ``store`` its disk, ``engines`` its heartbeat, ``http`` and ``client`` its door."""
