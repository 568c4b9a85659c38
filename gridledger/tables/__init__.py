"""Tables of results as columns: their order, their CSV files and the digests over them (docs/spec/results_root.md).

A table of millions of rows is written block by block and never row by row. ``columns``: what a table is; ``cells``: its fields
as bytes; ``files``: writing and hashing; ``results``: the result files, by name.
"""
