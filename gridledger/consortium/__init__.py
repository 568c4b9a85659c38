"""``gridledger consortium``: organisations that keep a chain together run their nodes, vote, come back and begin anew."""
