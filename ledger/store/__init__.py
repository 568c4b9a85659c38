"""One node's data on its disk: block log, guard, state database, and the ledger that keeps them in step."""
