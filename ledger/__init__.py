"""The replicated ledger: ``state`` holds its rules, ``store`` what is on disk, ``engines`` make blocks, ``http`` and ``client`` are its interface."""
