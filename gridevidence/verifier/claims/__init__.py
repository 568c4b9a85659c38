"""A function for each claim of ``gridevidence.layout.CLAIMS``: it returns what an examination proved, or halts."""
