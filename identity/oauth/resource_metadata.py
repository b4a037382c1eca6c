"""What our own APIs say of themselves as a protected resource.

RFC 9728 section 2 (the document), section 3 (its address: the resource's origin, with the well-known path), section 5.1
(`resource_metadata` in challenges, written by `identity.bearer`). Packages add the scopes their endpoints ask for.
"""

from typing import Any

from identity.oauth.dpop import ALGS as DPOP_ALGS

PATH = "/.well-known/oauth-protected-resource"


class ProtectedResource:
    """The document, and the scopes it names."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._scopes = {"openid"}

    @property
    def address(self) -> str:
        """Where the document is."""
        return self._issuer + PATH

    def asks_for(self, *scopes: str) -> None:
        """An endpoint asks for these."""
        self._scopes |= set(scopes)

    def document(self, *, detail_types: list[str], mtls: bool) -> dict[str, Any]:
        """Section 2. `resource` is our issuer's name: what a client sends as `resource` (RFC 8707)."""
        return {
            "resource": self._issuer,
            "authorization_servers": [self._issuer],
            "jwks_uri": f"{self._issuer}/oauth/jwks",
            "scopes_supported": sorted(self._scopes),
            "bearer_methods_supported": ["header"],
            "resource_name": "Sekisho",
            "resource_name#ja": "関所",
            "resource_documentation": f"{self._issuer}/docs",
            "dpop_signing_alg_values_supported": list(DPOP_ALGS),
            "dpop_bound_access_tokens_required": False,
            "authorization_details_types_supported": detail_types,
            "tls_client_certificate_bound_access_tokens": mtls,
        }
