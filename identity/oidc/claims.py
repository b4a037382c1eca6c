"""Claims about a resident: which a scope asks for, which the `claims` parameter asks for one by one.

OpenID Connect Core sections 5.1, 5.4, 5.5 and 5.5.1. What is not known here is left out, essential or not (section
5.5.1: not an error); `acr` and `sub` alone can fail a request. Pure.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from identity.accounts import Profile
from identity.assurance import verified_request
from identity.assurance.verified_request import Asked
from identity.oauth.errors import InvalidRequest
from kit.clock import SECOND

MAX_BYTES = 8192
OF_SCOPE: dict[str, tuple[str, ...]] = {
    "profile": (
        "name", "family_name", "given_name", "name#ja-Kana-JP", "family_name#ja-Kana-JP", "given_name#ja-Kana-JP",
        "nickname", "gender", "birthdate", "locale", "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}  # fmt: skip
#: How a grant remembers one claim.
MARK = "claim:"
VERIFIED = "verified_claims"
#: In the order of the table: also what the metadata says can come (`claims_supported`).
ALL = tuple(name for names in OF_SCOPE.values() for name in names)
KNOWN = frozenset(ALL)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The `claims` parameter, as far as it means something here."""

    userinfo: tuple[str, ...] = ()
    id_token: tuple[str, ...] = ()
    subject: str | None = None
    acr_values: tuple[str, ...] = ()
    acr_essential: bool = False
    userinfo_verified: tuple[Asked, ...] = ()
    id_token_verified: tuple[Asked, ...] = ()


def read(text: str | None) -> Wanted:
    """Parse the parameter (section 5.5); raises InvalidRequest."""
    if text is None:
        return Wanted()
    if len(text) > MAX_BYTES:
        raise InvalidRequest("claims is too large")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidRequest("claims is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidRequest("claims must be a JSON object")
    verified = [_verified(value, name) for name in ("userinfo", "id_token")]
    userinfo, id_token = _member(value, "userinfo"), _member(value, "id_token")
    acr = id_token.get("acr") or {}
    return Wanted(
        userinfo=tuple(sorted(KNOWN & userinfo.keys())),
        id_token=tuple(sorted(KNOWN & id_token.keys())),
        subject=_subject(userinfo, id_token),
        acr_values=_values(acr),
        acr_essential=acr.get("essential") is True,
        userinfo_verified=verified[0],
        id_token_verified=verified[1],
    )


def names_of(scopes: frozenset[str]) -> frozenset[str]:
    """The claims that scopes ask for (section 5.4)."""
    return frozenset(name for scope in scopes for name in OF_SCOPE.get(scope, ()))


def marks(scopes: frozenset[str], names: tuple[str, ...]) -> tuple[str, ...]:
    """How a grant remembers claims that no scope of it covers: `claim:<name>`."""
    return tuple(f"{MARK}{name}" for name in sorted(set(names) - names_of(scopes)))


def told(profile: Profile, names: frozenset[str]) -> dict[str, Any]:
    """The values of claims; only what the resident has told us is said (section 5.3.2: absent ones are left out)."""
    said: dict[str, Any] = {
        "name": profile.name,
        "family_name": profile.family_name,
        "given_name": profile.given_name,
        "name#ja-Kana-JP": profile.name_kana,
        "family_name#ja-Kana-JP": profile.family_name_kana,
        "given_name#ja-Kana-JP": profile.given_name_kana,
        "nickname": profile.nickname,
        "gender": profile.gender,
        "birthdate": profile.birthdate,
        "locale": profile.locale,
        "updated_at": profile.updated_at // SECOND or None,
        "email": profile.email,
        "email_verified": profile.email_verified if profile.email else None,
        "address": {"formatted": profile.address} if profile.address else None,
        "phone_number": profile.phone,
        "phone_number_verified": profile.phone_verified if profile.phone else None,
    }
    return {name: value for name, value in said.items() if name in names and value is not None and value != ""}


def _member(value: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    member = value.get(name)
    if member is None:
        return {}
    if not isinstance(member, dict):
        raise InvalidRequest(f"{name} of claims must be an object of null or objects")
    single = {claim: asked for claim, asked in member.items() if claim != VERIFIED}
    if not all(one is None or isinstance(one, dict) for one in single.values()):
        raise InvalidRequest(f"{name} of claims must be an object of null or objects")
    return {claim: asked or {} for claim, asked in single.items()}


def _verified(value: dict[str, Any], name: str) -> tuple[Asked, ...]:
    """What is asked of a clerk's verification: a language of its own (OpenID Connect for Identity Assurance 5.3)."""
    member = value.get(name)
    return verified_request.read(member.get(VERIFIED)) if isinstance(member, dict) else ()


def _subject(*members: dict[str, dict[str, Any]]) -> str | None:
    """Section 5.5.1: a certain `sub` is asked for, and nobody else will do."""
    for member in members:
        value = member.get("sub", {}).get("value")
        if value is not None:
            return str(value)
    return None


def _values(asked: dict[str, Any]) -> tuple[str, ...]:
    values = asked["values"] if isinstance(asked.get("values"), list) else [asked.get("value")]
    return tuple(str(value)[:200] for value in values[:10] if value is not None)
