"""Invoices: lines rounded once, tax once, and credit notes that bring an invoice to what later runs say. Pure, in integers.

``total``: one invoice out of its exact lines (``invoice_total/1``); ``documents``: the invoice of a month, and what corrections add to it;
``account``: what a party owes over months by its documents and payments.
"""
