"""The registry in the state: entities with dated entries, the rows beside the tree, and columns of what is in force.

``entries`` (one entity), ``bodies`` (a row by its digest), ``columns`` and ``in_force`` (many at once). What the rows
say stands in ``gridcore.registry``.
"""
