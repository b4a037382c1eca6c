"""Recovery codes: ten look-up secrets on paper, each good for one sign-in (NIST SP 800-63B-4, section 3.1.2).

Fifty random bits each, in Crockford's base32 (no I, L, O or U to misread), as two groups of five. Kept as keyed
hashes only; a new set replaces the old one; a code is spent by the very update that accepts it (invariant I7).
"""

import secrets
import unicodedata

from sqlmodel import col, delete, select, update

from identity.models_account import RecoveryCode
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import Millis
from kit.db import Session
from kit.host import Actor
from kit.ids import new_id

HOW_MANY = 10
_LENGTH = 10
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base32
_MEANT = str.maketrans("ILOU", "110V")


def new_codes() -> tuple[str, ...]:
    """Ten fresh codes, as they are shown."""
    codes = ("".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)) for _ in range(HOW_MANY))
    return tuple(f"{code[:5]}-{code[5:]}" for code in codes)


def replace(
    session: Session, hasher: TokenHasher, account_id: str, codes: tuple[str, ...], *, now: Millis, actor: Actor
) -> None:
    """Make these the account's codes; every earlier one stops working."""
    session.exec(delete(RecoveryCode).where(col(RecoveryCode.account_id) == account_id))
    for code in codes:
        session.add(
            RecoveryCode(
                id=new_id("rcv"), account_id=account_id, code_hash=_digest(hasher, account_id, code), created_at=now
            )
        )
    session.flush()
    audit.record(
        session,
        "identity.recovery.issued",
        actor=actor,
        object=("account", account_id),
        detail={"count": len(codes)},
    )


def accept(session: Session, hasher: TokenHasher, account_id: str, code: str, *, now: Millis) -> bool:
    """Spend a code: True at most once for each, whoever asks and however many at once."""
    if len(clean(code)) != _LENGTH:
        return False
    spent = session.exec(
        update(RecoveryCode)
        .where(
            col(RecoveryCode.account_id) == account_id,
            col(RecoveryCode.code_hash) == _digest(hasher, account_id, code),
            col(RecoveryCode.used_at).is_(None),
        )
        .values(used_at=now)
        .execution_options(synchronize_session=False)
    )
    return spent.rowcount == 1


def fits(session: Session, hasher: TokenHasher, account_id: str, code: str) -> bool:
    """Whether a code would be accepted. It is not spent."""
    query = select(RecoveryCode.id).where(
        RecoveryCode.account_id == account_id,
        RecoveryCode.code_hash == _digest(hasher, account_id, code),
        col(RecoveryCode.used_at).is_(None),
    )
    return session.exec(query).first() is not None


def left(session: Session, account_id: str) -> int:
    """How many codes still work."""
    query = select(RecoveryCode.id).where(RecoveryCode.account_id == account_id, col(RecoveryCode.used_at).is_(None))
    return len(session.exec(query).all())


def clean(code: str) -> str:
    """What was meant: any case, any width, with or without the hyphen, and the letters Crockford left out."""
    typed = unicodedata.normalize("NFKC", code).upper()
    typed = "".join(char for char in typed if not char.isspace() and char not in "-‐‑–—ー−")
    return typed.translate(_MEANT)


def _digest(hasher: TokenHasher, account_id: str, code: str) -> bytes:
    return hasher.digest("recovery", f"{account_id}|{clean(code)}")
