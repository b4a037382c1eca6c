"""Proof Key for Code Exchange (RFC 7636), the pure rules."""

import pytest

from identity.oauth import pkce
from identity.oauth.errors import InvalidGrant, InvalidRequest

# RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_accepts_the_pair_of_appendix_b() -> None:
    pkce.verify(VERIFIER, pkce.read_challenge(CHALLENGE, "S256"))


@pytest.mark.parametrize(
    ("challenge", "method"),
    [
        (None, "S256"),
        (CHALLENGE, None),
        (CHALLENGE, "plain"),
        (CHALLENGE, "s256"),
        (CHALLENGE[:-1], "S256"),
        (CHALLENGE + "A", "S256"),
        (CHALLENGE[:-1] + "=", "S256"),
        (CHALLENGE[:-1] + "é", "S256"),
    ],
)
def test_refuses_a_request_without_a_proper_s256_challenge(challenge: str | None, method: str | None) -> None:
    """Sections 4.3 and 4.4.1; `plain` protects nothing (RFC 9700 section 2.1.1)."""
    with pytest.raises(InvalidRequest):
        pkce.read_challenge(challenge, method)


@pytest.mark.parametrize("verifier", [None, "", "a" * 42, "a" * 129, "a" * 42 + " ", "a" * 42 + "é", "a" * 43])
def test_refuses_a_verifier_that_is_missing_malformed_or_another(verifier: str | None) -> None:
    """Sections 4.1 and 4.6."""
    with pytest.raises(InvalidGrant):
        pkce.verify(verifier, pkce.Challenge(CHALLENGE))


def test_the_challenge_is_no_verifier() -> None:
    with pytest.raises(InvalidGrant):
        pkce.verify(CHALLENGE, pkce.Challenge(CHALLENGE))
