"""``gridledger light``: following certificates of nodes that are not trusted, and checking files by what was learned."""
