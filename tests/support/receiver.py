"""Somebody else's receiver of signals, strict and independent of our code: PyJWT verifies, the rules are written again.

RFC 8935 (push) over real HTTP, RFC 8936 (poll), the checks SSF 1.0 asks of receivers (sections 4.1 and 8.1.1.1), and
those of the CAEP Interoperability Profile (RS256, one event, `sub_id` of a known format).
"""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx2
import jwt

from tests.support.site import Site, reply

KNOWN_FORMATS = {"iss_sub": {"iss", "sub"}, "opaque": {"id"}, "email": {"email"}}


class Refused(Exception):
    """The receiver does not take this token; the text says why."""


@dataclass
class Receiver:
    """One receiver: its stream, what it has taken, in order."""

    http: httpx2.AsyncClient
    issuer: str
    headers: dict[str, str]
    audience: str
    stream: dict[str, Any] = field(default_factory=dict)
    taken: list[dict[str, Any]] = field(default_factory=list)
    expects_header: str | None = None

    async def call(self, method: str, path: str, *, status: int, **more: Any) -> Any:
        answer = await self.http.request(method, path, headers=self.headers, **more)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    async def open(self, events: list[str], **more: Any) -> dict[str, Any]:
        """A stream; what is said of it must hang together (section 8.1.1)."""
        made = await self.call("POST", "/ssf/stream", status=201, json={"events_requested": events, **more})
        assert made["iss"] == self.issuer
        assert made["aud"] == self.audience
        assert set(made["events_delivered"]) == set(made["events_supported"]) & set(made["events_requested"])
        assert "authorization_header" not in made["delivery"]
        self.stream = made
        return dict(made)

    async def poll(self, *, status: int = 200, take: bool = True, **body: Any) -> list[dict[str, Any]]:
        """Fetch, verify, and acknowledge with the next poll."""
        body.setdefault("returnImmediately", True)
        path = self.stream["delivery"]["endpoint_url"].removeprefix(self.issuer)
        answer = await self.call("POST", path, status=status, json=body)
        if status != 200:
            return []
        found = [await self.verify(token, name) for name, token in answer["sets"].items()]
        if found and take:
            acks = [claims["jti"] for claims in found]
            await self.call("POST", path, status=200, json={"maxEvents": 0, "ack": acks})
            self.taken += found
        return found

    async def verify(self, token: str, name: str | None = None) -> dict[str, Any]:
        """Every check a receiver owes; raises Refused."""
        header = jwt.get_unverified_header(token)
        if header["typ"] != "secevent+jwt" or header["alg"] != "RS256":
            raise Refused(f"header {header}")
        jwks = (await self.http.get("/oauth/jwks")).json()
        (key,) = [jwt.PyJWK(each) for each in jwks["keys"] if each["kid"] == header["kid"]]
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=["RS256"], audience=self.audience, issuer=self.issuer,
            options={"require": ["iss", "aud", "iat", "jti", "txn", "events", "sub_id"], "verify_iat": False},
        )  # fmt: skip
        if {"sub", "exp", "nonce"} & claims.keys():
            raise Refused("a security event token has neither sub nor exp (SSF section 4.1)")
        if len(claims["events"]) != 1 or (name is not None and claims["jti"] != name):
            raise Refused("one event under its own name")
        subject = claims["sub_id"]
        members = (
            [subject]
            if subject["format"] != "complex"
            else [value for key, value in subject.items() if key != "format"]
        )
        for member in members:
            if member.keys() - {"format"} != KNOWN_FORMATS[member["format"]]:
                raise Refused(f"subject {subject}")
        return claims

    def listen(self, site: Site, *, answers: str = "202 Accepted") -> dict[str, Any]:
        """Take pushes at a site; the `delivery` to ask for."""

        async def take() -> bytes:
            head, _, body = site.asked[-1].partition(b"\r\n\r\n")
            assert b"content-type: application/secevent+jwt" in head.lower()
            if self.expects_header is not None:
                assert f"authorization: {self.expects_header}".encode() in head, head
            else:
                assert b"authorization:" not in head.lower()
            try:
                self.taken.append(await self.verify(body.decode()))
            except (jwt.PyJWTError, Refused) as error:
                said = {"err": "invalid_request", "description": str(error)}
                return reply(json.dumps(said).encode(), "400 Bad Request", "content-type: application/json")
            return reply(b"", answers)

        site.answer = lambda _path: take()
        asked = {"method": "urn:ietf:rfc:8935", "endpoint_url": site.url("/signals")}
        return asked if self.expects_header is None else {**asked, "authorization_header": self.expects_header}

    def kinds(self) -> list[str]:
        """What it was told, by the last part of each type."""
        return [uri.rpartition("/")[2].rpartition(":")[2] for claims in self.taken for uri in claims["events"]]
