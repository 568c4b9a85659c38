"""Clearing and settlement: contracts, postings, statements. Integers only; no clock, no I/O in what a node computes."""
