"""What a field engineer does at a gateway, by ``gridledger edge``: look for meters on a line, prove where the key is."""
