"""What a client may be (RFC 7591 section 2, RFC 8252, RFC 9700 section 2.1)."""

from typing import Any

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, RSAKey

from identity.errors import InvalidClientMetadata
from identity.registration import Registration, check

GOOD = {"name_ja": "診療所", "name_en": "Clinic", "redirect_uris": ["https://clinic.example/cb"]}


def registered(**changes: Any) -> Registration:
    return check(Registration(**{**GOOD, **changes}))


@pytest.mark.parametrize(
    "uri",
    [
        "https://clinic.example/cb",
        "https://clinic.example:8443/cb?x=1",
        "http://localhost:5000/cb",
        "http://127.0.0.1/cb",
        "http://[::1]:3000/cb",
        "jp.example.clinic:/cb",
        "jp.example.clinic://oauth",
    ],
)
def test_accepts_https_loopback_and_an_apps_own_scheme(uri: str) -> None:
    registered(redirect_uris=[uri])


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/cb",
        "clinic.example/cb",
        "http://clinic.example/cb",
        "http://localhost.evil.example/cb",
        "https://clinic.example/cb#x",
        "https://clinic.example/cb#",
        "https://*.clinic.example/cb",
        "https://user@clinic.example/cb",
        "https://user:pass@clinic.example/cb",
        "https://clinic.example\\@evil.example/cb",
        "https://clinic.example/a/../cb",
        "https://clinic.example/%2e%2e/cb",
        "https://clinic.example/c b",
        "https://clinic.example/\ncb",
        "https://clinic.exаmple/cb",
        "https://clinic.example:port/cb",
        "https:///cb",
        "https://clinic.example;sandbox/cb",
        "https://clinic.example,script-src/cb",
        "https://clinic.example%3b/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "myapp://cb",
    ],
)
def test_refuses_what_could_be_read_as_two_addresses(uri: str) -> None:
    with pytest.raises(InvalidClientMetadata) as refused:
        registered(redirect_uris=[uri])
    assert (refused.value.pointer or "").startswith("/redirect_uris")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"redirect_uris": []}, "/redirect_uris"),
        ({"grant_types": ["client_credentials", "refresh_token"], "redirect_uris": []}, "/grant_types"),
        (
            {"grant_types": ["client_credentials"], "token_endpoint_auth_method": "none", "redirect_uris": []},
            "/token_endpoint_auth_method",
        ),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "/jwks"),
        ({"jwks": {"keys": []}}, "/jwks"),
        ({"scope": 'openid a"b'}, "/scope"),
        ({"resources": ["not a uri"]}, "/resources/0"),
        ({"resources": ["https://bus.example/#x"]}, "/resources/0"),
        ({"redirect_uris": ["https://a.example/cb", "https://b.example/cb"]}, "/sector_identifier"),
        ({"logo_uri": "javascript:alert(1)"}, "/logo_uri"),
        ({"policy_uri": "nowhere"}, "/policy_uri"),
    ],
)
def test_refuses_metadata_that_contradicts_itself_or_the_standard(changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidClientMetadata) as refused:
        registered(**changes)
    assert refused.value.pointer == pointer


def test_refuses_private_symmetric_and_short_keys() -> None:
    private = ECKey.generate_key("P-256").as_dict(private=True)
    symmetric = OctKey.generate_key(256).as_dict(private=True)
    with pytest.warns(SecurityWarning):
        short = RSAKey.generate_key(1024).as_dict(private=False)
    other_curve = ECKey.generate_key("P-384").as_dict(private=False)
    for key in (private, symmetric, short, other_curve, "key"):
        with pytest.raises(InvalidClientMetadata) as refused:
            registered(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key]})
        assert (refused.value.pointer or "").startswith("/jwks")


def test_a_registered_sector_allows_several_hosts() -> None:
    registered(redirect_uris=["https://a.example/cb", "https://b.example/cb"], sector_identifier="a.example")
