"""OpenID Connect on top of OAuth: the ID token, the claims, the userinfo endpoint."""
