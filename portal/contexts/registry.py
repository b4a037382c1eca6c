"""The console's pages about who may register and ask: a request gone through, leave to register clients."""

from dataclasses import dataclass, replace

from kit.clock import DAY, Millis
from portal.contexts import Sample
from portal.contexts.console import Choice


@dataclass(frozen=True)
class RuleLine:
    """One rule: kept, broken (`code`: what the service is told), or not come to."""

    name: str
    state: str  # kept | broken | skipped
    code: str
    detail: str


@dataclass(frozen=True)
class RequestTest:
    """console/request.html: paste a request, read why it would be accepted or refused."""

    text: str
    pushed: bool
    verdict: str  # "" | accepted | refused
    told: str  # page | client
    code: str
    detail: str
    asks: tuple[str, ...]  # what the resident would be asked for
    rules: tuple[RuleLine, ...]


@dataclass(frozen=True)
class TokenLine:
    """Leave to register clients, without its secret."""

    id: str
    member: str
    scopes: tuple[str, ...]
    uses_left: int
    expires_at: Millis


@dataclass(frozen=True)
class RegistrationTokens:
    """console/registration_tokens.html: those that can still be used, and the form for another."""

    mode: str  # token | open | off
    tokens: tuple[TokenLine, ...]
    values: dict[str, str]
    members: tuple[Choice, ...]
    errors: dict[str, str]


@dataclass(frozen=True)
class NewRegistrationToken:
    """console/registration_token.html: shown this once."""

    token: str
    address: str
    member: str
    uses: int
    expires_at: Millis


@dataclass(frozen=True)
class ClientPolicy:
    """console/client_policy.html: what an operator lets a client do for others."""

    id: str
    name: str
    values: dict[str, str]
    errors: dict[str, str]


@dataclass(frozen=True)
class KeyLine:
    """One public key of a client, by its thumbprint (RFC 7638)."""

    thumbprint: str
    kid: str
    kind: str
    former: bool
    used_at: Millis | None


@dataclass(frozen=True)
class WaitingChange:
    """New keys, or a new secret, that one operator asked for. `mine`: the reader did."""

    id: str
    kind: str  # keys | secret
    who: str
    mine: bool
    keys: tuple[KeyLine, ...]
    jwks_uri: str
    overlap: int
    expires_at: Millis


@dataclass(frozen=True)
class ClientKeyPage:
    """console/client_keys.html: what a client proves itself with, when it did last, and the form for other keys."""

    id: str
    name: str
    method: str
    jwks_uri: str
    keys: tuple[KeyLine, ...]
    former_uri: str
    former_until: Millis | None
    waiting: WaitingChange | None
    by_two: bool
    values: dict[str, str]
    errors: dict[str, str]


@dataclass(frozen=True)
class ClientKeyChange:
    """console/client_keys_change.html: what a change of keys would do, before it is done."""

    id: str
    name: str
    jwks: str
    jwks_uri: str
    overlap: str
    coming: tuple[KeyLine, ...]
    going: tuple[KeyLine, ...]
    former_uri: str
    ends_former: bool
    by_two: bool


@dataclass(frozen=True)
class NewSecret:
    """console/client_secret_new.html: what a new secret would do, before it is made."""

    id: str
    name: str
    overlap: str
    former_until: Millis | None
    by_two: bool


_NOW = 1_795_312_800_000
_RULES = (
    RuleLine("read", "kept", "", ""),
    RuleLine("client", "kept", "", ""),
    RuleLine("address", "broken", "invalid_request", "redirect_uri is not registered for this client"),
    RuleLine("read_challenge", "broken", "invalid_request", "code_challenge is required (S256)"),
    RuleLine("grant", "skipped", "", ""),
)


def samples() -> list[Sample]:
    """Nothing pasted yet, each verdict; no tokens, some, the form with its mistakes, a new one."""
    address = (
        "https://id.minatohama.example/oauth/authorize?response_type=code&client_id=minatohama-transit&scope=openid"
    )
    empty = RequestTest("", False, "", "", "", "", (), ())
    refused = replace(
        empty, text=address, verdict="refused", told="page", code="invalid_request",
        detail="redirect_uri is not registered for this client", rules=_RULES,
    )  # fmt: skip
    accepted = replace(
        empty, text=address, verdict="accepted", asks=("openid", "profile"),
        rules=tuple(replace(one, state="kept", code="", detail="") for one in _RULES),
    )  # fmt: skip
    line = TokenLine("irt_01m7zz8rq3c4e5f6g7h8j9k0mn", "湊浜交通株式会社", ("openid", "profile"), 3, _NOW + 20 * DAY)
    members = (Choice("mem_2", "湊浜交通株式会社", False),)
    tokens = RegistrationTokens("token", (line, replace(line, id="irt_2", member="", uses_left=1)), {}, members, {})
    made = NewRegistrationToken(
        "sit_3vq0Zk1mS8dN2xJ5wT7yB4cF6hL9pR0aE1gU3iO5qKs", "https://id.minatohama.example/oauth/register",
        line.member, 3, line.expires_at,
    )  # fmt: skip
    policy = ClientPolicy(
        "minatohama-transit", "しおかぜバス乗換案内",
        {"exchange_audiences": "https://records.example", "exchange_scope": "read", "delivery": "poll"}, {},
    )  # fmt: skip
    keys = (
        KeyLine("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", "2026-11", "EC P-256", False, _NOW),
        KeyLine("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "", "RSA 2048", True, _NOW - 40 * DAY),
        KeyLine("cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s", "next", "OKP Ed25519", False, None),
    )
    asked = WaitingChange("chg_1", "keys", "高橋 健一", False, keys[2:], "", 86_400, _NOW + 7 * DAY)
    key_page = ClientKeyPage(
        "minatohama-transit", "しおかぜバス乗換案内", "private_key_jwt", "", keys, "", _NOW + DAY, None, False, {}, {}
    )
    change = ClientKeyChange(
        key_page.id, key_page.name, "{}", "", "86400", keys[2:], keys[:2], "", ends_former=True, by_two=False
    )
    there = "https://planner.transit.minatohama.example/jwks.json"
    two = replace(key_page, waiting=asked, by_two=True)
    secret = replace(asked, kind="secret", keys=(), mine=True, overlap=0)
    new_secret = NewSecret(key_page.id, key_page.name, "86400", None, False)
    wrong = {
        "assertion_issuers": "1行に1つ、発行者と、空白に続けて鍵のアドレス（https）を書いてください。10件までです。"
    }
    return [
        Sample("console/client_policy.html", "some", policy, viewer="operator"),
        Sample("console/client_policy.html", "wrong", replace(policy, errors=wrong), viewer="operator"),
        Sample("console/client_keys.html", "some", key_page, viewer="operator"),
        Sample("console/client_keys.html", "two", two, viewer="operator"),
        Sample(
            "console/client_keys.html",
            "elsewhere",
            replace(
                two,
                keys=(),
                jwks_uri=there,
                former_until=None,
                waiting=secret,
                errors={"jwks": "公開鍵だけのJWK Setを書いてください。"},
            ),
            viewer="operator",
        ),
        Sample("console/client_keys_change.html", "some", change, viewer="operator"),
        Sample(
            "console/client_keys_change.html",
            "address",
            replace(change, jwks_uri=there, going=(), overlap="0", ends_former=False, by_two=True),
            viewer="operator",
        ),
        Sample("console/client_secret_new.html", "some", new_secret, viewer="operator"),
        Sample(
            "console/client_secret_new.html",
            "two",
            replace(new_secret, former_until=_NOW, by_two=True),
            viewer="operator",
        ),
        Sample("console/request.html", "empty", empty, viewer="operator"),
        Sample("console/request.html", "refused", refused, viewer="operator"),
        Sample("console/request.html", "told", replace(refused, told="client", pushed=True), viewer="operator"),
        Sample("console/request.html", "accepted", accepted, viewer="operator"),
        Sample("console/registration_tokens.html", "some", tokens, viewer="operator"),
        Sample("console/registration_tokens.html", "off", replace(tokens, mode="off", tokens=()), viewer="operator"),
        Sample(
            "console/registration_tokens.html",
            "wrong",
            replace(
                tokens,
                mode="open",
                tokens=(),
                values={"uses": "0"},
                errors={"uses": "1から1000までの数を書いてください。"},
            ),
            viewer="operator",
        ),
        Sample("console/registration_token.html", "made", made, viewer="operator"),
    ]
