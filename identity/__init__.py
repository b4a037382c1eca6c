"""Who is asking: accounts, sign-in, clients, OAuth 2 and OpenID Connect."""
