"""Scenarios: what a simulated world consists of and what happens in it, as a TOML file. ``schema`` says what may stand there,
``gallery`` finds and reads them; those that ship lie in ``gallery/``.
"""
