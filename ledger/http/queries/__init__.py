"""Answers to queries: plain values for JSON, out of one state, cut down to what the caller may see.

A module ends with the records of its routes (``ledger.http.route``): who may ask is checked by the record, before the function
runs. Functions block; they run in threads. Lists come in pages: ``start`` is the first row wanted, ``next`` in the answer the start of the page after, or None.
"""
