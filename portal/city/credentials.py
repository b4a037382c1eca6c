"""What one needs to try the city: logins, passwords, TOTP secrets and client keys, made anew for each data directory.

Nothing here is a constant: two demonstrations share no password. The caller keeps them in a file of mode 0600.
"""

import secrets
from dataclasses import asdict, dataclass
from typing import Any

# Syllables that read and type alike in both languages; 12 of 63 make 71 bits.
_SYLLABLES = (  # noqa: SIM905  (sixty-three quoted syllables would be harder to read)
    "ka ki ku ke ko sa shi su se so ta chi tsu te to na ni nu ne no ha hi fu he ho ma mi mu me mo ya yu yo ra ri ru re "
    "ro wa ga gi gu ge go za ji zu ze zo da de do ba bi bu be bo pa pi pu pe po kai"
).split()


@dataclass(frozen=True, slots=True)
class Person:
    """One who can sign in."""

    login: str
    name: str
    account_id: str
    password: str
    totp_secret: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """One client, as its own developer knows it."""

    client_id: str
    member: str
    name: str
    agreement: str
    redirect_uri: str
    token_endpoint_auth_method: str
    client_secret: str | None = None
    private_jwk: dict[str, str] | None = None
    dpop: bool = False
    name_en: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Everything `sekisho demo` writes down, and `sekisho walk` reads."""

    issuer: str
    residents: dict[str, Person]
    staff: dict[str, Person]
    clients: dict[str, ClientKeys]

    def document(self) -> dict[str, Any]:
        """As JSON; only those who can sign in."""
        whole = asdict(self)
        whole["residents"] = {login: one for login, one in whole["residents"].items() if one["password"]}
        return whole


def new_password() -> str:
    """Four groups of three syllables, 71 bits: to be read from a screen and typed."""
    groups = ["".join(secrets.choice(_SYLLABLES) for _ in range(3)) for _ in range(4)]
    return "-".join(groups)
