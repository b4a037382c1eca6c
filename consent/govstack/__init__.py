"""GovStack Consent Building Block 1.1: its 42 operations as views over our agreements, records, events and streams.

Nothing is stored for them: every object is made from what is there when it is asked for, and every change goes through
the function that our own pages and APIs use.
"""
