"""Stand-ins for the world: a distribution grid with its homes, and meters that speak the real protocols."""
