"""Whether a certificate is good now: its path, and what its authority says of it since. Pure."""
