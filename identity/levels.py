"""How sure we are who is there, said in two claims: `acr` and `amr`.

`acr` names the authentication assurance level that was really reached (NIST SP 800-63B-4, sections 2.1 to 2.3);
`amr` names the methods that were really used (RFC 8176, section 2). Both are derived from the facts of one
sign-in, never from what a client asked for or from what an account could have done.
Pure: no clock, no storage, no web.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

AAL1 = "urn:sekisho:aal:1"
AAL2 = "urn:sekisho:aal:2"
AAL3 = "urn:sekisho:aal:3"

#: Known levels, weakest first. A level that is not here satisfies nothing.
#: What CAEP 1.0 section 3.4 calls identity assurance levels.
IAL = "NIST-IAL"
ORDER: tuple[str, ...] = (AAL1, AAL2, AAL3)

Method = Literal["password", "totp", "recovery", "passkey"]


@dataclass(frozen=True, slots=True)
class Level:
    """What a session may claim about its authentication."""

    acr: str
    amr: tuple[str, ...]


def of(methods: Iterable[Method], *, key_stays_in_hardware: bool = True, trusted_hardware: bool = False) -> Level:
    """The level reached by these methods together.

    - password alone: level 1, `pwd`;
    - password and TOTP: level 2, `pwd otp mfa`;
    - password and a recovery code: level 2 (a look-up secret is something one has, SP 800-63B-4 section 3.1.2).
      RFC 8176 has no value for it, so only `pwd mfa`: `otp` would claim a method that was not used;
    - passkey with user verification: level 2 by itself, `hwk user mfa`, or `swk` when the key is synchronised
      between devices and so is not held by one piece of hardware;
    - the same is level 3 where the city trusts the hardware (`trusted_hardware`) and the key can't leave it: a synced
      key never is (section 2.3 and appendix B). Nothing here proves what hardware it is, so the city has to know.

    Raises ValueError.
    """
    used = frozenset(methods)
    if "passkey" in used:
        level = AAL3 if trusted_hardware and key_stays_in_hardware else AAL2
        return Level(level, ("hwk" if key_stays_in_hardware else "swk", "user", "mfa"))
    if "password" not in used:
        # A code by itself proves too little to be a sign-in; nobody should get here.
        raise ValueError("a sign-in needs a password or a passkey")
    if "totp" in used:
        return Level(AAL2, ("pwd", "otp", "mfa"))
    if "recovery" in used:
        return Level(AAL2, ("pwd", "mfa"))
    return Level(AAL1, ("pwd",))


def of_certificate(acr: str, *, key: str, pin: bool) -> Level:
    """The level of a certificate, as the operator answers for its authority's keys.

    Where the key is (`software`, `hardware`, `smart-card`) and whether it asks for its PIN is what the authority
    promises; a TLS handshake proves that the key was used, and nothing else.
    """
    kind = {"software": "swk", "hardware": "hwk", "smart-card": "sc"}[key]
    return Level(acr, (kind, "pin", "mfa") if pin else (kind,))


#: RFC 8176 section 2. What an upstream calls otherwise says nothing to those who read our tokens.
_METHODS = frozenset(
    {
        "face", "fpt", "geo", "hwk", "iris", "kba", "mca", "mfa", "otp", "pin", "pop", "pwd", "rba", "retina", "sc",
        "sms", "swk", "tel", "user", "vbm", "wia",
    }
)  # fmt: skip


def told(acr: str, amr: Iterable[object]) -> Level:
    """A level that an upstream answers for, with the methods it says it used, as far as RFC 8176 knows them.

    Raises ValueError.
    """
    if acr not in ORDER:
        raise ValueError("not a level of ours")
    return Level(acr, tuple(sorted({method for method in amr if isinstance(method, str)} & _METHODS)))


def change(before: str, after: str) -> dict[str, str]:
    """A change between two known levels, as CAEP 1.0 section 3.4 says it."""
    return _change("aal", rank(before), rank(after))


def identity_change(before: int, after: int) -> dict[str, str]:
    """The same of identity assurance (IAL); 0 is not verified."""
    return _change("ial", before, after)


def _change(what: str, before: int, after: int) -> dict[str, str]:
    def name(level: int) -> str:
        return f"nist-{what}{level}" if level else "none"

    return {
        "namespace": IAL if what == "ial" else "NIST-AAL",
        "current_level": name(after),
        "previous_level": name(before),
        "change_direction": "increase" if after > before else "decrease",
    }


def rank(acr: str) -> int:
    """A level as a number from 1; 0 for an unknown name."""
    return ORDER.index(acr) + 1 if acr in ORDER else 0


def reachable(*, trusted_hardware: bool) -> tuple[str, ...]:
    """The levels somebody can sign in at here."""
    return ORDER if trusted_hardware else ORDER[:2]


def satisfies(acr: str, required: str) -> bool:
    """Whether a session at `acr` meets a policy that requires `required`; unknown names never do."""
    if acr not in ORDER or required not in ORDER:
        return False
    return ORDER.index(acr) >= ORDER.index(required)


def satisfies_any(acr: str, wanted: Iterable[str]) -> bool:
    """Whether a session at `acr` meets at least one of `acr_values` (OpenID Connect Core, section 3.1.2.1)."""
    return any(satisfies(acr, value) for value in wanted)
