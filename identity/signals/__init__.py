"""Shared Signals: telling services what happened to a resident they know (OpenID SSF, CAEP and RISC 1.0)."""
