"""Build the fictional city in an empty house, through the same functions everybody uses.

Everything happens in one write: the city is there, or it is not. Passwords are hashed and keys made before; the
credentials are handed to `keep` before the write, so that a crash between the two leaves a file that is simply written
again, never a city nobody can enter. A second call finds the city and changes nothing.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from consent import agreements, gate, records
from consent.decisions import Permit
from consent.proposal import Category, NoticeText, NoticeTexts, Proposal
from consent.revisions import Revision
from consent.sensitivities import Sensitivities
from identity import accounts, grants, members, totp
from identity.accounts import Profile
from identity.assurance import verifications
from identity.assurance.documents import Document
from identity.assurance.verifications import Verifications
from identity.clients import Clients
from identity.mandates import ACTIONS, LONGEST, Mandates, day_end
from identity.person import kana_parts
from identity.registration import Registration
from infobank import access, items, vault
from infobank.access import Ask
from infobank.catalogue import CITY_ZONE, Catalogue
from keys.envelope import Sealer
from keys.hashing import Passwords, TokenHasher
from keys.signing import generate, private_jwk, public_jwk
from kit.clock import HOUR, MINUTE, Millis, to_datetime
from kit.db import Session
from kit.host import Actor, Host
from kit.ids import new_id
from portal.city import proposals
from portal.city.credentials import ClientKeys, Credentials, Person, new_password
from portal.city.incidents import plant_incidents
from portal.city.people import MANDATES, MEMBERS, RESIDENTS, STAFF, Member, Resident, Staff
from portal.city.proposals import AGREED, DISCLOSED, PROPOSALS
from portal.city.records import generate as generate_records

SEED = 2026
CITY = Actor("system", "demo-city")

MEMBER_ID = {member.key: f"mem_{member.client_id.replace('-', '_')}" for member in MEMBERS}
AGREEMENT_ID = {proposal.key: f"agr_{proposal.key.replace('-', '_')}" for proposal in PROPOSALS}


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is made outside of the write: hashes, keys, records."""

    credentials: Credentials
    password_hashes: Mapping[str, str]  # login -> argon2id
    public_keys: Mapping[str, dict[str, str]]  # client id -> JWK
    drafts: Mapping[tuple[str, str], tuple[items.Draft, ...]]  # (login, source) -> records


async def seed(host: Host, *, now_ms: Millis, keep: Callable[[Credentials], None] | None = None) -> Credentials | None:
    """Plant the city and return who can enter it; None, and nothing done, if it stands already."""
    if await host.db.read(_stands):
        return None
    prepared = await _prepare(host, now_ms)
    if keep is not None:
        keep(prepared.credentials)  # first without client secrets: those are born in the write
    secrets = await host.db.write(_plant, host, prepared, now_ms)
    if secrets is None:
        return None
    credentials = _with_secrets(prepared.credentials, secrets)
    if keep is not None:
        keep(credentials)
    return credentials


def _stands(session: Session) -> bool:
    return members.find(session, MEMBER_ID["clinic"]) is not None


async def _prepare(host: Host, now: Millis) -> _Prepared:
    passwords = host.get(Passwords)
    catalogue = host.get(Catalogue)

    def person(of: Resident | Staff, roles: tuple[str, ...] = ()) -> Person:
        if isinstance(of, Resident) and not of.signs_in:
            return Person(of.login, of.name, new_id("acc"), "", "")
        return Person(of.login, of.name, new_id("acc"), new_password(), totp.new_secret(), roles)

    residents = {resident.login: person(resident) for resident in RESIDENTS}
    staff = {one.login: person(one, one.roles) for one in STAFF}
    entering = [*(residents[one.login] for one in RESIDENTS if one.signs_in), *staff.values()]
    hashed = await asyncio.gather(*(passwords.hash(one.password) for one in entering))
    clients: dict[str, ClientKeys] = {}
    public_keys: dict[str, dict[str, str]] = {}
    for member in MEMBERS:
        private = None
        if member.auth_method == "private_key_jwt":
            key = generate("ES256")
            private, public_keys[member.client_id] = private_jwk(key, "ES256"), public_jwk(key, "ES256")
        proposal = next(one for one in PROPOSALS if one.member == member.key)
        clients[member.client_id] = ClientKeys(
            client_id=member.client_id,
            member=MEMBER_ID[member.key],
            name=member.client_name_ja,
            agreement=AGREEMENT_ID[proposal.key],
            redirect_uri=member.redirect_uris[0],
            token_endpoint_auth_method=member.auth_method,
            private_jwk=private,
            dpop=member.dpop,
            name_en=member.client_name_en,
        )
    today = datetime.fromtimestamp(now / 1000, CITY_ZONE).date()
    drafts: dict[tuple[str, str], list[items.Draft]] = {}
    for record in generate_records(SEED, today):
        draft = items.draft(catalogue, record.category, record.data, now=now, limit=16_384)
        drafts.setdefault((record.login, record.source), []).append(draft)
    return _Prepared(
        Credentials(host.issuer, residents, staff, clients),
        {one.login: encoded for one, encoded in zip(entering, hashed, strict=True)},
        public_keys,
        {key: tuple(some) for key, some in drafts.items()},
    )


def _plant(session: Session, host: Host, prepared: _Prepared, now: Millis) -> dict[str, str] | None:
    if _stands(session):
        return None
    sealer = host.get(Sealer)
    _people(session, host, prepared, now)
    _mandates(session, host, prepared, now)
    _verified(session, host, prepared)
    secrets = _organisations(session, host, prepared, now)
    office = Actor("operator", prepared.credentials.staff["operator"].account_id)
    revisions = _agreements(session, host.get(Catalogue), host.get(Sensitivities), now, office=office)
    _deposits(session, sealer, prepared, now)
    _past(session, host, prepared, revisions, now)
    plant_incidents(session, host, staff={login: one.account_id for login, one in prepared.credentials.staff.items()},
                    residents={login: one.account_id for login, one in prepared.credentials.residents.items()},
                    now=now)  # fmt: skip
    return secrets


def _people(session: Session, host: Host, prepared: _Prepared, now: Millis) -> None:
    sealer, hasher = host.get(Sealer), host.get(TokenHasher)
    for resident in RESIDENTS:
        person = prepared.credentials.residents[resident.login]
        family_kana, given_kana = kana_parts(
            resident.name, resident.kana, family=resident.family_name, given=resident.given_name
        )
        accounts.create_account(
            session,
            sealer,
            hasher,
            login=resident.login,
            profile=Profile(
                name=resident.name,
                name_kana=resident.kana,
                birthdate=resident.birthdate,
                email=resident.email,
                address=resident.address,
                gender=resident.gender,
                locale=resident.locale,
                phone=resident.phone,
                family_name=resident.family_name,
                given_name=resident.given_name,
                family_name_kana=family_kana,
                given_name_kana=given_kana,
            ),
            now=now,
            password_hash=prepared.password_hashes.get(resident.login),
            actor=CITY,
            account_id=person.account_id,
        )
        if resident.signs_in:
            totp.turn_on(session, sealer, person.account_id, secret=person.totp_secret, now=now, actor=CITY)
    for one in STAFF:
        person = prepared.credentials.staff[one.login]
        accounts.create_account(
            session,
            sealer,
            hasher,
            login=one.login,
            profile=Profile(name=one.name, name_kana=one.kana),
            now=now,
            kind="staff",
            roles=one.roles,
            password_hash=prepared.password_hashes[one.login],
            actor=CITY,
            account_id=person.account_id,
        )
        totp.turn_on(session, sealer, person.account_id, secret=person.totp_secret, now=now, actor=CITY)


def _mandates(session: Session, host: Host, prepared: _Prepared, now: Millis) -> None:
    """A mother for her child, written down by two clerks; a son for his mother, agreed by both."""
    desk, residents, staff = host.get(Mandates), prepared.credentials.residents, prepared.credentials.staff
    for one in MANDATES:
        subject, holder = residents[one["subject"]].account_id, residents[one["holder"]].account_id
        if one["kind"] == "guardian":
            clerks = [Actor("operator", staff[login].account_id) for login in ("counter", "operator")]
            made = desk.check(session, subject, holder, evidence="family-register", actor=clerks[0])
            desk.approve(session, made, actor=clerks[1])
            continue
        until_at = min(day_end(date.fromisoformat(one["until"])), now + LONGEST)
        actors = [Actor("resident", account_id) for account_id in (subject, holder)]
        made, code = desk.offer(session, subject, actions=ACTIONS, until_at=until_at, actor=actors[0])
        desk.accept(session, holder, code, source="", actor=actors[1])
        desk.confirm(session, made, subject, actor=actors[0])


def _verified(session: Session, host: Host, prepared: _Prepared) -> None:
    """One resident was at the counter: the code, the documents, the second clerk."""
    visits, credentials = host.get(Verifications), prepared.credentials
    hanako = credentials.residents["hanako"].account_id
    clerk, colleague = (
        Actor("operator", credentials.staff[login].account_id, roles=frozenset({"clerk"}))
        for login in ("clerk", "counter")
    )
    code = verifications.new_code()
    visits.make_code(session, hanako, code=code, actor=Actor("resident", hanako))
    visit = visits.enter(session, code, source="", actor=clerk)
    assert isinstance(visit, str)
    visits.record(
        session,
        visit,
        documents=[Document("individual-number-card", "湊浜市長", expires_on="2031-04-18", chip=True)],
        face=True,
        compared=("name", "birthdate", "address", "gender"),
        today=to_datetime(host.clock.ms()).astimezone(CITY_ZONE).date(),
        actor=clerk,
    )
    visits.confirm(session, visit, actor=colleague)


def _organisations(session: Session, host: Host, prepared: _Prepared, now: Millis) -> dict[str, str]:
    clients = host.get(Clients)
    secrets: dict[str, str] = {}
    for member in MEMBERS:
        members.apply(
            session,
            name_ja=member.name_ja,
            name_en=member.name_en,
            actor=CITY,
            now=now,
            site=member.homepage,
            accreditation=_accreditation(member),
            source_categories=member.source_categories,
            member_id=MEMBER_ID[member.key],
        )
        members.approve(session, MEMBER_ID[member.key], actor=CITY, now=now)
        key = prepared.public_keys.get(member.client_id)
        _client, secret = clients.create(
            session,
            Registration(
                name_ja=member.client_name_ja,
                name_en=member.client_name_en,
                member_id=MEMBER_ID[member.key],
                redirect_uris=list(member.redirect_uris),
                grant_types=["authorization_code", "refresh_token", "client_credentials"],
                token_endpoint_auth_method=member.auth_method,
                jwks={"keys": [key]} if key is not None else None,
                scope=" ".join(member.scopes),
                dpop_bound_access_tokens=member.dpop,
                id_token_signed_response_alg="ES256",
                sector_identifier=member.homepage.removeprefix("https://").partition("/")[0],
                client_uri=member.homepage,
            ),
            actor=CITY,
            client_id=member.client_id,
        )
        if secret is not None:
            secrets[member.client_id] = secret
    return secrets


def _accreditation(member: Member) -> dict[str, Any]:
    return {
        "seal": member.seal,
        "kind": member.kind,
        "ja": member.accreditation_ja,
        "en": member.accreditation_en,
        "address_ja": member.address_ja,
        "address_en": member.address_en,
        "contact": member.contact,
    }


def _agreements(
    session: Session, catalogue: Catalogue, sensitivities: Sensitivities, now: Millis, *, office: Actor
) -> dict[str, Revision]:
    found: dict[str, Revision] = {}
    by_key = {member.key: member for member in MEMBERS}
    for index, proposal in enumerate(PROPOSALS):
        offered_at = now - (170 - 10 * index) * 24 * HOUR if proposal.approved else now - 5 * 24 * HOUR
        revision = agreements.propose(
            session,
            sensitivities=sensitivities,
            member_id=MEMBER_ID[proposal.member],
            proposal=Proposal(
                purpose=proposal.purpose,
                lawful_basis=proposal.lawful_basis,
                categories=tuple(
                    Category(
                        category=use.category,
                        required=use.required,
                        sensitivity=catalogue.get(use.category).sensitivity,
                    )
                    for use in proposal.uses
                ),
                retention=proposal.retention,
                duration=proposal.duration,
                jurisdiction=proposal.jurisdiction,
                contact=by_key[proposal.member].contact,
                text=NoticeTexts(ja=_notice(proposal, catalogue, "ja"), en=_notice(proposal, catalogue, "en")),
            ),
            actor=office,
            now=offered_at,
            agreement_id=AGREEMENT_ID[proposal.key],
        )
        if proposal.approved:
            revision = agreements.approve(
                session, revision.id, actor=CITY, now=offered_at + 12 * 24 * HOUR, sealer=None
            )
        found[proposal.key] = revision
    return found


def _reason(use: proposals.Use, catalogue: Catalogue, lang: str) -> str:
    label = catalogue.get(use.category).label.of(lang)
    return f"・{label}：{use.why_ja}" if lang == "ja" else f"- {label}: {use.why_en}"


def _notice(proposal: proposals.Proposal, catalogue: Catalogue, lang: str) -> NoticeText:
    words = proposal.words[lang]
    reasons = "\n".join(_reason(use, catalogue, lang) for use in proposal.uses)
    full = "\n\n".join(
        (words.question, words.purpose, reasons, words.recipient, words.retention, words.withdrawal, words.review)
    )
    return NoticeText(
        title=words.title,
        short=words.purpose,
        full=full,
        benefit=words.benefit,
        if_refused=words.refusal,
        forbidden=words.forbidden,
    )


def _deposits(session: Session, sealer: Sealer, prepared: _Prepared, now: Millis) -> None:
    client_of = {member.key: member.client_id for member in MEMBERS}
    for (login, source), drafts in prepared.drafts.items():
        account_id = prepared.credentials.residents[login].account_id
        own = source == items.SELF
        newest = max(draft.recorded_at for draft in drafts)
        client = None if own else client_of[source]
        vault.deposit(
            session,
            sealer,
            drafts,
            account_id=account_id,
            source=items.SELF if own else MEMBER_ID[source],
            client_id=client,
            actor=Actor("resident", account_id) if own else Actor("service", client_of[source], client_id=client),
            now=min(now, newest + 9 * HOUR),
        )


def _past(session: Session, host: Host, prepared: _Prepared, revisions: Mapping[str, Revision], now: Millis) -> None:
    """Consents of the last months, and what was disclosed under them, in the order it happened."""
    sealer = host.get(Sealer)
    given: dict[tuple[str, str], str] = {}
    grants_of: dict[str, str] = {}
    morning = now - now % (24 * HOUR) - 15 * HOUR  # midnight in the city, yesterday's date in UTC
    moments: list[tuple[Millis, int, Any]] = [
        (morning - days * 24 * HOUR + 19 * HOUR + 7 * index * MINUTE, 0, agreed)
        for index, agreed in enumerate(AGREED)
        for days in [agreed[2]]
    ]
    moments += [
        (morning - days * 24 * HOUR + hour * HOUR + 3 * index * MINUTE, 1, (login, key, categories))
        for index, (login, key, days, hour, categories) in enumerate(DISCLOSED)
    ]
    by_proposal = {proposal.key: proposal for proposal in PROPOSALS}
    by_member = {member.key: member for member in MEMBERS}
    for at, kind, what in sorted(moments, key=lambda moment: moment[:2]):
        login, key = what[0], what[1]
        account_id = prepared.credentials.residents[login].account_id
        member = by_member[by_proposal[key].member]
        if kind == 0:
            given[login, key], grants_of[given[login, key]] = _consent(
                session, sealer, account_id, revisions[key], member, what[3], login=login, at=at
            )
        else:
            _disclosure(
                session, sealer, account_id, member, given[login, key], grants_of[given[login, key]], what[2], at=at
            )


def _consent(
    session: Session,
    sealer: Sealer,
    account_id: str,
    revision: Revision,
    member: Member,
    categories: tuple[str, ...],
    *,
    login: str,
    at: Millis,
) -> tuple[str, str]:
    actor = Actor("resident", account_id)
    locale = next(resident.locale for resident in RESIDENTS if resident.login == login)
    ref = records.give(
        session,
        sealer,
        account_id=account_id,
        revision_id=revision.id,
        categories=categories,
        notice_lang=locale,
        actor=actor,
        now=at,
    )
    detail = {
        "type": "data_use",
        "agreement": revision.agreement_id,
        "purpose": revision.purpose,
        "datatypes": sorted(categories),
        "actions": ["read"],
        "consent": ref.consent_id,
    }
    grant = grants.give(
        session,
        account_id=account_id,
        client_id=member.client_id,
        scopes=("openid", "offline_access"),
        details=(detail,),
        consent_ids=(ref.consent_id,),
        actor=actor,
        now=at,
    )
    return ref.consent_id, grant.id


def _disclosure(
    session: Session,
    sealer: Sealer,
    account_id: str,
    member: Member,
    consent_id: str,
    grant_id: str,
    categories: tuple[str, ...],
    *,
    at: Millis,
) -> None:
    def judge(asked: tuple[str, ...]) -> Any:
        return gate.judge(
            session,
            account_id=account_id,
            member_id=MEMBER_ID[member.key],
            categories=asked,
            consent_id=consent_id,
            now=at,
        )

    outcome = judge(categories)
    withheld: tuple[access.Withheld, ...] = ()
    if not isinstance(outcome, Permit):
        withheld = tuple(access.Withheld(category, outcome.reason) for category in outcome.categories)
        outcome = judge(tuple(category for category in categories if category not in outcome.categories))
    assert isinstance(outcome, Permit)
    access.disclose(
        session,
        sealer,
        outcome,
        account_id=account_id,
        member_id=MEMBER_ID[member.key],
        client_id=member.client_id,
        grant_id=grant_id,
        ask=Ask(categories, since=at - 400 * 24 * HOUR, until=at, limit=100),
        withheld=withheld,
        now=at,
    )


def _with_secrets(credentials: Credentials, secrets: Mapping[str, str]) -> Credentials:
    clients = {
        client_id: replace(keys, client_secret=secrets.get(client_id))
        for client_id, keys in credentials.clients.items()
    }
    return replace(credentials, clients=clients)
