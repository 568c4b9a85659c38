"""A folder of files, read into a ``Dataset``: by columns, and what is wrong is one line that names file, row and column."""
