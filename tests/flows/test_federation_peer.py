"""Our federation beside an implementation by others: npm @openid-federation/core, over real HTTP.

Three cities are served from this process (anchor, intermediate, leaf), services below them speak by PyJWT, and the peer
(tests/peers/federation.mjs, one process for all) resolves the same chains, or signs as leaf and as anchor itself. Where
the two judge otherwise, the difference is in DIFFERENCES with its reason; one that is gone fails.
"""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from identity.federation import subordinates
from identity.federation.explain import Explained, explain
from identity.federation.service import Federation
from kit.clock import FrozenClock
from kit.host import SYSTEM
from portal.app import Building
from tests.flows.test_real_clients import installed
from tests.support.cities import served
from tests.support.federation import World, jwk_of, new_key, statement
from tests.support.peers import needs
from tests.support.server import free_port
from tests.support.site import reply, serving

pytestmark = needs("node", "npm")

RP = "openid_relying_party"
#: What the peer says where we say otherwise, and why. Sections of OpenID Federation 1.0.
DIFFERENCES = {
    "its own statement has expired": "holds: it looks at the times of subordinate statements alone (10.2)",
    "its superior vouches for other keys": "holds: it verifies a configuration by the keys inside it (10.2)",
    "its superior speaks of somebody else": "holds: it does not compare what it fetched with what it asked (8.1.2)",
    "a statement from the future": "holds: it does not look at iat (10.2)",
    "an extension that is critical": "holds: it does not look at crit (13.4)",
    "a path longer than the anchor allows": "holds: it applies no constraints (6.2.1)",
    "a name its superior excludes": "holds: it applies no constraints (6.2.2)",
    "subset_of where there is no value": "refused: it wants a list; the operator applies to what is there (6.1.3.1)",
    "superset_of that is kept": "refused: it has the sets the other way round (6.1.3.1)",
}


class Peer:
    """The other implementation: a question, an answer."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, **question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        return json.loads(await asyncio.wait_for(self._process.stdout.readline(), 20))


class Three:
    """Leaf, intermediate and anchor, and the peer."""

    def __init__(self, anchor: Building, middle: Building, leaf: Building, peer: Peer, world: World) -> None:
        self.anchor, self.middle, self.leaf, self.peer, self.world = anchor, middle, leaf, peer, world

    async def vouch(self, city: Building, entity_id: str, jwks: Any, **said: Any) -> None:
        await city.host.db.write(
            subordinates.register, entity_id, jwks=jwks, entity_types=[RP], intermediate=False, said=said,
            ours=city.settings.issuer, actor=SYSTEM, now=city.host.clock.ms(),
        )  # fmt: skip

    async def anchors(self) -> Any:
        return {self.anchor.settings.issuer: await keys_of(self.anchor)}

    async def theirs(self, entity_id: str) -> Any:
        return await self.peer.ask(resolve=entity_id, anchors=await self.anchors())

    async def ours(self, entity_id: str) -> Explained:
        """As the leaf city sees it."""
        return await explain(self.leaf.host.get(Federation), entity_id)

    async def service(self, name: str, **metadata: Any) -> str:
        """A service below the prefecture, which is PyJWT's and stands below our anchor."""
        return self.world.service(name, **metadata).entity_id


async def keys_of(city: Building) -> Any:
    return await city.host.get(Federation).keys.jwks()


@pytest.fixture(scope="module")
async def three(empty_city: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Three]:
    # The peer has a clock of its own: the time of day.
    clock, place = FrozenClock(int(time.time() * 1000)), tmp_path_factory.mktemp("three")
    for name in ("anchor", "middle", "leaf"):
        shutil.copytree(empty_city, place / name)
    ports = [free_port() for _ in range(3)]
    anchor_id, middle_id, leaf_id = (f"http://127.0.0.1:{port}" for port in ports)
    process = await asyncio.create_subprocess_exec(
        "node", "federation.mjs", cwd=installed(), limit=1 << 22,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    async with (
        serving() as site,
        served(place / "anchor", clock, ports[0], subordinates=True, own_anchor=True) as anchor,
    ):
        known = [{"entity_id": anchor_id, "jwks": await keys_of(anchor)}]
        async with (
            served(place / "middle", clock, ports[1], subordinates=True, authority_hints=[anchor_id],
                   trust_anchors=known) as middle,
            served(place / "leaf", clock, ports[2], authority_hints=[middle_id], trust_anchors=known,
                   organization_name="湊浜市") as leaf,
        ):  # fmt: skip
            assert process.stdout is not None
            await process.stdout.readline()
            world = World(site, lambda: clock.ms() // 1000)
            made = Three(anchor, middle, leaf, Peer(process), world)
            await made.vouch(anchor, middle_id, await keys_of(middle))
            policy = {"openid_provider": {"contacts": {"default": ["ask@pref.example"]}}}
            await made.vouch(middle, leaf_id, await keys_of(leaf), metadata_policy=policy)
            world.parties["pref"].superior = anchor_id
            yield made
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


async def untouched(three: Three) -> None:
    """Everybody says what is so."""
    three.world.said.clear()
    three.world.answers.clear()
    pref = three.world.parties["pref"]
    await three.vouch(three.anchor, pref.entity_id, pref.jwks)


async def test_another_implementation_finds_our_city_trusted_through_our_intermediate_to_our_anchor(
    three: Three,
) -> None:
    city = three.leaf.settings.issuer
    theirs, ours = await three.theirs(city), await three.ours(city)
    assert ours.chain is not None
    (found,) = theirs["chains"]
    assert found["anchor"] == ours.chain.anchor == three.anchor.settings.issuer
    path = [[one.iss, one.sub] for one in ours.chain.statements]
    assert found["statements"] == path[1:]  # it leaves the subject's own out
    assert found["metadata"]["openid_provider"] == ours.chain.metadata["openid_provider"]
    assert found["metadata"]["openid_provider"]["contacts"] == ["ask@pref.example"]
    assert found["metadata"]["federation_entity"] == ours.chain.metadata["federation_entity"]


async def test_both_resolve_the_same_metadata_under_two_levels_of_policy_6_1(three: Three) -> None:
    entity_id = await three.service("policies", scope="openid profile", contacts=["a@svc.example", "b@svc.example"])
    await untouched(three)
    pref = three.world.parties["pref"]
    await three.vouch(three.anchor, pref.entity_id, pref.jwks, metadata_policy={RP: {
        "client_name": {"essential": True}, "contacts": {"add": ["ask@anchor.example"]},
        "token_endpoint_auth_method": {"one_of": ["private_key_jwt", "self_signed_tls_client_auth"]},
        "application_type": {"value": "web"},
    }})  # fmt: skip
    three.world.said["pref/policies"] = {
        # The peer wants client_registration_types wherever there is metadata of a relying party.
        "metadata": {RP: {"client_name": "県の予約", "policy_uri": "https://pref.example/policy",
                          "client_registration_types": ["automatic"]}},
        "metadata_policy": {RP: {
            "contacts": {"add": ["ask@pref.example"]}, "default_max_age": {"default": 300},
            "token_endpoint_auth_method": {"one_of": ["private_key_jwt", "client_secret_basic"]},
            "grant_types": {"default": ["authorization_code"], "subset_of": ["authorization_code", "refresh_token"]},
            "policy_uri": {"essential": True},
        }},
    }  # fmt: skip
    theirs, ours = await three.theirs(entity_id), await three.ours(entity_id)
    assert ours.chain is not None, ours.refused
    (found,) = theirs["chains"]
    said = ours.chain.metadata[RP]
    theirs_said = found["metadata"][RP]
    assert sorted(said.pop("contacts")) == sorted(theirs_said.pop("contacts"))  # section 6.1.3.1.2: in no order
    assert said == theirs_said
    assert (said["application_type"], said["default_max_age"]) == ("web", 300)


TAMPERED: dict[str, tuple[str, dict[str, Any]]] = {
    # what was done: (our word, what the service, the prefecture or the anchor says)
    "nothing": ("holds", {}),
    "its own statement by another key": ("signature", {"forged": True}),
    "its own statement has expired": ("expired", {"leaf": {"iat": -7200, "exp": -3600}}),
    "its own statement names another issuer": ("misplaced", {"leaf": {"iss": "https://else.example"}}),
    "it does not name its superior": ("unreachable", {"leaf": {"authority_hints": ["https://127.0.0.1:1/none"]}}),
    "its superior says nothing": ("no-statement", {"silent": True}),
    "its superior's statement has expired": ("expired", {"middle": {"iat": -7200, "exp": -3600}}),
    "its superior's statement is another kind of token": ("typ", {"typ": "JWT"}),
    "its superior's statement is by another key": ("signature", {"other": True}),
    "its superior vouches for other keys": ("signature", {"middle": {"jwks": "other"}}),
    "its superior speaks of somebody else": ("subject", {"middle": {"sub": "https://else.example"}}),
    "a statement from the future": ("not-yet", {"middle": {"iat": 1800}}),
    "an extension that is critical": ("crit", {"middle": {"crit": ["x"], "x": 1}}),
    "the anchor does not vouch for its superior": ("no-statement", {"ended": True}),
    "a value that two levels set otherwise": ("policy-merge", {
        "middle": {"metadata_policy": {RP: {"application_type": {"value": "native"}}}},
        "anchor": {"metadata_policy": {RP: {"application_type": {"value": "web"}}}}}),
    "a method that no level allows": ("policy-one-of", {"anchor": {"metadata_policy": {RP: {
        "token_endpoint_auth_method": {"one_of": ["client_secret_basic"]}}}}}),
    "something essential that is not there": ("policy-essential", {"anchor": {"metadata_policy": {RP: {
        "policy_uri": {"essential": True}}}}}),
    "subset_of where there is no value": ("holds", {"anchor": {"metadata_policy": {RP: {
        "grant_types": {"subset_of": ["authorization_code"]}}}}}),
    "superset_of that is kept": ("holds", {"anchor": {"metadata_policy": {RP: {
        "contacts": {"superset_of": ["a@svc.example"]}}}}}),
    "a path longer than the anchor allows": ("max-path-length", {"anchor": {"constraints": {"max_path_length": 0}}}),
    "a name its superior excludes": ("naming-constraints", {"middle": {"constraints": {
        "naming_constraints": {"excluded": ["127.0.0.1"]}}}}),
}  # fmt: skip


async def test_both_refuse_what_was_tampered_with_and_every_difference_is_explained(three: Three) -> None:
    words, differ = {}, {}
    for number, (name, (_, done)) in enumerate(TAMPERED.items()):
        await untouched(three)
        entity_id = await three.service(f"svc{number}", contacts=["a@svc.example", "b@svc.example"])
        await tamper(three, f"svc{number}", done)
        theirs, ours = await three.theirs(entity_id), await three.ours(entity_id)
        words[name] = ours.refused.word if ours.refused else "holds"
        they = "holds" if theirs["chains"] else "refused"
        if (they == "holds") is not (ours.chain is not None):
            differ[name] = they
    assert words == {name: word for name, (word, _) in TAMPERED.items()}
    assert differ == {name: why.partition(":")[0] for name, why in DIFFERENCES.items()}


async def tamper(three: Three, name: str, done: dict[str, Any]) -> None:
    world, pref, party = three.world, three.world.parties["pref"], three.world.parties[name]
    now = world.now()
    moved = {
        who: {claim: now + value if claim in ("iat", "exp") else value for claim, value in done.get(who, {}).items()}
        for who in ("leaf", "middle")
    }
    if moved["middle"].get("jwks") == "other":
        moved["middle"]["jwks"] = {"keys": [jwk_of(new_key(), party.kid)]}
    world.said[name], world.said[f"pref/{name}"] = moved["leaf"], moved["middle"]
    party.now = pref.now = now
    if "anchor" in done:
        await three.vouch(three.anchor, pref.entity_id, pref.jwks, **done["anchor"])
    if "ended" in done:
        await three.anchor.host.db.write(subordinates.end, pref.entity_id, actor=SYSTEM, now=now * 1000)
    if "forged" in done:
        forged = party.configuration({"_key": new_key()})
        world.answers[f"/{name}/.well-known/openid-federation"] = statement(forged)
    for change, header in (("typ", {"typ": "JWT"}), ("other", {"_key": new_key()})):
        if change in done:
            world.answers[f"pref/{name}"] = statement(pref.about(party, header))
    if "silent" in done:
        world.answers[f"pref/{name}"] = reply(b"{}", "404 Not Found", "content-type: application/json")


async def test_a_chain_whose_leaf_the_other_implementation_signs_holds_here(three: Three) -> None:
    middle = three.middle.settings.issuer
    metadata = {"redirect_uris": ["https://svc.example/cb"], "client_registration_types": ["automatic"]}
    made = await three.peer.ask(say={"name": "leaf", "hints": [middle], "metadata": {RP: metadata}})
    before = await three.ours(made["id"])
    assert before.refused is not None
    assert before.refused.word == "no-statement"
    await three.vouch(three.middle, made["id"], made["jwks"], metadata={RP: {"client_name": "外の予約"}})
    ours = await three.ours(made["id"])
    assert ours.chain is not None, ours.refused
    assert ours.chain.metadata == {RP: metadata | {"client_name": "外の予約"}}
    assert ours.chain.superior == middle


async def test_a_city_of_ours_is_trusted_through_an_anchor_that_the_other_implementation_signs(three: Three) -> None:
    city, federation = three.leaf.settings.issuer, three.leaf.host.get(Federation)
    below = {"sub": city, "jwks": await keys_of(three.leaf),
             "metadata_policy": {"openid_provider": {"contacts": {"value": ["ask@other.example"]}}},
             "constraints": {"allowed_entity_types": ["openid_provider"]}}  # fmt: skip
    anchor = await three.peer.ask(say={"name": "anchor", "below": [below]})
    judge, before = three.middle.host.get(Federation), federation.settings
    federation.settings = federation.city.settings = before.model_copy(update={"authority_hints": (anchor["id"],)})
    trusted = judge.settings.model_validate(
        {**judge.settings.model_dump(), "trust_anchors": [{"entity_id": anchor["id"], "jwks": anchor["jwks"]}]}
    )
    kept, judge.settings = judge.settings, trusted
    try:
        found = await explain(judge, city)
        assert found.chain is not None, found.refused
        assert found.chain.anchor == anchor["id"]
        assert found.chain.metadata["openid_provider"]["contacts"] == ["ask@other.example"]
        wrong = {"keys": [jwk_of(new_key(), anchor["jwks"]["keys"][0]["kid"])]}
        judge.settings = trusted.model_copy(
            update={"trust_anchors": (trusted.trust_anchors[0].model_copy(update={"jwks": wrong}),)}
        )
        found = await explain(judge, city)
        assert found.refused is not None
        assert found.refused.word == "signature"
    finally:
        judge.settings = kept
        federation.settings = federation.city.settings = before
