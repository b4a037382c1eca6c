"""Accounts: who exists, what they may do, and their sealed profile.

The login name is a key to find the account by, so it is kept as a keyed hash; everything else about the person is
sealed under the account's own data key and leaves with it (walk 9).
"""

import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

import orjson
from sqlmodel import col, delete, select, update

from identity.assurance.models import Verification, VisitCode
from identity.errors_account import AccountClosed, LoginTaken
from identity.models_account import (
    Account,
    Attempt,
    EmailChange,
    KnownBrowser,
    Mandate,
    Passkey,
    PasskeyChallenge,
    RecoveryCode,
    Reset,
    SessionRow,
    Totp,
)
from identity.signals import happenings, left
from identity.signals.events import Happening
from identity.upstream.models import UpstreamLink
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from keys.hashing import TokenHasher
from kit import audit, outbox
from kit.clock import Millis
from kit.db import Session, tx_of
from kit.host import SYSTEM, Actor
from kit.ids import new_id
from kit.problems import Invalid, NotFound

Kind = Literal["resident", "staff"]
#: What a clerk at the counter compares, and shows with it.
_COMPARED = frozenset({"name", "name_kana", "family_name", "given_name", "birthdate", "address", "gender", "phone"})
#: Letters about an account in the outbox (identity.mail), one lane for each account.
MAIL_TOPIC = "identity.mail"

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{2,63}")


@dataclass(frozen=True, slots=True)
class Profile:
    """What the city knows about a person. `login` is their own login name, for passkey and password managers.

    Where a name parts only its owner says (identity.person): both parts are empty until then.
    """

    name: str
    name_kana: str = ""
    birthdate: str = ""  # ISO 8601 calendar date
    login: str = ""
    email: str | None = None
    email_verified: bool = False  # whoever has the account has shown to read what is sent there
    address: str | None = None
    gender: str | None = None
    locale: str = "ja"
    family_name: str = ""
    given_name: str = ""
    family_name_kana: str = ""
    given_name_kana: str = ""
    nickname: str = ""  # how services may call them
    phone: str | None = None  # E.164
    phone_verified: bool = False  # a clerk rang it, and it rang in the hand of the person before them
    updated_at: Millis = 0


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account without anything personal."""

    id: str
    kind: Kind
    roles: frozenset[str]
    status: str
    created_at: Millis


def normal_login(login: str) -> str:
    """The one spelling of a login name: NFKC, lower case, no outer blanks.

    A phone keyboard adds capitals, blanks and full-width letters by itself; none of them makes another person.
    """
    return unicodedata.normalize("NFKC", login).strip().casefold()


def read_login(login: str) -> str:
    """A login name fit for a new account; raises Invalid."""
    normal = normal_login(login)
    if not _LOGIN.fullmatch(normal):
        raise Invalid("Use 3 to 64 letters, digits or . _ @ + -", pointer="/login")
    return normal


def login_digest(hasher: TokenHasher, login: str) -> bytes:
    """The keyed hash by which a login name is found."""
    return hasher.digest("login", normal_login(login))


def create_account(
    session: Session,
    sealer: Sealer,
    hasher: TokenHasher,
    *,
    login: str,
    profile: Profile,
    now: Millis,
    kind: Kind = "resident",
    roles: Iterable[str] = (),
    password_hash: str | None = None,
    actor: Actor = SYSTEM,
    account_id: str | None = None,
) -> str:
    """Add an account with its own data key and return its id; raises LoginTaken, Invalid.

    `password_hash` comes from `keys.hashing.Passwords.hash` (hashed outside of the write).
    """
    normal = read_login(login)
    digest = login_digest(hasher, normal)
    if session.exec(select(Account.id).where(Account.login_hash == digest)).first() is not None:
        raise LoginTaken("Choose another login name.", pointer="/login")
    identifier = account_id or new_id("acc")
    key = sealer.create_owner(session, identifier)
    sealed = key.seal(f"identity_account|profile|{identifier}", _pack(replace(profile, login=normal, updated_at=now)))
    password = None
    if password_hash is not None:
        password = key.seal(f"identity_account|password|{identifier}", password_hash.encode())
    session.add(
        Account(
            id=identifier,
            kind=kind,
            roles=sorted(roles),
            login_hash=digest,
            profile=sealed,
            password=password,
            password_at=now if password is not None else None,
            created_at=now,
        )
    )
    session.flush()
    by = actor if actor.kind != "anonymous" else Actor(kind="resident", id=identifier)
    audit.record(session, "identity.account.created", actor=by, object=("account", identifier), detail={"kind": kind})
    return identifier


def find_account(session: Session, hasher: TokenHasher, login: str) -> AccountView | None:
    """The account behind a login name, if there is one. Never tell a stranger which."""
    row = session.exec(select(Account).where(Account.login_hash == login_digest(hasher, login))).first()
    return None if row is None else _view(row)


def get_account(session: Session, account_id: str) -> AccountView:
    """An account by id; raises NotFound."""
    return _view(_row(session, account_id))


def list_accounts(
    session: Session, *, kind: Kind | None = None, after: str = "", limit: int = 100
) -> tuple[AccountView, ...]:
    """Accounts in order of creation, after an id."""
    query = select(Account).where(col(Account.id) > after).order_by(col(Account.id)).limit(limit)
    if kind is not None:
        query = query.where(Account.kind == kind)
    return tuple(_view(row) for row in session.exec(query))


def profile(session: Session, sealer: Sealer, account_id: str) -> Profile:
    """The opened profile; raises NotFound, or keys.errors.KeyDestroyed when the person has left."""
    row = _row(session, account_id)
    opened = sealer.owner(session, account_id).open(f"identity_account|profile|{account_id}", row.profile)
    return _unpack(opened)


def change_profile(
    session: Session,
    sealer: Sealer,
    account_id: str,
    changed: Profile,
    *,
    now: Millis,
    actor: Actor,
    proved: bool = False,
) -> None:
    """Replace the profile; the login name stays what it is. Audited by field name, never by value.

    Another e-mail address is not verified, unless it was `proved` (identity.emails); another telephone number never is.
    """
    row = _row(session, account_id)
    before = profile(session, sealer, account_id)
    after = replace(changed, login=before.login, updated_at=before.updated_at)
    if after.email != before.email and not proved:
        after = replace(after, email_verified=False)
    if after.phone != before.phone:
        after = replace(after, phone_verified=False)
    names = [field.name for field in fields(Profile) if getattr(before, field.name) != getattr(after, field.name)]
    if not names:
        return
    after = replace(after, updated_at=now)
    key = sealer.owner(session, account_id)
    row.profile = key.seal(f"identity_account|profile|{account_id}", _pack(after))
    session.add(row)
    if _COMPARED.intersection(names):
        _break_off(session, account_id, actor)
    audit.record(
        session,
        "identity.account.changed",
        actor=actor,
        object=("account", account_id),
        detail={"fields": names},
    )
    if "phone" in names:  # its own entry, for the letter that warns: whoever is rung is believed to be the person
        audit.record(session, "identity.phone.changed", actor=actor, object=("account", account_id))


def phone_rang(session: Session, sealer: Sealer, account_id: str, *, now: Millis, actor: Actor) -> None:
    """A clerk rang the number, and it rang in the hand of the person at the counter (Core section 5.1,
    `phone_number_verified`: affirmative steps that it is theirs at that time). Nothing where there is no number."""
    before = profile(session, sealer, account_id)
    if before.phone and not before.phone_verified:
        after = replace(before, phone_verified=True)
        change_profile(session, sealer, account_id, after, now=now, actor=actor)
        audit.record(session, "identity.phone.verified", actor=actor, object=("account", account_id))


def _break_off(session: Session, account_id: str, actor: Actor) -> None:
    """A visit at the counter that is under way comes to nothing: what the clerk has before them and compares is not
    what would be written down (a name changed between the look and the tick would be a verified name)."""
    underway = select(Verification).where(
        Verification.account_id == account_id, col(Verification.status).in_(("open", "waiting"))
    )
    for visit in session.exec(underway).all():
        visit.status, visit.ended_by, visit.documents, visit.claims = "abandoned", actor.id, None, None
        session.add(visit)
        session.flush()
        detail = {"verification": visit.id, "ial": visit.ial, "reason": "profile-changed"}
        audit.record(
            session, "identity.verification.abandoned", actor=actor, object=("account", account_id), detail=detail
        )


def set_roles(session: Session, account_id: str, roles: Iterable[str], *, actor: Actor) -> None:
    """Replace the roles; effective at once in every open session (I5)."""
    row = _row(session, account_id)
    row.roles = sorted(set(roles))
    session.add(row)
    tx_of(session).touch("sessions")
    audit.record(
        session,
        "identity.roles.changed",
        actor=actor,
        object=("account", account_id),
        detail={"roles": row.roles},
    )


def suspend_account(session: Session, account_id: str, *, actor: Actor, reason: str = "") -> None:
    """Refuse sign-in and every open session of the account, from this commit on."""
    _set_status(session, account_id, "suspended", "identity.account.suspended", actor, reason)


def resume_account(session: Session, account_id: str, *, actor: Actor) -> None:
    """Undo a suspension."""
    _set_status(session, account_id, "active", "identity.account.resumed", actor, "")


def close_account(
    session: Session, sealer: Sealer, hasher: TokenHasher, account_id: str, *, now: Millis, actor: Actor
) -> None:
    """Forget the person: end everything, drop the credentials, destroy the data key (walk 9).

    The bare row stays, so that ids in the audit trail keep meaning "somebody who has left".
    """
    row = _row(session, account_id)
    with suppress(KeyDestroyed):
        if address := profile(session, sealer, account_id).email:  # what stands under it can't be found afterwards
            left.forget_address(session.connection(), hasher, address)
    rows = (
        Passkey, Totp, RecoveryCode, Attempt, SessionRow, Reset, VisitCode, Verification, EmailChange, KnownBrowser,
        UpstreamLink,
    )  # fmt: skip
    for table in rows:
        session.exec(delete(table).where(col(table.account_id) == account_id))
    session.exec(delete(PasskeyChallenge).where(col(PasskeyChallenge.holder) == account_id))
    mine, held = col(Mandate.subject_id) == account_id, col(Mandate.holder_id) == account_id
    session.exec(delete(Mandate).where(mine | (held & (col(Mandate.kind) != "guardian"))))
    # A guardian's stays as a row that has ended: what was agreed to under it is settled when the child comes of age.
    over = update(Mandate).where(held, col(Mandate.status) != "ended")
    session.exec(over.values(status="ended", why="holder", ended_at=now, changed_at=now, code_hash=None))
    outbox.clear(session.connection(), MAIL_TOPIC, account_id)
    row.status, row.closed_at = "closed", now
    row.login_hash, row.password, row.password_at = None, None, None
    row.profile = b""
    session.add(row)
    session.flush()
    sealer.destroy_owner(session, account_id)
    tx_of(session).touch("sessions")
    tx_of(session).touch("tokens")  # access tokens of this person are refused from now on (identity.bearer)
    # Told to whom a grant ends with the account; noted with the moment those grants end.
    by = happenings.by_whom(actor.kind)
    happenings.note(session.connection(), Happening("account-purged", now, account_id=account_id, by=by))
    audit.record(session, "identity.account.closed", actor=actor, object=("account", account_id))


def require_active(session: Session, account_id: str) -> AccountView:
    """The account, provided it may sign in; raises AccountClosed."""
    found = _view(_row(session, account_id))
    if found.status != "active":
        raise AccountClosed("Ask the city office how to use your account again.")
    return found


def _set_status(session: Session, account_id: str, status: str, action: str, actor: Actor, reason: str) -> None:
    row = _row(session, account_id)
    if row.status == "closed":
        raise AccountClosed("The person has left; the account can't come back.")
    row.status = status
    session.add(row)
    tx_of(session).touch("sessions")
    tx_of(session).touch("tokens")
    audit.record(
        session,
        action,
        actor=actor,
        object=("account", account_id),
        detail={"reason": reason} if reason else None,
    )


def _row(session: Session, account_id: str) -> Account:
    row = session.get(Account, account_id)
    if row is None:
        raise NotFound("There is no such account.")
    return row


def _view(row: Account) -> AccountView:
    return AccountView(
        id=row.id,
        kind="staff" if row.kind == "staff" else "resident",
        roles=frozenset(row.roles),
        status=row.status,
        created_at=row.created_at,
    )


def _pack(value: Profile) -> bytes:
    return orjson.dumps(asdict(value))


def _unpack(data: bytes) -> Profile:
    known = {field.name for field in fields(Profile)}
    return Profile(**{name: value for name, value in orjson.loads(data).items() if name in known})
