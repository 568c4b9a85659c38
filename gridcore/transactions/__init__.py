"""Transactions, one file a kind: what it says as a frozen record, how that is signed, and which form it must have."""
