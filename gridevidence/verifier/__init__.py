"""The parts of the stand-alone verifier: standard library alone, and this package's ``layout``.

``gridevidence.build_verifier`` makes ``gridcore/verify.py`` of them. All names of all parts end in one file, so each stands once.
"""
