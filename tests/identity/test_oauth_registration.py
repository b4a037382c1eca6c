"""Dynamic client registration from the wire (RFC 7591, OpenID Connect Registration 1.0)."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from identity import members
from identity.clients import Clients
from identity.registration import CIBA, DEVICE, EXCHANGE, JWT_BEARER
from identity.subjects import PUBLIC
from kit.host import SYSTEM
from tests.identity.registrant import GOOD, as_party, asking, initial, manage, register
from tests.identity.registrant import settings as settings  # a fixture
from tests.support.relying_party import advance, assertion, join, location, sign
from tests.support.site import Site

# -- who may register --------------------------------------------------------------------------------------------------


@asking(registration="token")
async def test_without_an_initial_access_token_nobody_registers(client: Any) -> None:
    """RFC 7591 section 3; RFC 6750 section 3: a bare challenge when nothing was sent."""
    refused = await register(client)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="registration"'
    refused = await register(client, "sit_guess")
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


@asking(registration="token")
async def test_an_initial_access_token_is_good_for_its_uses_its_time_and_its_scopes(app: Any, client: Any) -> None:
    token = await initial(app, uses=2)
    first = await register(client, token, scope="openid profile email city.admin")
    assert first.status_code == 201, first.text
    assert first.json()["scope"] == "openid profile"
    assert (await register(client, token)).status_code == 201
    assert (await register(client, token)).status_code == 401
    late = await initial(app)
    advance(app, 61)
    assert (await register(client, late)).status_code == 401


@asking(registration="token")
async def test_the_last_use_of_an_initial_access_token_is_spent_once_under_concurrency(app: Any, client: Any) -> None:
    """Invariant I7."""
    token = await initial(app)
    answers = await asyncio.gather(*(register(client, token) for _ in range(8)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 401: 7}


@asking(registration="token")
async def test_a_members_token_makes_the_members_clients(app: Any, client: Any) -> None:
    def member(db: Any) -> str:
        applied = members.apply(db, name_ja="診療所", name_en="Clinic", actor=SYSTEM, now=0)
        return members.approve(db, applied.id, actor=SYSTEM, now=0).id

    member_id = await app.host.db.write(member)
    made = (await register(client, await initial(app, member_id=member_id))).json()
    found = await app.host.get(Clients).get(made["client_id"])
    assert found is not None
    assert (found.member_id, found.may_use_data) == (member_id, True)


@asking(registration="off")
async def test_registration_can_be_off_and_then_is_not_advertised(client: Any) -> None:
    assert (await register(client)).status_code == 404
    assert "registration_endpoint" not in (await client.get("/.well-known/openid-configuration")).json()


async def test_an_openly_registered_client_never_gets_data(app: Any, client: Any) -> None:
    made = (await register(client, scope="openid profile health.read", member_id="mem_1", first_party=True)).json()
    assert made["scope"] == "openid profile"
    found = await app.host.get(Clients).get(made["client_id"])
    assert found is not None
    assert (found.member_id, found.may_use_data, found.first_party) == (None, False, False)
    refused = await register(client, grant_types=["client_credentials"], redirect_uris=None)
    assert refused.json()["error"] == "invalid_client_metadata"


@pytest.mark.parametrize("grant", [DEVICE, EXCHANGE, JWT_BEARER, CIBA])
async def test_who_registers_openly_gets_no_grant_that_reaches_residents_elsewhere(client: Any, grant: str) -> None:
    """RFC 8628 section 5.4, CIBA Core section 14: a stranger's "service" could send its codes and questions around."""
    more = {"backchannel_token_delivery_mode": "poll"} if grant == CIBA else {}
    refused = await register(client, grant_types=[grant, "authorization_code"], **more)
    assert refused.json()["error"] == "invalid_client_metadata"


@asking(registration="token")
async def test_with_the_citys_leave_a_device_registers_without_an_address(app: Any, client: Any) -> None:
    made = await register(
        client, await initial(app), grant_types=[DEVICE, "refresh_token"], redirect_uris=None,
        token_endpoint_auth_method="none",
    )  # fmt: skip
    assert made.status_code == 201, made.text
    assert made.json()["response_types"] == []


@asking(registration="token")
async def test_nobody_registers_an_exchange_policy_of_its_own(app: Any, client: Any) -> None:
    """RFC 8693: which tokens may become which is an operator's to say."""
    made = await register(
        client, await initial(app), grant_types=["authorization_code", EXCHANGE], exchange_audiences=["https://x.example"]
    )  # fmt: skip
    assert made.json()["error"] == "invalid_client_metadata"
    quiet = await register(client, await initial(app), exchange_audiences=["https://x.example"], may_act="cli_1")
    found = await app.host.get(Clients).get(quiet.json()["client_id"])
    assert found is not None
    assert (found.exchange_audiences, found.may_act) == (frozenset(), None)


# -- what may be registered --------------------------------------------------------------------------------------------


async def test_the_answer_holds_everything_as_registered(client: Any) -> None:
    """RFC 7591 section 3.2.1; language tags: section 2.2."""
    keys = {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}
    asked = {
        **GOOD,
        "post_logout_redirect_uris": ["https://clinic.example/bye"],
        "response_types": ["code"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks": keys,
        "scope": "openid profile email",
        "subject_type": "pairwise",
        "id_token_signed_response_alg": "PS256",
        "userinfo_signed_response_alg": "ES256",
        "authorization_signed_response_alg": "ES256",
        "request_object_signing_alg": "ES256",
        "require_signed_request_object": True,
        "default_max_age": 3600,
        "require_auth_time": True,
        "default_acr_values": ["urn:sekisho:aal:2"],
        "initiate_login_uri": "https://clinic.example/start",
        "request_uris": ["https://clinic.example/request.jwt#hash"],
        "backchannel_logout_uri": "https://clinic.example/back",
        "backchannel_logout_session_required": True,
        "frontchannel_logout_uri": "https://clinic.example/front",
        "frontchannel_logout_session_required": True,
        "require_pushed_authorization_requests": True,
        "dpop_bound_access_tokens": True,
        "application_type": "web",
        "client_name#fr": "Clinique",
        "tos_uri": "https://clinic.example/tos",
        "tos_uri#ja": "https://clinic.example/tos.ja",
        "policy_uri": "https://clinic.example/policy",
        "logo_uri": "https://clinic.example/logo.png",
        "client_uri": "https://clinic.example/",
        "contacts": ["it@clinic.example"],
        "software_id": "booking",
        "software_version": "2",
    }
    answer = await client.post("/oauth/register", json={**asked, "something_new": 1})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    assert {name: made.get(name) for name in asked} == asked
    assert "something_new" not in made  # section 2: what is not understood is ignored
    assert "client_secret" not in made
    assert made["registration_client_uri"].endswith("/oauth/register/" + made["client_id"])


async def test_the_defaults_are_the_standards(client: Any) -> None:
    """RFC 7591 section 2, OpenID Connect Registration section 2."""
    made = (await register(client)).json()
    assert made["grant_types"] == ["authorization_code"]
    assert made["response_types"] == ["code"]
    assert made["token_endpoint_auth_method"] == "client_secret_basic"
    assert made["id_token_signed_response_alg"] == "RS256"
    assert made["application_type"] == "web"
    assert made["client_secret_expires_at"] == 0
    assert made["require_pkce"] is True


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://clinic.example/cb"}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://clinic.example/cb#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://clinic.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://*.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["jp.example.app:/cb"]}, "invalid_redirect_uri"),
        ({"post_logout_redirect_uris": ["http://clinic.example/"]}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"response_types": ["code id_token"]}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"grant_types": "authorization_code"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"id_token_signed_response_alg": "none"}, "invalid_client_metadata"),
        ({"id_token_signed_response_alg": "HS256"}, "invalid_client_metadata"),
        ({"request_object_signing_alg": "none"}, "invalid_client_metadata"),
        ({"userinfo_signed_response_alg": "none"}, "invalid_client_metadata"),
        ({"id_token_encrypted_response_alg": "RSA-OAEP"}, "invalid_client_metadata"),
        ({"jwks": {"keys": []}}, "invalid_client_metadata"),
        ({"jwks_uri": "http://clinic.example/jwks"}, "invalid_client_metadata"),
        ({"jwks_uri": "https://clinic.example/jwks", "jwks": {"keys": [1]}}, "invalid_client_metadata"),
        ({"logo_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
        ({"tos_uri#ja": "data:text/html,x"}, "invalid_client_metadata"),
        ({"client_name": "x" * 200}, "invalid_client_metadata"),
        ({"client_name": 7}, "invalid_client_metadata"),
        ({"subject_type": "secret"}, "invalid_client_metadata"),
        ({"subject_type": "public"}, "invalid_client_metadata"),
        ({"redirect_uris": ["https://["]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://["], "client_name": None}, "invalid_redirect_uri"),
        ({"client_name": "Clinic\u202egro.live"}, "invalid_client_metadata"),
        ({"client_name#ja": "診療所\u200b"}, "invalid_client_metadata"),
        ({"client_name#fr": "a\nb"}, "invalid_client_metadata"),
        ({"default_max_age": -1}, "invalid_client_metadata"),
        ({"default_max_age": "3600"}, "invalid_client_metadata"),
        ({"frontchannel_logout_uri": "https://other.example/front"}, "invalid_client_metadata"),
        ({"backchannel_logout_uri": "https://clinic.example/back#x"}, "invalid_client_metadata"),
        ({"initiate_login_uri": "jp.example.app:/start"}, "invalid_client_metadata"),
        ({"application_type": "kiosk"}, "invalid_client_metadata"),
        ({"scope": ["openid"]}, "invalid_client_metadata"),
        (
            {"redirect_uris": ["https://a.example/", "https://b.example/"], "subject_type": "pairwise"},
            "invalid_client_metadata",
        ),
        ({"initiate_login_uri": "http://localhost:8443/begin"}, "invalid_client_metadata"),
        ({"software_statement": "x"}, "invalid_software_statement"),
        ({"software_statement": "e30.eyJpc3MiOiJodHRwczovL3gifQ.x"}, "unapproved_software_statement"),
    ],
)
async def test_bad_metadata_is_refused_by_name(client: Any, changes: dict[str, Any], error: str) -> None:
    """RFC 7591 section 3.2.2."""
    refused = await register(client, **changes)
    assert (refused.status_code, refused.json()["error"]) == (400, error), refused.text
    assert refused.headers["cache-control"] == "no-store"


async def test_a_refused_redirect_uri_is_told_with_what_is_wrong_and_named_once(client: Any) -> None:
    for uris, words in ((["https://clinic.example/cb#x"], "redirect_uris/0: A redirect URI has no fragment"),
                        ("https://clinic.example/cb", "redirect_uris: Input should be a valid list")):  # fmt: skip
        told = (await register(client, redirect_uris=uris)).json()["error_description"]
        assert told.startswith(words), told


async def test_only_a_json_object_is_read(client: Any) -> None:
    for body, kind in ((b"[]", "application/json"), (b"{", "application/json"), (b"a=b", "text/plain")):
        refused = await client.post("/oauth/register", content=body, headers={"content-type": kind})
        assert refused.json()["error"] == "invalid_request"


async def test_a_native_client_may_have_a_scheme_of_its_own(client: Any) -> None:
    made = await register(client, application_type="native", redirect_uris=["jp.example.app:/cb"])
    assert made.status_code == 201


async def test_one_network_cannot_fill_the_tables(client: Any) -> None:
    answers = [(await register(client)).status_code for _ in range(320)]
    assert answers[0] == 201
    assert answers[-1] == 429


# -- what was registered works -----------------------------------------------------------------------------------------


async def test_a_registered_client_signs_a_resident_in(app: Any, client: Any) -> None:
    party = await as_party(app, client, (await register(client)).json())
    tokens = await party.exchange(await party.code())
    assert tokens.status_code == 200, tokens.text


async def test_lasting_access_is_neither_registered_nor_asked_for_nor_promised_without_refresh_tokens(
    app: Any, client: Any
) -> None:
    """OpenID Connect Core section 11: ignored; RFC 6749 section 3.3 and RFC 7591 section 2: the answers say so."""
    wanted = {"scope": "openid profile offline_access"}
    made = (await register(client, **wanted)).json()
    assert made["scope"] == "openid profile"
    party = await as_party(app, client, made)
    _, after = location(await party.authorize(party.request(**wanted)))
    assert "error" not in after
    tokens = (await party.exchange(await party.code(**wanted))).json()
    assert tokens["scope"] == "openid profile"
    assert "refresh_token" not in tokens
    both = ["authorization_code", "refresh_token"]
    later = await manage(client, made, "PUT", **wanted, grant_types=both, client_secret=made["client_secret"])
    assert later.json()["scope"] == wanted["scope"], later.text
    party = await as_party(app, client, {**made, **later.json()})
    tokens = (await party.exchange(await party.code(**wanted))).json()
    assert tokens["scope"] == wanted["scope"]
    assert tokens["refresh_token"]


@asking(require_pkce=False)
async def test_where_the_server_says_so_a_confidential_client_needs_no_pkce(app: Any, client: Any) -> None:
    """RFC 9700 section 2.1.1; a challenge once sent is enforced, a verifier without one is refused (section 4.8.2)."""
    party = await as_party(app, client, (await register(client)).json())
    without: dict[str, Any] = {"code_challenge": None, "code_challenge_method": None}
    assert (await party.exchange(await party.code(**without), code_verifier=None)).status_code == 200
    refused = await party.exchange(await party.code(**without))
    assert refused.json()["error"] == "invalid_grant"
    refused = await party.exchange(await party.code(), code_verifier=None)
    assert refused.json()["error"] == "invalid_grant"
    answer = location(await party.authorize(party.request(code_challenge=None)))[1]
    assert answer["error"] == "invalid_request"  # a method without a challenge
    public = (await register(client, token_endpoint_auth_method="none")).json()
    assert public["require_pkce"] is True
    party = await as_party(app, client, public)
    answer = location(await party.authorize(party.request(**without)))[1]
    assert answer["error"] == "invalid_request"


async def test_keys_are_fetched_from_jwks_uri_and_rotate_without_us(app: Any, client: Any, site: Site) -> None:
    """OpenID Connect Core section 10.1.1: an unknown kid is fetched, seldom; a retired key is honoured a minute."""
    old, new = ECKey.generate_key("P-256", auto_kid=True), ECKey.generate_key("P-256", auto_kid=True)
    address = site.publish("/jwks", {"keys": [old.as_dict(private=False)]})
    made = (await register(client, token_endpoint_auth_method="private_key_jwt", jwks_uri=address)).json()

    async def refresh_with(key: Any) -> str:
        said = assertion(
            key, alg="ES256", now_ms=app.host.clock.ms(), iss=made["client_id"], sub=made["client_id"],
            aud=app.settings.issuer,
        )  # fmt: skip
        form = {
            "grant_type": "refresh_token",
            "refresh_token": "x",
            "client_assertion": said,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        }
        answer = await client.post("/oauth/token", data=form)
        error: str = answer.json()["error"]
        return error

    proved, failed = "unauthorized_client", "invalid_client"  # proved, and told that it may not refresh
    assert await refresh_with(old) == proved
    assert len(site.asked) == 1
    site.publish("/jwks", {"keys": [new.as_dict(private=False)]})
    for _ in range(5):
        assert await refresh_with(new) == failed  # not yet: ten seconds between two fetches
    assert len(site.asked) == 1
    assert await refresh_with(old) == proved
    advance(app, 11)
    assert await refresh_with(new) == proved
    assert len(site.asked) == 2
    assert await refresh_with(old) == failed
    advance(app, 61)
    site.documents.clear()  # the address fails: what was known is not honoured past its minute
    assert await refresh_with(new) == failed


@pytest.mark.parametrize("document", [None, "nonsense", {"keys": "x"}, [], {"keys": [{"kty": "oct", "k": "AA"}]}])
async def test_a_key_set_that_is_none_proves_nobody(app: Any, client: Any, site: Site, document: Any) -> None:
    address = site.publish("/jwks", document)
    made = (await register(client, token_endpoint_auth_method="private_key_jwt", jwks_uri=address)).json()
    key = ECKey.generate_key("P-256", auto_kid=True)
    said = assertion(
        key, alg="ES256", now_ms=app.host.clock.ms(), iss=made["client_id"], sub=made["client_id"],
        aud=app.settings.issuer,
    )  # fmt: skip
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form = {"grant_type": "refresh_token", "client_assertion": said, "client_assertion_type": kind}
    refused = await client.post("/oauth/token", data=form)
    assert refused.json()["error"] == "invalid_client"


async def test_clients_of_one_sector_know_a_resident_by_one_name(app: Any, client: Any, site: Site) -> None:
    """OpenID Connect Core section 8.1."""
    uris = ["https://a.example/cb", "https://b.example/cb"]
    sector = site.publish("/sector", [*uris, "https://c.example/cb"])
    first = (await register(client, redirect_uris=uris, sector_identifier_uri=sector)).json()
    second = (await register(client, redirect_uris=uris[:1], sector_identifier_uri=sector)).json()
    alone = (await register(client, redirect_uris=uris[:1])).json()
    registry = app.host.get(Clients)
    sectors = [(await registry.get(made["client_id"])).sector for made in (first, second, alone)]
    assert sectors == ["127.0.0.1", "127.0.0.1", "a.example"]


async def test_a_client_on_several_hosts_that_asks_for_no_kind_of_subject_is_a_sector_of_its_own(
    app: Any, client: Any
) -> None:
    """OpenID Connect Core section 8.1 wants a sector of whoever asks for pairwise subjects; OpenID's dynamic plan
    (oidcc-ensure-redirect-uri-in-authorization-request) asks for nothing. Naming another's host tells it nothing, and
    an update makes nobody somebody else."""
    uris = ["https://a.example/cb", "https://b.example/cb"]
    made = (await register(client, redirect_uris=uris)).json()
    registry = app.host.get(Clients)
    alone = (await registry.get((await register(client, redirect_uris=uris[:1])).json()["client_id"])).sector
    other = (await registry.get((await register(client, redirect_uris=uris)).json()["client_id"])).sector
    own = (await registry.get(made["client_id"])).sector
    assert len({own, other, alone, "a.example", "b.example"}) == 4  # `alone` is a.example
    fewer = (await manage(client, made, "PUT", redirect_uris=uris[:1])).json()
    assert (await registry.get(made["client_id"])).sector == own
    assert (await manage(client, fewer, "PUT", redirect_uris=uris, subject_type="pairwise")).status_code == 200
    assert (await registry.get(made["client_id"])).sector == own
    refused = await register(client, redirect_uris=uris, subject_type="pairwise")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")
    grown = (await register(client, redirect_uris=uris[:1])).json()
    assert (await manage(client, grown, "PUT", redirect_uris=uris)).status_code == 400


@asking(registration="token")
async def test_redirect_addresses_prove_no_sector_where_nobody_is_sent_back(app: Any, client: Any, site: Site) -> None:
    """OpenID Connect Core section 8.1: a device's ID token goes to who asks, whatever addresses it named."""
    uris = ["https://clinic.example/cb"]
    sector, registry = site.publish("/clinic-sector", uris), app.host.get(Clients)
    for more in ({}, {"sector_identifier_uri": sector}):
        plain = (await register(client, await initial(app), redirect_uris=uris)).json()
        changed = await manage(
            client, plain, "PUT", redirect_uris=uris, grant_types=["authorization_code", DEVICE], **more
        )
        assert changed.status_code == 200, changed.text
        asked = {"redirect_uris": uris, "grant_types": ["authorization_code", DEVICE], **more}
        new = (await register(client, await initial(app), **asked)).json()
        found = {(await registry.get(made["client_id"])).sector for made in (plain, new)}
        assert len(found) == 2
        assert all(one.startswith("sec_") for one in found)


@asking(registration="token")
async def test_public_subjects_are_the_operators_to_give(app: Any, client: Any) -> None:
    """OpenID Connect Core section 8: with an initial access token too, and at an update, they are refused."""
    refused = await register(client, await initial(app), subject_type="public")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")
    made = (await register(client, await initial(app))).json()
    refused = await manage(client, made, "PUT", subject_type="public")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")
    assert (await join(app, client, subject_type="public")).client.sector == PUBLIC


@pytest.mark.parametrize("document", [None, "nonsense", {}, [], ["https://a.example/other"], [1]])
async def test_a_sector_that_does_not_name_the_client_is_refused(client: Any, site: Site, document: Any) -> None:
    """OpenID Connect Registration section 5."""
    sector = site.publish("/sector", document)
    refused = await register(client, sector_identifier_uri=sector)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")


async def test_an_address_of_ours_is_not_fetched_for_strangers(client: Any) -> None:
    """RFC 7591 section 5: server-side request forgery; the refusal tells nothing of what is there."""
    said = set()
    for host in ("169.254.169.254", "10.0.0.1", "[::1]", "localhost"):
        refused = await register(client, sector_identifier_uri=f"https://{host}/sector")
        assert refused.status_code == 400
        said.add(refused.json()["error_description"])
    assert len(said) == 1


# -- software statements -----------------------------------------------------------------------------------------------


@asking(statements="/keys")
async def test_a_trusted_software_statement_counts_before_what_the_client_says(
    app: Any, client: Any, site: Site
) -> None:
    """RFC 7591 sections 2.3 and 3.1.1."""
    key, other = ECKey.generate_key("P-256", auto_kid=True), ECKey.generate_key("P-256", auto_kid=True)
    site.publish("/keys", {"keys": [key.as_dict(private=False)]})

    def statement(signer: Any, **claims: Any) -> str:
        import json

        body = {"iss": "https://registry.example", "software_id": "booking", "client_name": "Registered", **claims}
        return sign({"alg": "ES256", "kid": signer.kid}, json.dumps(body), signer)

    made = await register(client, software_statement=statement(key), software_id="forged", **{"client_name#ja": None})
    assert made.status_code == 201, made.text
    assert made.json()["software_id"] == "booking"
    assert made.json()["client_name"] == "Registered"
    for wrong in (statement(other), statement(key)[:-4] + "AAAA", statement(key, exp=1)):
        refused = await register(client, software_statement=wrong)
        assert refused.json()["error"] == "invalid_software_statement"
    refused = await register(client, software_statement=statement(key, iss="https://other.example"))
    assert refused.json()["error"] == "unapproved_software_statement"


# -- the operators' side -----------------------------------------------------------------------------------------------


def test_the_migration_keeps_what_is_there() -> None:
    """Columns are added, none is dropped: an older city's clients stay."""
    text = (Path(__file__).parents[2] / "portal/migrations/versions/0002_client_registration.py").read_text()
    assert "drop" not in text.split("def downgrade")[0]


def test_rs256_keys_are_clients_keys_too() -> None:
    """OpenID Connect Core section 9."""
    from identity.public_keys import check_jwks

    check_jwks({"keys": [RSAKey.generate_key(2048).as_dict(private=False)]})
