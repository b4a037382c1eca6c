"""`sekisho walk`: the main walk against a running server, as outsiders would do it.

A resident in a (scripted) browser, a service that uses an OAuth library nobody here wrote, an auditor with twenty lines
of hashing. Tokens are verified with Authlib, PyJWT and python-jose, the ledger with `hashlib`; nothing here imports the
five packages, so that a mistake of theirs cannot hide in a mistake of ours.
"""
