"""Settlement of data that exist already: from a folder of files to statements and a ledger (docs/settle-files.md)."""
