"""What can be registered: one file an entity, with its record, its form and its bytes (docs/spec/registry.md).

``entities`` names them all; ``row`` is what is hashed: from a time on, an entity is as a record says.
"""
