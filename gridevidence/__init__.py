"""The evidence bundle of a bill line: its layout, export, view, forgery, and the parts of the stand-alone verifier."""
