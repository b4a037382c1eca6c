"""Signing in by way of others: this city as the relying party of an OpenID provider it trusts."""
