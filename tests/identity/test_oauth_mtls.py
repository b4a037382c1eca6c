"""Mutual TLS (RFC 8705): who a certificate names, what is bound to it, and whose word for it is believed (RFC 9440)."""

import base64
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import ECKey

from portal.door import seen_through
from portal.proxied import ProxiedCertificates
from portal.settings import Settings
from tests.identity.test_oauth_client_auth import MACHINE
from tests.support.certificates import Authority, Pair, self_signed
from tests.support.pki import Maker
from tests.support.relying_party import Party, join

CA = Authority()
ELSEWHERE = Authority("Another CA")
BY_CA = {"token_endpoint_auth_method": "tls_client_auth"}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """A city behind a proxy that ends TLS and says which client certificate it saw."""
    cas = tmp_path / "cas.pem"
    cas.write_bytes(CA.pair.pem)
    identity = settings.identity.model_copy(update={"mtls_url": "https://mtls.city.example"})
    return settings.model_copy(
        update={
            "trusted_proxies": ("127.0.0.1",),
            "client_certificate_header": True,
            "client_certificate_cas": cas,
            "identity": identity,
        }
    )


def seen(pair: Pair) -> dict[str, str]:
    """What the proxy adds."""
    return {"client-cert": f":{base64.b64encode(pair.der).decode()}:"}


async def ask(party: Party, headers: dict[str, str], **form: str) -> Any:
    data = {"grant_type": "client_credentials", "client_id": party.client.id, **form}
    return await party.http.post("/oauth/token", data=data, headers=headers)


@pytest.fixture
async def meter(app: Any, client: Any) -> Party:
    return await join(
        app, client, **MACHINE, token_endpoint_auth_method="tls_client_auth", tls_client_auth_san_dns="meter.example",
        tls_client_certificate_bound_access_tokens=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tls_client_auth_subject_dn", "CN=meter,O=Minato-hama"),
        ("tls_client_auth_san_dns", "Meter.example"),
        ("tls_client_auth_san_ip", "192.0.2.7"),
    ],
)
async def test_a_trusted_certificate_with_the_registered_name_is_the_client(
    app: Any, client: Any, name: str, value: str
) -> None:
    """RFC 8705 section 2.1."""
    party = await join(app, client, **MACHINE, token_endpoint_auth_method="tls_client_auth", **{name: value})
    assert (await ask(party, seen(CA.give("meter", "meter.example")))).status_code == 200
    assert (await ask(party, {})).status_code == 401


async def test_a_name_nobody_vouches_for_names_nobody(meter: Party) -> None:
    for pair in (ELSEWHERE.give("meter", "meter.example"), self_signed("meter"),
                 CA.give("meter", "meter.example", days=-1)):  # fmt: skip
        refused = await ask(meter, seen(pair))
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


async def test_another_name_of_the_same_ca_is_refused(meter: Party) -> None:
    assert (await ask(meter, seen(CA.give("meter2", "meter2.example")))).status_code == 401


async def test_a_certificate_does_not_replace_the_method_a_client_registered(app: Any, client: Any) -> None:
    party = await join(app, client, **MACHINE)
    assert (await ask(party, seen(CA.give("meter", "meter.example")))).status_code == 401


async def test_a_client_that_registered_its_key_shows_a_certificate_of_its_own_making(app: Any, client: Any) -> None:
    """RFC 8705 section 2.2."""
    own = self_signed()
    key = ECKey.import_key(own.key).as_dict(private=False)  # type: ignore[arg-type]
    party = await join(
        app, client, **MACHINE, token_endpoint_auth_method="self_signed_tls_client_auth",
        jwks={"keys": [{**key, "kid": "own"}]},
    )  # fmt: skip
    assert (await ask(party, seen(own))).status_code == 200
    assert (await ask(party, seen(self_signed()))).status_code == 401
    assert (await ask(party, {})).status_code == 401


async def test_a_bound_token_is_good_with_its_certificate_only(meter: Party) -> None:
    """RFC 8705 section 3: `cnf` says the certificate's SHA-256, and every door of ours compares it."""
    own, other = CA.give("meter", "meter.example"), CA.give("meter", "meter.example")
    answer = (await ask(meter, seen(own))).json()
    assert answer["token_type"] == "Bearer"
    said = await meter.http.post(
        "/oauth/introspect", data={"token": answer["access_token"], "client_id": meter.client.id}, headers=seen(own)
    )
    assert list(said.json()["cnf"]) == ["x5t#S256"]

    async def fetch(headers: dict[str, str]) -> tuple[int, str]:
        bearer = {"authorization": f"Bearer {answer['access_token']}"}
        found = await meter.http.get("/api/bank/records?category=mobility", headers={**bearer, **headers})
        return found.status_code, found.json().get("type", "")

    assert (await fetch(seen(own)))[0] == 403  # known, but no resident's token
    for headers in ({}, seen(other)):
        assert (await fetch(headers))[0] == 401


async def test_a_resource_answers_with_the_number_of_the_interaction(meter: Party) -> None:
    """FAPI 1.0 Part 1 section 6.2.1 item 11, which FAPI-CIBA keeps (CheckForFAPIInteractionIdInResourceResponse): as it
    was sent, good answer or bad; a new one where none is sent, or no UUID."""
    own, sent = CA.give("meter", "meter.example"), "67f9849F-b183-435C-8c50-09Ba480B4eCf"
    bearer = {"authorization": f"Bearer {(await ask(meter, seen(own))).json()['access_token']}"}
    said = []
    for headers in ({**seen(own), **bearer}, {}):
        for number in (sent, None, "<b>mine</b>"):
            more = {} if number is None else {"x-fapi-interaction-id": number}
            found = await meter.http.get("/api/bank/records?category=mobility", headers={**headers, **more})
            said.append(found.headers.get("x-fapi-interaction-id"))
    assert (said[0], said[3], said[4]) == (sent, sent, None)
    assert len({said[0], *(str(UUID(said[at])) for at in (1, 2, 5))}) == 4


async def test_a_client_for_bound_tokens_gets_no_other(app: Any, client: Any) -> None:
    """RFC 8705 section 3.4."""
    party = await join(app, client, **MACHINE, tls_client_certificate_bound_access_tokens=True)
    refused = await party.token(grant_type="client_credentials")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert "certificate" in refused.json()["error_description"]
    pair = CA.give("x")
    assert (await party.token(grant_type="client_credentials", headers=seen(pair))).status_code == 200


async def test_a_public_client_s_refresh_token_goes_with_its_certificate(app: Any, client: Any) -> None:
    """RFC 8705 section 4."""
    party = await join(app, client, token_endpoint_auth_method="none", tls_client_certificate_bound_access_tokens=True)
    own = CA.give("phone")
    code = await party.code(scope="openid offline_access", prompt="consent")
    tokens = (await party.exchange(code, headers=seen(own))).json()
    refused = await party.refresh(tokens["refresh_token"], headers=seen(CA.give("phone")))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (await party.refresh(tokens["refresh_token"], headers=seen(own))).status_code == 200


async def test_two_headers_or_half_a_certificate_are_no_certificate(meter: Party) -> None:
    """A proxy that lets a stranger's header pass beside its own must not make them that stranger's choice."""
    good = seen(CA.give("meter", "meter.example"))["client-cert"]
    for values in ([good, good], [good[:-1]], [good[1:]], [":!!:"], ["::"], [":" + good[1:40] + ":"], [""]):
        headers = [("client-cert", value) for value in values]
        data = {"grant_type": "client_credentials", "client_id": meter.client.id}
        answer = await meter.http.post("/oauth/token", data=data, headers=headers)
        assert answer.status_code == 401, values


async def test_what_came_along_helps_a_certificate_to_its_ca_and_is_none_by_itself(app: Any, meter: Party) -> None:
    """RFC 9440 section 2.3: `Client-Cert-Chain` counts beside `Client-Cert` and from where that counts."""
    root = Maker("Root")
    app.settings.client_certificate_cas.write_bytes(root.pem)
    proxied = ProxiedCertificates(app.settings.client_certificate_cas)
    between = Maker("Between", root)
    san = x509.SubjectAlternativeName([x509.DNSName("meter.example")])
    alone = seen(between.give("meter", extra=[(san, False)]))
    chain = {"client-cert-chain": f":{base64.b64encode(between.certificate.public_bytes(Encoding.DER)).decode()}:"}
    app.front.seen = seen_through(["127.0.0.1"], proxied)
    assert (await ask(meter, alone)).status_code == 401
    assert (await ask(meter, chain)).status_code == 401
    assert (await ask(meter, {**alone, **chain})).status_code == 200
    app.front.seen = seen_through(["192.0.2.1"], proxied)  # the same from anybody but the proxy
    assert (await ask(meter, {**alone, **chain})).status_code == 401


async def test_the_header_of_anybody_else_is_ignored(app: Any, client: Any, meter: Party) -> None:
    app.front.seen = None  # as it is without the setting
    assert (await ask(meter, seen(CA.give("meter", "meter.example")))).status_code == 401


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        (BY_CA, "/token_endpoint_auth_method"),
        ({**BY_CA, "tls_client_auth_san_dns": "a", "tls_client_auth_san_uri": "b:c"}, "/token_endpoint_auth_method"),
        ({"tls_client_auth_san_dns": "a.example"}, "/tls_client_auth_san_dns"),
        ({**BY_CA, "tls_client_auth_san_ip": "300.1.1.1"}, "/tls_client_auth_san_ip"),
        ({**BY_CA, "tls_client_auth_subject_dn": "=x,"}, "/tls_client_auth_subject_dn"),
        ({"token_endpoint_auth_method": "self_signed_tls_client_auth"}, "/jwks"),
    ],
)  # fmt: skip
async def test_a_registration_without_exactly_one_name_is_refused(
    app: Any, client: Any, changes: dict[str, Any], pointer: str
) -> None:
    """RFC 8705 section 2.1.2."""
    from identity.errors import InvalidClientMetadata

    with pytest.raises(InvalidClientMetadata) as refused:
        await join(app, client, **{**MACHINE, **changes})
    assert refused.value.pointer == pointer


async def test_the_metadata_name_the_other_port(client: Any) -> None:
    """RFC 8705 section 5."""
    said = (await client.get("/.well-known/openid-configuration")).json()
    assert said["mtls_endpoint_aliases"]["token_endpoint"] == "https://mtls.city.example/oauth/token"
    assert "self_signed_tls_client_auth" in said["token_endpoint_auth_methods_supported"]
    assert said["tls_client_certificate_bound_access_tokens"] is True
