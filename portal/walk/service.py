"""A member's service, with Authlib as its OAuth client: pushes, exchanges, refreshes, introspects, fetches.

RFC 9126, 9396, 7636, 7523 section 2.2 and 9449, by the library or by the published metadata; nothing here knows ours.
"""

import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx2
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.jwk import ECKey

from portal.walk.browser import shown
from portal.walk.report import Report
from portal.walk.tokens import Dpop

DATA_USE = "data_use"


@dataclass(frozen=True)
class Asked:
    """An authorization request, and what the service keeps to itself until the answer comes."""

    form: dict[str, str]
    verifier: str


class Service:
    """One client of the city. Its DPoP key lives as long as it does."""

    def __init__(self, issuer: str, registration: dict[str, Any], metadata: dict[str, Any], report: Report) -> None:
        self.issuer = issuer
        self.registration = registration
        self.metadata = metadata
        self.report = report
        self.dpop = Dpop()
        self.last_proof = ""
        self.bank_url = issuer + "/api/bank/records"
        self._http = httpx2.Client(timeout=30, headers={"User-Agent": "sekisho-walk-service"})
        self.auth_method: str = registration["token_endpoint_auth_method"]
        method: Any = self.auth_method
        secret: Any = registration["client_secret"]
        if self.auth_method == "private_key_jwt":
            secret = ECKey.import_key(registration["private_jwk"])
            method = PrivateKeyJWT(metadata["token_endpoint"], alg="ES256")
        self._oauth = OAuth2Client(registration["client_id"], secret, token_endpoint_auth_method=method, timeout=30)

    def close(self) -> None:
        """Hang up."""
        self._http.close()
        self._oauth.close()

    def asking(self, *, scope: str, data: bool = True) -> Asked:
        """A request for a resident's consent (with `data`), or for signing in alone; made, not yet sent."""
        verifier = secrets.token_urlsafe(48)
        form = {
            "response_type": "code", "client_id": self.registration["client_id"],
            "redirect_uri": self.registration["redirect_uri"], "scope": scope,
            "state": secrets.token_urlsafe(16), "nonce": secrets.token_urlsafe(16),
            "code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256",
            "prompt": "consent",
        }  # fmt: skip
        if data:
            detail = {"type": DATA_USE, "agreement": self.registration["agreement"], "actions": ["read"]}
            form["authorization_details"] = json.dumps([detail])
        return Asked(form, verifier)

    def push(self, form: dict[str, str]) -> Any:
        """RFC 9126: the request through the back channel."""
        return self._post("pushed_authorization_request_endpoint", form, bound=True)

    def address(self, request_uri: str) -> str:
        """Where the resident's browser is sent."""
        query = urlencode({"client_id": self.registration["client_id"], "request_uri": request_uri})
        return f"{self.metadata['authorization_endpoint']}?{query}"

    def token_request(self, form: dict[str, str]) -> Any:
        """Any grant, with a proof of the service's key."""
        return self._post("token_endpoint", form, bound=True, note=f" ({form['grant_type']})")

    def exchange(self, code: str, verifier: str) -> Any:
        """The code for tokens."""
        return self.token_request(
            {"grant_type": "authorization_code", "code": code, "code_verifier": verifier,
             "redirect_uri": self.registration["redirect_uri"]}
        )  # fmt: skip

    def refresh(self, refresh_token: str) -> Any:
        """A refresh token for its successors."""
        return self.token_request({"grant_type": "refresh_token", "refresh_token": refresh_token})

    def is_active(self, token: str) -> object:
        """What introspection (RFC 7662) says of a token; neither True nor False if it says nothing."""
        return self._post("introspection_endpoint", {"token": token}).json().get("active")

    def fetch(self, token: str, *, category: str | None = None, proof: str | None = None) -> Any:
        """Records under the token's consent, with a fresh proof (or a given one)."""
        self.last_proof = proof or self.dpop.proof("GET", self.bank_url, token=token)
        headers = {"Authorization": f"DPoP {token}", "DPoP": self.last_proof}
        response = self._http.get(self.bank_url, params={"category": category} if category else None, headers=headers)
        self.report.request(f"GET /api/bank/records → {response.status_code}")
        return response

    def _post(self, endpoint: str, form: dict[str, str], *, bound: bool = False, note: str = "") -> Any:
        url = self.metadata[endpoint]
        response = self._oauth.request(
            "POST", url, data=form, auth=self._oauth.client_auth(self._oauth.token_endpoint_auth_method),
            withhold_token=True, headers={"DPoP": self.dpop.proof("POST", url)} if bound else None,
        )  # fmt: skip
        self.report.request(f"POST {shown(url)}{note} → {response.status_code}")
        return response
