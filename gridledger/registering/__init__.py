"""Registry rows from a file to the ledger: read, split into transactions, checked by a node, signed and submitted.

``rows_file`` (TOML or CSV to rows), ``parts`` (rows that must be decided together), ``submission``.
"""
