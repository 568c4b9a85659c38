"""``report.html`` of a settled folder: one file for a community's treasurer, in Chinese and English, that loads nothing.

``figures``: what it shows, as numbers; ``markup``: tables, bars and texts in both languages; ``page``: the page.
"""
