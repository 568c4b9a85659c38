"""Risk monitoring: rules in a file over the readings and batches of a ledger, and the alerts that they give (docs/watch.md)."""
