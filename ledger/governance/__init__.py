"""What organisations decide by votes (docs/spec/governance.md): one file a sort of action, ``table`` has all of them."""
