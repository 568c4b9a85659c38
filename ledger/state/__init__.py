"""The replicated state machine: read ``transition.apply_block`` first. Pure: no clock, randomness, I/O or floats in here."""
