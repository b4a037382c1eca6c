"""Transparency log: the tree (RFC 6962/9162), its texts (c2sp.org) and its storage."""
