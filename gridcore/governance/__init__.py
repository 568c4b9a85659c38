"""What organisations decide by votes: a sort of action is one file here, and one in ``ledger.governance`` (docs/spec/governance.md)."""
