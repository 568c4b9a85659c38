"""Documents that are sent: numbered, dated, never changed, and corrected by further ones.

``book``: the folder that has them, issue by issue; ``dues``: what months come to by now; ``making``: one more issue.
"""
