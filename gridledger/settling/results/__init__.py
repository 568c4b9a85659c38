"""What comes out of a settled folder: statements, postings, invoices and a report, all made from the runs that the ledger keeps.

``sheets`` holds the runs as columns; ``party_lines`` asks the contract for a party's lines in all its slots at once; ``writing``
goes through runs and parties; the other modules each make one file of what they are told.
"""

from __future__ import annotations

from gridledger.settling.results.writing import Results, write_results

__all__ = ["Results", "write_results"]
