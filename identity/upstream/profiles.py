"""What is known of upstreams: the ready profiles, and one upstream as the flow uses it. Pure.

`digital-auth-app`: デジタル認証アプリ of Japan's Digital Agency, after its API reference and implementation guideline
(developers.digital.go.jp/documents/auth-and-sign/authserver and …/implement-guideline): authorization code with PKCE
S256, `state` and `nonce` required, `private_key_jwt`, ID tokens signed ES256, `acr_values` `aal3` (the card) and `crl`
(its certificate's status), and a scope for each of the four attributes. Each sign-in reads the card, so none is old.
`gbizid`: GビズID, by OpenID Connect with a client secret (gbiz-id.go.jp, システム連携); its issuer is told with the
client id, so it has no default here. Its accounts are of businesses and their people: `profile`, `user` and `mandate`
are not asked for, since nothing here uses them. It knows `prompt=login` and no `max_age`, so both are asked for: else
whoever signed in there this morning would be refused here as too old, without a way out.
`openid`: any provider that keeps OpenID Connect Core and Discovery.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from identity.levels import AAL1, AAL2, Level, told
from keys.files import ALG, KeyFile

if TYPE_CHECKING:
    from identity.upstream.settings import UpstreamSettings


@dataclass(frozen=True, slots=True)
class Profile:
    """What all clients of one kind of provider have in common."""

    label_ja: str = ""
    label_en: str = ""
    issuer: str = ""
    alg: str = "RS256"  # OpenID Connect Core section 3.1.3.7, rule 7: the default
    key_only: bool = False
    attributes: tuple[str, ...] = ()  # scopes asked for when a link is made, and the claims they give
    acr_values: tuple[str, ...] = ()
    levels: Mapping[str, str] = field(default_factory=dict)
    max_age: int | None = 300
    prompt: str = ""  # Core section 3.1.2.1


READY: Mapping[str, Profile] = {
    "openid": Profile(),
    "digital-auth-app": Profile(
        label_ja="デジタル認証アプリ",
        label_en="Digital Authentication App",
        issuer="https://auth-and-sign.go.jp/api/realms/main",
        alg="ES256",
        key_only=True,
        attributes=("name", "address", "birthdate", "gender"),
        acr_values=("aal3", "crl"),
        # Level 3 is a city's own to say (`acr`), as it is of passkeys: what reaches us is the app's word, not the card.
        levels={"aal3": AAL2, "aal3 crl": AAL2},
        max_age=None,
    ),
    "gbizid": Profile(label_ja="GビズID", label_en="gBizID", prompt="login"),
}


@dataclass(frozen=True, slots=True)
class Upstream:
    """One upstream, profile and settings together."""

    id: str
    label: Mapping[str, str]  # by language
    issuer: str
    client_id: str
    secret: str | None
    key: KeyFile | None
    alg: str
    attributes: tuple[str, ...]
    acr_values: tuple[str, ...]
    levels: Mapping[str, str]
    max_age: int | None
    pages_at: str
    assertion_audience: str
    redirect_uri: str
    prompt: str = ""
    federated: bool = False  # found and trusted by its trust chain; we are there by our own address
    ial: int = 0  # what its word about a person is worth (assurance.electronic)
    record: str = ""

    @property
    def raises(self) -> bool:
        """Whether its word about a person counts."""
        return bool(self.ial)

    def level(self, acr: object, amr: object) -> Level | None:
        """What its sign-in is worth here: from what it said, never from what it was asked; None for too little.

        Where levels are named, an `acr` that isn't among them opens nothing. Where none is, it is one factor.
        """
        acr_said = self.levels.get(acr) if isinstance(acr, str) else None
        if self.levels and acr_said is None:
            return None
        return told(acr_said or AAL1, amr if isinstance(amr, list) else ())


def resolve(settings: "UpstreamSettings", *, issuer: str) -> Upstream:
    """The settings over their profile; reads the key file. `issuer` is our own origin.

    Each upstream has a redirect URI of its own, so that an answer can't be taken for another's (RFC 9700 section
    4.4.2.2).
    """
    ready = READY[settings.profile]
    theirs = settings.issuer or ready.issuer
    parts = urlsplit(theirs)
    return Upstream(
        id=settings.id,
        label={"ja": settings.label_ja or ready.label_ja, "en": settings.label_en or ready.label_en},
        issuer=theirs,
        client_id=issuer if settings.federated else settings.client_id,
        secret=None if settings.client_secret is None else settings.client_secret.get_secret_value(),
        key=None if settings.key_file is None else KeyFile(settings.key_file),
        alg=settings.alg or ready.alg,
        attributes=ready.attributes,
        acr_values=ready.acr_values if settings.acr_values is None else settings.acr_values,
        levels=ready.levels if settings.acr is None else settings.acr,
        max_age=settings.max_age if "max_age" in settings.model_fields_set else ready.max_age,
        pages_at=settings.pages_at or f"{parts.scheme}://{parts.netloc}",
        assertion_audience=settings.assertion_audience,
        redirect_uri=f"{issuer}/sign-in/from/{settings.id}",
        prompt=ready.prompt,
        federated=settings.federated,
        ial=settings.ial,
        record=settings.record,
    )


def relying_party(upstreams: Iterable[Upstream], name: str) -> dict[str, Any] | None:
    """This city's `openid_relying_party` metadata (OpenID Federation 1.0 section 5.1.2), if it is one."""
    found = [upstream for upstream in upstreams if upstream.federated and upstream.key is not None]
    if not found:
        return None
    keys = {upstream.key.jwk["kid"]: upstream.key.jwk for upstream in found if upstream.key is not None}
    return {
        "application_type": "web",
        "client_registration_types": ["automatic"],
        "redirect_uris": [upstream.redirect_uri for upstream in found],
        "response_types": ["code"],
        "grant_types": ["authorization_code"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": ALG,
        "request_object_signing_alg": ALG,
        "id_token_signed_response_alg": found[0].alg,
        "jwks": {"keys": list(keys.values())},
        **({"client_name": name} if name else {}),
    }
