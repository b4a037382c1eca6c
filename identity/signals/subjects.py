"""The subjects a receiver names: read, and turned into what is compared. Pure.

RFC 9493 section 3 (identifier formats), SSF 1.0 sections 3.3 (complex subjects) and 8.1.3.1 (matching). Known here are
`iss_sub` with our issuer, `email`, and `complex` of `user` and `session`. What a receiver says is never looked up among
residents: it is kept as a keyed hash and compared with what an event would be told about. So an add or a remove is the
same work and the same answer whoever it names, and says nothing about anybody (section 9.1, subject probing).
"""

from collections.abc import Mapping
from typing import Any, Final

from identity.errors import SignalRefused

_LONGEST: Final = 400


def read(value: Any, issuer: str, *, pointer: str = "/subject") -> tuple[str, ...]:
    """What to compare: one text for a simple subject, one for each member of a complex one. Raises SignalRefused."""
    if not isinstance(value, dict):
        raise SignalRefused("Send a subject identifier (RFC 9493).", pointer=pointer)
    kind = value.get("format")
    if kind == "complex":
        members = {name: member for name, member in value.items() if name != "format"}
        if not members or not members.keys() <= {"user", "session"}:
            raise SignalRefused("A complex subject has a user, a session, or both here.", pointer=pointer)
        found = []
        for name, member in sorted(members.items()):
            if name == "session":
                found.append(session(_text(member, "opaque", "id", pointer=f"{pointer}/session")))
            else:
                found += read(member, issuer, pointer=f"{pointer}/user")
        return tuple(found)
    if kind == "iss_sub":
        if value.get("iss") != issuer:
            raise SignalRefused("iss must be this issuer.", pointer=f"{pointer}/iss")
        return (person(_text(value, "iss_sub", "sub", pointer=pointer)),)
    if kind == "email":
        return (email(_text(value, "email", "email", pointer=pointer)),)
    raise SignalRefused("Name a subject as iss_sub, email or complex.", pointer=f"{pointer}/format")


def person(sub: str) -> str:
    """The receiver's own name of a resident."""
    return f"sub|{sub}"


def session(sid: str) -> str:
    """The receiver's own name of a session."""
    return f"sid|{sid}"


def is_session(name: str) -> bool:
    """Whether it is a session's name, not a person's."""
    return name.startswith("sid|")


def email(address: str) -> str:
    """An address; its domain is compared without case (RFC 9493 section 3.2.2)."""
    local, _, domain = address.strip().rpartition("@")
    return f"email|{local}@{domain.lower()}"


def _text(value: Any, kind: str, name: str, *, pointer: str) -> str:
    text = value.get(name) if isinstance(value, Mapping) and value.get("format") == kind else None
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST:
        raise SignalRefused(f"Send {name} of at most {_LONGEST} characters, with the format {kind}.", pointer=pointer)
    return text
