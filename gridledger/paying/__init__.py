"""Payments out of a bank's file: read and checked as a whole, then recorded one by one, each movement once.

``rows``: what the file says; ``recording``: what the node says of it, and sending.
"""
