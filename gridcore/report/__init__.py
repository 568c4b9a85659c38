"""Reports for people: one HTML file in Chinese and English that loads nothing and runs nothing, whoever makes it.

``markup``: texts, tables, sections, the page around them; ``drawing``: charts as inline SVG.
"""
