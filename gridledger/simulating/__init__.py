"""What a simulated world leaves behind: its tables, what the ledger made of it, a report for people, and comparisons.

``world_files``: what the simulator alone knows; ``settled``: what was reported and settled, as columns; ``direct``: a world fed to the
ledger without meters and agents.
"""
