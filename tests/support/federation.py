"""Parties of a federation, independent of our code: PyJWT signs what they say. Any claim can be changed or left out."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from tests.support.site import Site, reply

NOW = 1_800_000_000
ANCHOR, MIDDLE, LEAF = "https://anchor.example", "https://pref.example", "https://city.pref.example"


def new_key() -> Any:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def jwk_of(key: Any, kid: str) -> dict[str, Any]:
    """Its public half."""
    public = json.loads(ECAlgorithm(ECAlgorithm.SHA256).to_jwk(key.public_key()))
    return {**public, "kid": kid, "alg": "ES256", "use": "sig"}


@dataclass
class Party:
    """An entity with one key."""

    entity_id: str
    superior: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    now: int = NOW
    life: int = 3600
    key: Any = field(default_factory=new_key)

    @property
    def kid(self) -> str:
        return self.entity_id.rpartition("/")[2] + "-key"

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [jwk_of(self.key, self.kid)]}

    def sign(self, claims: dict[str, Any], typ: str | None = "entity-statement+jwt", **header: Any) -> str:
        """A JWT of the claims that are not None."""
        said = {name: value for name, value in claims.items() if value is not None}
        head = {"typ": typ, **({"kid": self.kid} if "kid" not in header else {}), **header}
        head = {name: value for name, value in head.items() if value is not None or name == "typ"}
        key = header.pop("_key", self.key)
        head.pop("_key", None)
        return jwt.encode(said, key, algorithm=head.pop("alg", "ES256"), headers=head)

    def _said(self, sub: str, jwks: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
        times = {"iat": self.now, "exp": self.now + self.life}
        return {"iss": self.entity_id, "sub": sub, **times, "jwks": jwks, **changed}

    def configuration(self, header: dict[str, Any] | None = None, **changed: Any) -> str:
        """Its word about itself."""
        said: dict[str, Any] = {"metadata": self.metadata or None}
        if self.superior is not None:
            said["authority_hints"] = [self.superior]
        return self.sign(self._said(self.entity_id, self.jwks, said | changed), **(header or {}))

    def about(self, other: "Party", header: dict[str, Any] | None = None, **changed: Any) -> str:
        """Its statement about a subordinate."""
        return self.sign(self._said(other.entity_id, other.jwks, changed), **(header or {}))


def three(leaf: dict[str, Any] | None = None) -> tuple[Party, Party, Party]:
    """Leaf, intermediate and anchor."""
    metadata = leaf or {"openid_relying_party": {"redirect_uris": [f"{LEAF}/cb"], "scope": "openid profile"}}
    return Party(LEAF, MIDDLE, metadata), Party(MIDDLE, ANCHOR, {"federation_entity": {}}), Party(ANCHOR)


def chain_of(leaf: Party, middle: Party, anchor: Party, /, **changed: Any) -> list[str]:
    """The whole chain; `middle` and `anchor` in `changed` are claims of the subordinate statements."""
    return [
        leaf.configuration(**changed.get("leaf", {})),
        middle.about(leaf, **changed.get("middle", {})),
        anchor.about(middle, **changed.get("anchor", {})),
        anchor.configuration(),
    ]


class World:
    """Parties of one federation on one loopback web server, each at a path of its own: anchor, prefecture, service.

    `said` changes what a party says: claims of its configuration, or of its statement about another (`a/b`). `answers`
    has whole answers, by path or by the same `a/b`.
    """

    def __init__(self, site: Site, now: Callable[[], int]) -> None:
        self.site = site
        self.now = now
        self.said: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, bytes] = {}
        self.rp_key = new_key()
        self.parties: dict[str, Party] = {}
        self.add("anchor", None)
        self.add("pref", "anchor")
        site.answer = self._answer

    def url(self, name: str) -> str:
        return self.site.url(f"/{name}")

    def add(self, name: str, superior: str | None) -> Party:
        """Another party, if it is not there."""
        found = self.parties.get(name)
        if found is None:
            above = None if superior is None else self.url(superior)
            found = self.parties[name] = Party(self.url(name), above)
            found.metadata = {"federation_entity": {"federation_fetch_endpoint": f"{self.url(name)}/fetch"}}
        return found

    def service(self, name: str, superior: str = "pref", **metadata: Any) -> Party:
        """A relying party below the prefecture."""
        made = self.add(name, superior)
        made.metadata = {
            "openid_relying_party": {
                "redirect_uris": [f"{self.url(name)}/cb"],
                "client_name": "隣の市の予約",
                "jwks": {"keys": [jwk_of(self.rp_key, "rp")]},
                "token_endpoint_auth_method": "private_key_jwt",
                "client_registration_types": ["automatic", "explicit"],
                **metadata,
            }
        }
        return made

    @property
    def anchors(self) -> list[dict[str, Any]]:
        """As the operator of a city writes them down."""
        return [{"entity_id": self.url("anchor"), "jwks": self.parties["anchor"].jwks}]

    def by_rp(self, name: str, typ: str | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """What a service signs with its protocol key."""
        said = {"iss": self.url(name), "iat": self.now(), "exp": self.now() + 60, "jti": secrets.token_hex(8), **claims}
        head = {"kid": "rp", **({"typ": typ} if typ else {}), **(header or {})}
        return jwt.encode({k: v for k, v in said.items() if v is not None}, self.rp_key, "ES256", headers=head)

    def chain(self, *names: str) -> list[str]:
        """The chain of the first, up to the last."""
        found = [self._configuration(names[0])]
        for name, above in pairwise(names):
            found.append(self._about(above, name))
        return [*found, self._configuration(names[-1])]

    def _configuration(self, name: str, **changed: Any) -> str:
        party = self.parties[name]
        party.now = self.now()
        return party.configuration(**self.said.get(name, {}), **changed)

    def _about(self, above: str, name: str) -> str:
        party = self.parties[above]
        party.now = self.now()
        return party.about(self.parties[name], **self.said.get(f"{above}/{name}", {}))

    def _answer(self, path: str) -> bytes:
        if path in self.answers:
            return self.answers[path]
        name, _, rest = path.removeprefix("/").partition("/")
        if name in self.parties and rest == ".well-known/openid-federation":
            return statement(self._configuration(name))
        if name in self.parties and rest.startswith("fetch?"):
            sub = parse_qs(rest.partition("?")[2])["sub"][0].rpartition("/")[2]
            if (changed := self.answers.get(f"{name}/{sub}")) is not None:
                return changed
            if sub in self.parties and self.parties[sub].superior == self.url(name):
                return statement(self._about(name, sub))
        return reply(b'{"error":"not_found"}', "404 Not Found", "content-type: application/json")


def statement(token: str) -> bytes:
    """As it goes over the wire."""
    return reply(token.encode(), "200 OK", "content-type: application/entity-statement+jwt")
