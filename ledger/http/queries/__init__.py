"""Answers to queries: plain values for JSON, out of one state, cut down to what the caller may see.

Every function checks the caller first, so that a refusal says nothing about what exists. Functions block; they run in
threads. Lists come in pages: ``start`` is the first row wanted, ``next`` in the answer the start of the page after, or None.
"""
