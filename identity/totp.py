"""Time-based one-time passwords (RFC 6238) from an app the resident already has.

SHA-1, 30 seconds, six digits: what every app reads. One step early or late is accepted for slow clocks and slow
fingers. A code is accepted once: the step it belongs to is stored in the same update that accepts it, and only a
later step is taken after that (RFC 6238 section 5.2, NIST SP 800-63B-4 section 3.1.5.2), so two browsers that
send one code at once get one yes. The secret is sealed under the resident's own data key.
"""

import hashlib
import hmac
from dataclasses import dataclass

from sqlmodel import col, select, update

from identity.errors_account import CodeRefused
from identity.models_account import Totp
from keys.envelope import Sealer
from kit import audit
from kit.clock import HOUR, Millis
from kit.db import Session
from kit.host import Actor

STEP_MS = 30_000
DIGITS = 6
WINDOW = 1
PENDING_FOR: Millis = HOUR


@dataclass(frozen=True, slots=True)
class SetUp:
    """What the resident needs once: as a picture (`uri`) and as text to type (`secret`)."""

    secret: str
    uri: str

    def qr_svg(self) -> str:
        """The QR code as an inline SVG without styles (strict CSP): dark modules on white, four modules of margin."""
        import segno

        drawn: str = segno.make(self.uri, error="m").svg_inline(
            scale=5, border=4, dark="#000", light="#fff", svgclass="qr", lineclass="qr-line", omitsize=True
        )  # a viewBox instead of a size: drawn smaller than life it is still whole
        return drawn

    def spaced(self) -> str:
        """The secret in groups of four, for reading aloud and typing."""
        return " ".join(self.secret[i : i + 4] for i in range(0, len(self.secret), 4))


def is_on(session: Session, account_id: str) -> bool:
    """Whether the account has a confirmed authenticator app."""
    return session.exec(
        select(Totp.account_id).where(Totp.account_id == account_id, col(Totp.confirmed_at).is_not(None))
    ).first() is not None  # fmt: skip


def set_up(
    session: Session,
    sealer: Sealer,
    account_id: str,
    *,
    secret: str,
    label: str,
    issuer: str,
    now: Millis,
    actor: Actor,
) -> SetUp:
    """The secret being set up: the one that waits, if there is one, so that reloading the page keeps the QR code.

    `secret` (from `new_secret`) is used when none waits. A confirmed secret stays valid until the new one is
    confirmed.
    """
    key = sealer.owner(session, account_id)
    row = session.get(Totp, account_id)
    if row is None:
        row = Totp(account_id=account_id)
    if row.pending is not None and row.pending_at is not None and now - row.pending_at < PENDING_FOR:
        secret = key.open(f"identity_totp|pending|{account_id}", row.pending).decode()
    else:
        row.pending = key.seal(f"identity_totp|pending|{account_id}", secret.encode())
        row.pending_at = now
        session.add(row)
        audit.record(session, "identity.totp.begun", actor=actor, object=("account", account_id))
    return _describe(secret, label, issuer)


def confirm(session: Session, sealer: Sealer, account_id: str, code: str, *, now: Millis, actor: Actor) -> None:
    """Turn the waiting secret on with a first right code; raises CodeRefused."""
    key = sealer.owner(session, account_id)
    row = session.get(Totp, account_id)
    if row is None or row.pending is None or row.pending_at is None or now - row.pending_at >= PENDING_FOR:
        raise CodeRefused("The set-up ran out of time. Start it again.")
    secret = key.open(f"identity_totp|pending|{account_id}", row.pending).decode()
    step = matching_step(secret, code, now=now)
    if step is None:
        raise CodeRefused("The code does not fit. Check that the phone's clock is set automatically.", pointer="/code")
    turn_on(session, sealer, account_id, secret=secret, now=now, actor=actor, last_step=step)


def turn_on(
    session: Session,
    sealer: Sealer,
    account_id: str,
    *,
    secret: str,
    now: Millis,
    actor: Actor,
    last_step: int = 0,
) -> None:
    """Store a confirmed secret (also how the demonstration city is made)."""
    row = session.get(Totp, account_id)
    if row is None:
        row = Totp(account_id=account_id)
    key = sealer.owner(session, account_id)
    row.secret = key.seal(f"identity_totp|secret|{account_id}", secret.encode())
    row.last_step, row.confirmed_at = last_step, now
    row.pending, row.pending_at = None, None
    session.add(row)
    session.flush()
    audit.record(session, "identity.totp.confirmed", actor=actor, object=("account", account_id))


def accept(session: Session, sealer: Sealer, account_id: str, code: str, *, now: Millis) -> bool:
    """Whether this code is right and was never accepted before. Says so at most once for each step."""
    row = session.exec(
        select(Totp.secret).where(Totp.account_id == account_id, col(Totp.confirmed_at).is_not(None))
    ).first()  # fmt: skip
    if row is None:
        return False
    secret = sealer.owner(session, account_id).open(f"identity_totp|secret|{account_id}", row).decode()
    step = matching_step(secret, code, now=now)
    if step is None:
        return False
    # The one statement that decides: of two transactions with the same code only one changes the row.
    taken = session.exec(
        update(Totp)
        .where(col(Totp.account_id) == account_id, col(Totp.last_step) < step)
        .values(last_step=step)
        .execution_options(synchronize_session=False)
    )
    return taken.rowcount == 1


def new_secret() -> str:
    """160 random bits in base32 (RFC 4226 section 4, R6)."""
    import pyotp

    return pyotp.random_base32(32)


def matching_step(secret: str, code: str, *, now: Millis) -> int | None:
    """The newest step within the window whose code this is. Every candidate is compared, in constant time."""
    typed = clean(code)
    if len(typed) != DIGITS or not typed.isascii() or not typed.isdigit():
        return None
    import pyotp

    generator = pyotp.TOTP(secret, digits=DIGITS, digest=hashlib.sha1, interval=STEP_MS // 1000)
    current = now // STEP_MS
    found: int | None = None
    for step in range(current - WINDOW, current + WINDOW + 1):
        if hmac.compare_digest(str(generator.generate_otp(step)), typed):
            found = step
    return found


def clean(code: str) -> str:
    """What was meant: full-width digits, blanks and hyphens are how phones and people write."""
    import unicodedata

    return unicodedata.normalize("NFKC", code).replace(" ", "").replace("-", "").strip()


def _describe(secret: str, label: str, issuer: str) -> SetUp:
    import pyotp

    uri = pyotp.TOTP(secret).provisioning_uri(name=label, issuer_name=issuer)
    return SetUp(secret=secret, uri=str(uri))
