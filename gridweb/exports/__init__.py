"""Tables as files: the same exact rows for programs, for spreadsheets, for paper and for data science.

A format is a file of this package and a line in ``gridweb.exports.formats``.
"""
