"""The simulated grid: a real low-voltage feeder, homes drawn from a seed, and a power flow for every slot."""
