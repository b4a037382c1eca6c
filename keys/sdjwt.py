"""SD-JWT verifiable credentials: issue, present, verify (RFC 9901; draft-ietf-oauth-sd-jwt-vc). Pure.

An SD-JWT is a JWT in which chosen claims are replaced by digests, and the disclosures that open them
beside it, parted by tildes. The holder passes on only the disclosures somebody needs. What can be
disclosed is named by claim name, or by JSON pointer for a member or element deeper inside. Salts come
from the caller, so that an issue can be repeated byte for byte.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Protocol

import orjson

from keys.errors import BadToken
from keys.jose import verify_with_jwks
from kit.encoding import b64url, b64url_decode

TYP: Final = "dc+sd-jwt"  # SD-JWT VC section 2.2.1
ALGS: Final = ("EdDSA", "ES256")
# SD-JWT VC section 2.2.2.2: never selectively disclosable.
ALWAYS_SHOWN: Final = frozenset({"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"})

_RESERVED = frozenset({"_sd", "...", "_sd_alg"})
_MIN_SALT = 22  # 128 bits in base64url (RFC 9901 section 9.3)
_MAX_SIZE = 65_536
_MAX_DISCLOSURES = 256
_MAX_DEPTH = 16


class SignJwt(Protocol):
    """Signs a payload as a JWT of a type; `KeyRing.sign_jwt` is one."""

    def __call__(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """The compact JWT."""
        ...


def issue(
    claims: Mapping[str, Any],
    disclosable: Collection[str],
    *,
    sign: SignJwt,
    vct: str,
    typ: str = TYP,
    salts: Callable[[str], str],
) -> str:
    """An SD-JWT VC with every disclosure. `salts` gives a fresh base64url salt of 128 bits for each name.

    Raises ValueError for a name that is not there, must always be shown, or is reserved.
    """
    payload = json.loads(orjson.dumps({**claims, "vct": vct}))
    _refuse_reserved(payload)
    disclosures: list[str] = []
    seen: set[str] = set()
    # Deepest first: a parent's disclosure holds its children's digests (RFC 9901 section 4.2.6).
    for name in sorted(disclosable, key=lambda name: (-name.count("/"), name)):
        path = name[1:].split("/") if name.startswith("/") else [name]
        parts = [part.replace("~1", "/").replace("~0", "~") for part in path] if name.startswith("/") else path
        if len(parts) == 1 and parts[0] in ALWAYS_SHOWN:
            raise ValueError(f"{parts[0]} is always shown")
        salt = salts(name)
        if len(salt) < _MIN_SALT or salt in seen:
            raise ValueError("every salt has 128 bits and is used once")
        b64url_decode(salt)
        seen.add(salt)
        disclosures.append(_hide(payload, parts, salt))
    _sort_digests(payload)
    if disclosures:
        payload["_sd_alg"] = "sha-256"
    return "~".join([sign(payload, typ=typ), *disclosures, ""])


def present(sd_jwt: str, keep: Callable[[str | None, Any], bool]) -> str:
    """The credential with some disclosures: `keep(claim name, or None for an element, value)` decides."""
    token, disclosures = _split(sd_jwt)
    kept = [text for text in disclosures if keep(*_read_disclosure(text)[1:])]
    return "~".join([token, *kept, ""])


def verify(sd_jwt: str, key: Mapping[str, Any], *, typ: str = TYP) -> dict[str, Any]:
    """The disclosed claims of a credential signed by `key` (a JWK, or a key set); raises BadToken.

    RFC 9901 section 7.1, steps by number. Times are not checked here. A key binding JWT is refused: what we
    issue is not bound to a holder's key.
    """
    token, disclosures = _split(sd_jwt)  # step 1
    keys = key if "keys" in key else {"keys": [key]}
    _, payload = verify_with_jwks(token, keys, algs=ALGS, typ=typ)  # step 2
    if payload.pop("_sd_alg", "sha-256") != "sha-256":  # step 2.d
        raise BadToken(private="the digest algorithm is not sha-256")
    if not isinstance(payload.get("vct"), str):
        raise BadToken(private="a credential has a vct")
    by_digest: dict[str, tuple[str | None, Any]] = {}
    for text in disclosures:
        digest = _digest(text)
        if digest in by_digest:
            raise BadToken(private="a disclosure is sent twice")
        _, name, value = _read_disclosure(text)
        by_digest[digest] = (name, value)
    used: set[str] = set()
    claims = _open(payload, by_digest, used, depth=0, top=True)  # step 3
    if used & by_digest.keys() != by_digest.keys():  # step 5
        raise BadToken(private="a disclosure belongs to nothing")
    assert isinstance(claims, dict)
    return claims


def _hide(payload: Any, parts: list[str], salt: str) -> str:
    """Replace one claim or element by its digest; returns the disclosure."""
    parent = payload
    for part in parts[:-1]:
        parent = _step(parent, part)
    last = parts[-1]
    if isinstance(parent, list):
        index = _index(parent, last)
        disclosure = b64url(orjson.dumps([salt, parent[index]]))
        parent[index] = {"...": _digest(disclosure)}
    elif isinstance(parent, dict) and last in parent and last not in _RESERVED:
        disclosure = b64url(orjson.dumps([salt, last, parent.pop(last)]))
        parent.setdefault("_sd", []).append(_digest(disclosure))
    else:
        raise ValueError(f"there is no claim {'/'.join(parts)}")
    return disclosure


def _step(value: Any, part: str) -> Any:
    if isinstance(value, list):
        return value[_index(value, part)]
    if isinstance(value, dict) and part in value:
        return value[part]
    raise ValueError(f"there is no claim {part}")


def _index(value: list[Any], part: str) -> int:
    if not part.isdecimal() or int(part) >= len(value):
        raise ValueError(f"there is no element {part}")
    return int(part)


def _refuse_reserved(value: Any) -> None:
    if isinstance(value, dict):
        if _RESERVED & value.keys():
            raise ValueError("_sd, _sd_alg and ... are reserved names")
        for item in value.values():
            _refuse_reserved(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_reserved(item)


def _sort_digests(value: Any) -> None:
    """Order digests by themselves, so that their order tells nothing (RFC 9901 section 4.2.4.1)."""
    if isinstance(value, dict):
        if "_sd" in value:
            value["_sd"].sort()
        for item in value.values():
            _sort_digests(item)
    elif isinstance(value, list):
        for item in value:
            _sort_digests(item)


def _digest(disclosure: str) -> str:
    return b64url(hashlib.sha256(disclosure.encode()).digest())


def _split(sd_jwt: str) -> tuple[str, list[str]]:
    if len(sd_jwt) > _MAX_SIZE or not sd_jwt.isascii():
        raise BadToken(private="not an SD-JWT")
    token, *rest = sd_jwt.split("~")
    if not rest or rest[-1] != "":
        raise BadToken(private="not an SD-JWT without key binding: it ends in a tilde")
    if len(rest) - 1 > _MAX_DISCLOSURES:
        raise BadToken(private="too many disclosures")
    return token, rest[:-1]


def _read_disclosure(text: str) -> tuple[str, str | None, Any]:
    try:
        value = json.loads(b64url_decode(text))
    except (ValueError, RecursionError) as error:
        raise BadToken(private="a disclosure does not parse") from error
    if not isinstance(value, list) or len(value) not in (2, 3) or not isinstance(value[0], str):
        raise BadToken(private="a disclosure is a salt, perhaps a name, and a value")
    if len(value) == 2:
        return value[0], None, value[1]
    if not isinstance(value[1], str) or value[1] in _RESERVED:
        raise BadToken(private="a disclosure has a reserved name")
    return value[0], value[1], value[2]


Disclosed = Mapping[str, tuple[str | None, Any]]


def _open(value: Any, by_digest: Disclosed, used: set[str], *, depth: int, top: bool = False) -> Any:
    """Put disclosed values where their digests stand (step 3.c), refusing what does not fit."""
    if depth > _MAX_DEPTH:
        raise BadToken(private="nested too deeply")
    if isinstance(value, list):
        return [item for raw in value for item in _open_element(raw, by_digest, used, depth=depth)]
    if not isinstance(value, dict):
        return value
    if "..." in value:
        raise BadToken(private="an element digest outside a list")
    found = {name: _open(item, by_digest, used, depth=depth + 1) for name, item in value.items() if name != "_sd"}
    digests = value.get("_sd", [])
    if not isinstance(digests, list):
        raise BadToken(private="_sd is not a list")
    for digest in digests:
        name, item = _take(digest, by_digest, used)
        if item is _ABSENT:
            continue
        if name is None or name in found or (top and name in ALWAYS_SHOWN):
            raise BadToken(private="a disclosure does not fit its place")
        found[name] = _open(item, by_digest, used, depth=depth + 1)
    return found


def _open_element(raw: Any, by_digest: Disclosed, used: set[str], *, depth: int) -> list[Any]:
    if not (isinstance(raw, dict) and "..." in raw):
        return [_open(raw, by_digest, used, depth=depth + 1)]
    if len(raw) != 1:
        raise BadToken(private="an element digest has company")
    name, item = _take(raw["..."], by_digest, used)
    if item is _ABSENT:
        return []
    if name is not None:
        raise BadToken(private="a disclosure does not fit its place")
    return [_open(item, by_digest, used, depth=depth + 1)]


_ABSENT: Final = object()


def _take(digest: Any, by_digest: Disclosed, used: set[str]) -> tuple[str | None, Any]:
    if not isinstance(digest, str) or digest in used:  # step 4: no digest twice, disclosed or not
        raise BadToken(private="a digest is not text or appears twice")
    used.add(digest)
    return by_digest.get(digest, (None, _ABSENT))
