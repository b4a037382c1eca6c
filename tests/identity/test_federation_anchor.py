"""A city as trust anchor: it vouches for others and gives trust marks, over real HTTP (OpenID Federation 1.0, 7 and 8).

Three parties: this city is the anchor, served on loopback; another city is the OpenID provider; a service of neither is
the relying party, independent of our code.
"""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from identity.clients import Clients
from identity.errors import InvalidSubordinate, UnknownSubordinate, UnknownTrustMark
from identity.federation import mark_book, subordinates
from identity.federation.chains import validate
from identity.federation.explain import explain
from identity.federation.marks import DELEGATION_TYP
from identity.federation.refusals import Refused
from identity.federation.service import Federation
from identity.sessions import session_cookie
from keys.jose import peek, verify_with_jwks
from kit.clock import DAY, FrozenClock
from kit.host import SYSTEM
from portal.app import Building
from tests.identity.abroad import key_file
from tests.support.cities import served
from tests.support.federation import Party, World, new_key
from tests.support.relying_party import join, location, pkce
from tests.support.server import free_port
from tests.support.site import serving

AUDITED, OTHER = "https://pref.example/marks/audited", "https://pref.example/marks/other"


class Pair:
    """The anchor, the provider below it, and a service below it."""

    def __init__(self, anchor: Building, provider: Building, world: World, clock: FrozenClock) -> None:
        self.anchor, self.provider, self.world, self.clock = anchor, provider, world, clock
        self.http = httpx2.AsyncClient(base_url=anchor.settings.issuer)

    async def vouch(self, party: Party, **said: Any) -> None:
        await self.anchor.host.db.write(
            subordinates.register, party.entity_id, jwks=party.jwks, entity_types=["openid_relying_party"],
            intermediate=False, said=said, ours=self.anchor.settings.issuer, actor=SYSTEM, now=self.clock.ms(),
        )  # fmt: skip

    def service(self, name: str) -> Party:
        made = self.world.service(name)
        made.superior = self.anchor.settings.issuer
        return made

    async def mark(self, party: Party, kind: str = AUDITED, **more: Any) -> Any:
        return await self.anchor.host.db.write(
            mark_book.give, kind, party.entity_id, actor=SYSTEM, now=self.clock.ms(), **{"expires_at": None, **more}
        )

    async def fetched(self, party: Party, kind: str = AUDITED) -> str:
        answer = await self.http.get("/federation/trust-mark", params={"sub": party.entity_id, "trust_mark_type": kind})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/trust-mark+jwt"
        return answer.text

    async def status(self, token: str) -> Any:
        answer = await self.http.post("/federation/trust-mark-status", data={"trust_mark": token})
        if answer.status_code != 200:
            return answer.status_code
        keys = await self.anchor.host.get(Federation).keys.jwks()
        said = verify_with_jwks(
            answer.text, keys, algs=("ES256",), typ="trust-mark-status-response+jwt", longest=65_536
        )[1]
        assert said["trust_mark"] == token
        return said["status"]


@pytest.fixture(scope="module")
async def pair(empty_city: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    clock, place = FrozenClock(), tmp_path_factory.mktemp("anchor")
    for name in ("anchor", "provider"):
        shutil.copytree(empty_city, place / name)
    port = free_port()
    us = f"http://127.0.0.1:{port}"
    async with (
        serving() as site,
        served(
            place / "anchor", clock, port, subordinates=True, own_anchor=True,
            mark_issuers={AUDITED: [us], OTHER: ["https://auditor.example"]},
        ) as anchor,
    ):  # fmt: skip
        keys = await anchor.host.get(Federation).keys.jwks()
        async with served(
            place / "provider", clock, free_port(), authority_hints=[us], required_marks=[AUDITED],
            trust_anchors=[{"entity_id": us, "jwks": keys}],
        ) as provider:  # fmt: skip
            made = Pair(anchor, provider, World(site, lambda: clock.ms() // 1000), clock)
            yield made
            await made.http.aclose()


async def test_a_resident_signs_in_at_a_marked_service_of_another_operator_by_way_of_the_anchor(pair: Pair) -> None:
    """都市間連携: nobody registered the service at the provider; the anchor's word and its mark are enough."""
    party = pair.service("marked")
    await pair.vouch(party)
    await pair.mark(party)
    issuer = pair.provider.settings.issuer
    verifier, challenge = pkce()
    token = pair.world.by_rp(
        "marked", "oauth-authz-req+jwt", aud=issuer, client_id=party.entity_id, response_type="code", state="s",
        scope="openid profile", redirect_uri=f"{party.entity_id}/cb", code_challenge=challenge,
        code_challenge_method="S256",
    )  # fmt: skip
    async with httpx2.AsyncClient(base_url=issuer) as http:
        resident = await join(pair.provider, http)
        asked = {"client_id": party.entity_id, "request": token}
        assert (await resident.authorize(asked)).status_code == 400  # the mark is not in its configuration yet
        pair.world.said["marked"] = {
            "trust_marks": [{"trust_mark_type": AUDITED, "trust_mark": await pair.fetched(party)}]
        }
        pair.clock.advance(seconds=31)
        token = pair.world.by_rp("marked", "oauth-authz-req+jwt", **(peek(token)[1] | _fresh(pair)))
        page = await resident.authorize(asked | {"request": token})
        answer = await resident.agree(page)
        tokens = await http.post("/oauth/token", data={
            "grant_type": "authorization_code", "code": answer["code"], "code_verifier": verifier,
            "redirect_uri": f"{party.entity_id}/cb", "client_assertion": pair.world.by_rp(
                "marked", sub=party.entity_id, aud=issuer),
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"})  # fmt: skip
        assert tokens.status_code == 200, tokens.text
    assert location(page)[0].startswith(f"{issuer}/interaction/")


def _fresh(pair: Pair) -> dict[str, Any]:
    return {"iat": pair.world.now(), "exp": pair.world.now() + 60, "jti": "fresh"}


async def test_residents_of_one_city_sign_in_at_another_by_the_federation_alone(
    pair: Pair, empty_city: Path, tmp_path: Path
) -> None:
    """The neighbour is a relying party: nobody exchanged a client id, a secret or a key set with the provider."""
    shutil.copytree(empty_city, tmp_path / "neighbour")
    us, issuer, port = pair.anchor.settings.issuer, pair.provider.settings.issuer, free_port()
    there = Party(f"http://127.0.0.1:{port}")
    await pair.mark(there)
    path, public = key_file(tmp_path)
    by_chain = {"id": "next-city", "label_ja": "隣の市", "label_en": "Next city", "issuer": issuer, "alg": "ES256",
                "federated": True, "key_file": path}  # fmt: skip
    async with served(
        tmp_path / "neighbour", pair.clock, port, upstreams=[by_chain], authority_hints=[us],
        organization_name="隣の市", marks=[await pair.fetched(there)],
        trust_anchors=[{"entity_id": us, "jwks": await pair.anchor.host.get(Federation).keys.jwks()}],
    ) as neighbour:  # fmt: skip
        for city, kind in ((neighbour, "openid_relying_party"), (pair.provider, "openid_provider")):
            await pair.anchor.host.db.write(
                subordinates.register, city.settings.issuer, jwks=await city.host.get(Federation).keys.jwks(),
                entity_types=[kind], intermediate=False, said={}, ours=us, actor=SYSTEM, now=pair.clock.ms(),
            )  # fmt: skip
        async with (
            httpx2.AsyncClient(base_url=there.entity_id) as here,
            httpx2.AsyncClient(base_url=issuer) as http,
        ):
            said = peek((await here.get("/.well-known/openid-federation")).text, longest=65_536)[1]
            assert said["metadata"]["openid_relying_party"]["jwks"] == {"keys": [public]}
            away = await here.post(
                "/sign-in/with", data={"upstream": "next-city", "next": "/home"}, headers={"origin": there.entity_id}
            )
            asked = away.headers["location"]
            assert asked.startswith(f"{issuer}/oauth/authorize?")
            assert "redirect_uri" not in asked  # it is in the signed object alone
            resident = await join(pair.provider, http)
            page = await http.get(
                asked.removeprefix(issuer), headers={"cookie": f"{session_cookie(issuer)}={resident.cookie}"}
            )
            answer = await resident.agree(page)
            back = await here.get("/sign-in/from/next-city", params=answer)
            assert back.status_code == 303, back.text
            assert "/sign-in" in back.headers["location"]
            proved = await here.get(back.headers["location"])
            assert "隣の市" in proved.text  # proved there, unknown here: to be linked by proof of both
    made = await pair.provider.host.get(Clients).get(there.entity_id)
    assert made is not None
    assert made.automatic


async def test_what_the_anchor_says_of_a_subordinate_is_its_keys_and_what_the_operator_said_8_1(pair: Pair) -> None:
    party = pair.service("said-of")
    policy = {"openid_relying_party": {"scope": {"subset_of": ["openid"]}}}
    await pair.vouch(party, metadata_policy=policy, constraints={"max_path_length": 0})
    answer = await pair.http.get("/federation/fetch", params={"sub": party.entity_id})
    assert answer.headers["content-type"] == "application/entity-statement+jwt"
    said = peek(answer.text)[1]
    assert said["jwks"] == party.jwks
    assert said["metadata_policy"] == policy
    assert said["source_endpoint"] == f"{pair.anchor.settings.issuer}/federation/fetch"
    party.now = pair.world.now()
    own = await pair.http.get("/.well-known/openid-federation")
    anchors = await pair.anchor.host.get(Federation).anchors()
    held = validate([party.configuration(), answer.text, own.text], anchors, pair.clock.ms())
    assert held.metadata["openid_relying_party"]["client_name"] == "隣の市の予約"
    listed = (await pair.http.get("/federation/list", params={"entity_type": "openid_relying_party"})).json()
    assert party.entity_id in listed
    assert (await pair.http.get("/federation/list?entity_type=oauth_resource")).json() == []
    assert (await pair.http.get("/federation/list?intermediate=true")).json() == []
    await pair.anchor.host.db.write(subordinates.end, party.entity_id, actor=SYSTEM, now=pair.clock.ms())
    gone = await pair.http.get("/federation/fetch", params={"sub": party.entity_id})
    assert (gone.status_code, gone.json()["error"]) == (404, "not_found")
    assert party.entity_id not in (await pair.http.get("/federation/list")).json()
    with pytest.raises(UnknownSubordinate):
        await pair.anchor.host.db.write(subordinates.end, party.entity_id, actor=SYSTEM, now=pair.clock.ms())


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("fetch", 400, "invalid_request"),
        ("fetch?sub=a&sub=b", 400, "invalid_request"),
        ("fetch?sub=https://nobody.example", 404, "not_found"),
        ("list?intermediate=perhaps", 400, "invalid_request"),
        ("resolve?sub=https://a.example", 400, "invalid_request"),
        ("resolve?sub=https://a.example&trust_anchor=https://b.example", 404, "invalid_trust_anchor"),
        ("trust-mark?sub=https://a.example&trust_mark_type=x", 404, "not_found"),
        ("trust-marked", 400, "invalid_request"),
    ],
)
async def test_errors_are_those_of_section_8_9(pair: Pair, path: str, status: int, error: str) -> None:
    answer = await pair.http.get(f"/federation/{path}")
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"]


async def test_the_anchor_is_asked_about_itself_by_its_configuration_alone(pair: Pair) -> None:
    answer = await pair.http.get("/federation/fetch", params={"sub": pair.anchor.settings.issuer})
    assert answer.json()["error"] == "invalid_request"


async def test_resolve_answers_with_the_chain_for_who_stands_below_and_asks_no_stranger_8_3(pair: Pair) -> None:
    party = pair.service("resolved")
    await pair.vouch(party)
    await pair.mark(party)
    forged = party.sign({"iss": pair.anchor.settings.issuer, "sub": party.entity_id, "trust_mark_type": OTHER,
                         "iat": pair.world.now()}, "trust-mark+jwt")  # fmt: skip
    pair.world.said["resolved"] = {"trust_marks": [
        {"trust_mark_type": AUDITED, "trust_mark": await pair.fetched(party)},
        {"trust_mark_type": OTHER, "trust_mark": forged},
    ]}  # fmt: skip
    ours = pair.anchor.settings.issuer
    answer = await pair.http.get(
        "/federation/resolve",
        params=[("sub", party.entity_id), ("trust_anchor", ours), ("entity_type", "openid_relying_party")],
    )
    assert answer.headers["content-type"] == "application/resolve-response+jwt", answer.text
    keys = await pair.anchor.host.get(Federation).keys.jwks()
    said = verify_with_jwks(answer.text, keys, algs=("ES256",), typ="resolve-response+jwt", longest=131_072)[1]
    assert list(said["metadata"]) == ["openid_relying_party"]
    assert [mark["trust_mark_type"] for mark in said["trust_marks"]] == [AUDITED]  # only verified ones
    assert validate(said["trust_chain"], {ours: keys}, pair.clock.ms()).subject == party.entity_id
    assert said["exp"] == min(peek(token, longest=65_536)[1]["exp"] for token in said["trust_chain"])
    asked = len(pair.world.site.asked)
    stranger = await pair.http.get(
        "/federation/resolve", params={"sub": pair.world.service("stranger").entity_id, "trust_anchor": ours}
    )
    assert stranger.json()["error"] == "not_found"
    assert len(pair.world.site.asked) == asked  # section 18.1


async def test_a_mark_is_active_then_revoked_and_unknown_if_it_was_not_given_here_8_4(pair: Pair) -> None:
    party = pair.service("watched")
    given = await pair.mark(party, expires_at=pair.clock.ms() + 2 * DAY)
    token = await pair.fetched(party)
    assert await pair.status(token) == "active"
    params = {"trust_mark_type": AUDITED, "sub": party.entity_id}
    assert (await pair.http.get("/federation/trust-marked", params=params)).json() == [party.entity_id]
    await pair.anchor.host.db.write(mark_book.take_back, given.id, actor=SYSTEM, now=pair.clock.ms())
    assert await pair.status(token) == "revoked"
    assert (await pair.http.get("/federation/trust-marked", params=params)).json() == []
    assert (await pair.http.get("/federation/trust-mark", params=params)).status_code == 404
    with pytest.raises(UnknownTrustMark):
        await pair.anchor.host.db.write(mark_book.take_back, given.id, actor=SYSTEM, now=pair.clock.ms())
    forged = party.sign({"iss": pair.anchor.settings.issuer, "jti": given.id}, "trust-mark+jwt")
    assert await pair.status(forged) == 404
    assert await pair.status("x.y.z") == 404


# -- marks of others (sections 7.2 and 7.3), judged by the provider's rules


async def judged(pair: Pair, party: Party, entry: dict[str, Any], anchor: dict[str, Any] | None = None) -> str:
    """`holds`, or the word of the rule it breaks; `anchor` changes what the anchor says."""
    federation = pair.anchor.host.get(Federation)
    settings = federation.settings.model_copy(update=anchor or {})
    before, federation.city.settings = federation.city.settings, settings
    try:
        chain = await federation.discovery.resolve(party.entity_id, anew=True)
        await federation.check_mark(entry, chain)
    except Refused as refused:
        return refused.word
    finally:
        federation.city.settings = before
    return "holds"


async def test_a_mark_of_a_wrong_issuer_for_another_subject_or_forged_does_not_count_7_3(pair: Pair) -> None:
    party, other, us = pair.service("claimant"), pair.service("holder"), pair.anchor.settings.issuer
    await pair.vouch(party)
    await pair.vouch(other)
    await pair.mark(party)
    await pair.mark(other)
    good, others = await pair.fetched(party), await pair.fetched(other)
    now = pair.world.now()
    said = {"iss": us, "sub": party.entity_id, "trust_mark_type": AUDITED, "iat": now}

    async def word(token: str, kind: str = AUDITED) -> str:
        return await judged(pair, party, {"trust_mark_type": kind, "trust_mark": token})

    assert await word(good) == "holds"
    assert await word(others) == "mark-subject"
    assert await word(good, OTHER) == "mark-type"
    assert await word(party.sign(said, "trust-mark+jwt")) == "mark-signature"
    assert await word(party.sign(said | {"iss": party.entity_id}, "trust-mark+jwt")) == "mark-issuer"
    assert await word(party.sign(said, "JWT")) == "mark-form"
    assert await word(party.sign(said | {"exp": now - 60}, "trust-mark+jwt")) == "mark-expired"
    assert await word(party.sign(said | {"iat": now + 60}, "trust-mark+jwt")) == "mark-times"
    unknown = "https://nobody.example/mark"
    assert await word(party.sign(said | {"trust_mark_type": unknown}, "trust-mark+jwt"), unknown) == "mark-issuer"


async def test_a_mark_that_another_owns_needs_the_owners_leave_7_2(pair: Pair) -> None:
    party, owner, us = pair.service("delegated"), Party("https://owner.example"), pair.anchor.settings.issuer
    await pair.vouch(party)
    now = pair.world.now()
    federation = pair.anchor.host.get(Federation)
    owned = {"mark_owners": federation.settings.model_validate(
        {"mark_owners": {AUDITED: {"sub": owner.entity_id, "jwks": owner.jwks}}}).mark_owners}  # fmt: skip
    leave = {"iss": owner.entity_id, "sub": us, "trust_mark_type": AUDITED, "iat": now}

    async def word(delegation: str | None, anchor: dict[str, Any] | None = owned) -> str:
        said = {"iss": us, "sub": party.entity_id, "trust_mark_type": AUDITED, "iat": now}
        said |= {} if delegation is None else {"delegation": delegation}
        token = await federation.keys.sign(said, typ="trust-mark+jwt")
        return await judged(pair, party, {"trust_mark_type": AUDITED, "trust_mark": token}, anchor)

    assert await word(owner.sign(leave, DELEGATION_TYP)) == "holds"
    assert await word(None) == "mark-delegation"
    assert await word(owner.sign(leave, DELEGATION_TYP), None) == "mark-delegation"  # nobody is known to own it
    thief = Party(owner.entity_id, key=new_key())
    assert await word(thief.sign(leave, DELEGATION_TYP)) == "mark-delegation"
    assert await word(owner.sign(leave | {"sub": "https://else.example"}, DELEGATION_TYP)) == "mark-delegation"
    assert await word(owner.sign(leave | {"trust_mark_type": OTHER}, DELEGATION_TYP)) == "mark-delegation"
    assert await word(owner.sign(leave | {"exp": now - 60}, DELEGATION_TYP)) == "mark-expired"
    assert await word(owner.sign(leave, "JWT")) == "mark-delegation"


# -- what an operator may write down


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"entity_id": "clinic.example"}, "/entity_id"),
        ({"entity_types": []}, "/entity_types"),
        ({"jwks": {"keys": []}}, "/jwks"),
        ({"said": {"metadata_policy": {"x": {"p": {"value": "a", "one_of": ["b"]}}}}}, "/metadata_policy"),
        ({"said": {"constraints": {"max_path_length": -1}}}, "/constraints"),
        ({"said": {"metadata": []}}, None),
        ({"said": {"metadata": {"x": 1}}}, "/metadata"),
    ],
)
async def test_what_would_break_every_chain_below_is_not_kept(pair: Pair, changed: Any, pointer: str | None) -> None:
    fields = {"entity_id": "https://clinic.example", "jwks": Party("https://clinic.example").jwks, "said": {},
              "entity_types": ["openid_provider"], **changed}  # fmt: skip
    entity_id = fields.pop("entity_id")

    async def write() -> Any:
        return await pair.anchor.host.db.write(
            subordinates.register, entity_id, intermediate=False, ours=pair.anchor.settings.issuer, actor=SYSTEM,
            now=pair.clock.ms(), **fields,
        )  # fmt: skip

    if pointer is None:
        assert (await write()).said == {}
        return
    with pytest.raises(InvalidSubordinate) as caught:
        await write()
    assert caught.value.pointer == pointer


async def test_an_operator_reads_why_an_entity_is_trusted_or_not(pair: Pair) -> None:
    party, federation = pair.service("explained"), pair.provider.host.get(Federation)
    told = (await explain(federation, party.entity_id)).as_dict()
    assert (told["trusted"], told["word"]) == (False, "no-statement")
    await pair.vouch(party)
    told = (await explain(federation, party.entity_id)).as_dict()
    assert told["trusted"]
    assert [one["iss"] for one in told["statements"]] == [
        party.entity_id, pair.anchor.settings.issuer, pair.anchor.settings.issuer,
    ]  # fmt: skip
