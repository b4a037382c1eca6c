"""What services learn of who somebody is, in the resident's words; and what a service that has to be surer is answered.

A service may ask what a clerk verified: the page that asks shows it apart, with the values of that day. Where the
operator asks more than the resident or their sign-in can give, the page says what to do instead of refusing: sign in
another way, or come to the counter with which documents. From there the only way back to the service is "not yet".
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any
from urllib.parse import urlencode

from identity import accounts, totp
from identity.assurance import telling, verified_request
from identity.assurance.minimums import Needs
from identity.assurance.verifications import Verifications
from identity.certificates.sign_in import CertificateSignIn
from identity.clients import Client
from identity.credentials import Credentials
from identity.interaction import Interaction
from identity.oidc.userinfo import claims_for
from identity.person import shown_phone
from identity.sessions import BrowserSession
from identity.upstream.flow import Upstreams
from infobank.tracker import SCOPE_USAGE
from keys.envelope import Sealer
from kit.clock import SECOND
from kit.db import Session
from kit.host import Host
from portal import i18n
from portal.contexts.interaction import ScopeRow, StepUp, VerifiedAsk
from portal.i18n import N_, _

_CLAIM_NAMES = {
    "name": N_("Your name"),
    "family_name": N_("Family name"),
    "given_name": N_("Given name"),
    "name#ja-Kana-JP": N_("Reading of your name"),
    "family_name#ja-Kana-JP": N_("Reading of your family name"),
    "given_name#ja-Kana-JP": N_("Reading of your given name"),
    "nickname": N_("What services may call you"),
    "gender": N_("Gender"),
    "birthdate": N_("Date of birth"),
    "locale": N_("Your language"),
    "email": N_("E-mail address"),
    "address": N_("Address"),
    "phone_number": N_("Telephone number"),
    "updated_at": N_("When your profile last changed"),
}

#: What is read in another line already: the name's parts stand in the name.
_READ_IN = {
    "family_name": "name",
    "given_name": "name",
    "family_name#ja-Kana-JP": "name#ja-Kana-JP",
    "given_name#ja-Kana-JP": "name#ja-Kana-JP",
}

_GENDERS = {"female": N_("female"), "male": N_("male")}


def learns_of(profile: accounts.Profile, scopes: Sequence[str]) -> tuple[ScopeRow, ...]:
    """What the standard scopes tell a service about a person (OpenID Connect Core section 5.4), with the values."""
    rows = rows_of(claims_for(profile, frozenset(scopes)))
    if SCOPE_USAGE in scopes:
        rows += (ScopeRow(_("Who used your data"), _("the list you see under “Who used it”")),)
    return rows


def rows_of(claims: Mapping[str, Any]) -> tuple[ScopeRow, ...]:
    """Claims with their values, as a resident reads them."""
    rows = []
    for claim, value in claims.items():
        if claim not in _CLAIM_NAMES or not value or _READ_IN.get(claim) in claims:
            continue
        words = value.get("formatted", "") if isinstance(value, dict) else str(value)
        if claim == "locale":
            words = i18n.LANGUAGES.get(words, words)
        elif claim == "birthdate":
            with suppress(ValueError):  # the standard also allows a year alone
                words = i18n.current().plain_day(date.fromisoformat(words))
        elif claim == "phone_number":
            words = shown_phone(words)
        elif claim == "updated_at":
            words = i18n.current().day(value * SECOND)
        elif claim == "gender" and words in _GENDERS:
            words = i18n.current().gettext(_GENDERS[words])
        rows.append(ScopeRow(i18n.current().gettext(_CLAIM_NAMES[claim]), words))
    return tuple(rows)


def verified_ask(
    session: Session, visits: Verifications, client: Client, interaction: Interaction, account_id: str
) -> VerifiedAsk | None:
    """What a request asks of a clerk's verification; None if it asks nothing of the kind.

    Every claim asked for is shown, also one that a restriction may keep back: what is shown is the most that is told.
    """
    request = interaction.request
    if not request.verified or client.verified_claims == "none":
        return None
    proof = telling.proof_of(visits, session, account_id)
    wanted = verified_request.names((*request.userinfo_verified, *request.id_token_verified))
    marks = verified_request.marks(request.userinfo_verified, request.id_token_verified)
    evidence = "verified:evidence" in marks and client.verified_claims == "evidence"
    if proof is None:
        return VerifiedAsk(0, (), evidence, False, ())
    return VerifiedAsk(
        ial=proof.ial,
        rows=rows_of({name: value for name, value in proof.claims.items() if name in wanted}),
        documents=evidence,
        number=evidence
        and "verified:number" in marks
        and (any(one.number for one in proof.documents) or any(one.number for one in proof.electronic)),
        kinds=(*(one.kind for one in proof.documents), *(one.type for one in proof.electronic)) if evidence else (),
        register=bool(proof.electronic),
    )


def step_up(
    session: Session, host: Host, client: Client, browser: BrowserSession, short: Needs, *, action: str, lang: str
) -> StepUp:
    """What the resident can do about it, without a circle: nothing here leads back by itself."""
    person = accounts.profile(session, host.get(Sealer), browser.account_id)
    card = any(one.raises for one in host.get(CertificateSignIn).all)
    card = card or any(one.raises for one in host.get(Upstreams).all)
    password = host.get(Credentials).has_password(session, browser.account_id)
    app = short.aal == 2 and password and not totp.is_on(session, browser.account_id)
    return StepUp(
        action=action,
        person=person.name,
        client=client.name(lang),
        ial=short.ial,
        aal=short.aal,
        again_href="/sign-in?" + urlencode({"next": action, "again": "1"}) if short.aal else "",
        app_href="/safety/app?" + urlencode({"first": "1", "next": action}) if app else "",
        register=short.ial <= 2 and card,
    )
