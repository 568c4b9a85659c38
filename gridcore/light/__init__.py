"""Following certificates without trusting a node: what is trusted, the step to a later header, and the file that keeps it."""
