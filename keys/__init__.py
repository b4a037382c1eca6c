"""Keys, envelopes, JOSE: the only package that touches cryptography libraries."""
