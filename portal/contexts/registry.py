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
    wrong = {
        "assertion_issuers": "1行に1つ、発行者と、空白に続けて鍵のアドレス（https）を書いてください。10件までです。"
    }
    return [
        Sample("console/client_policy.html", "some", policy, viewer="operator"),
        Sample("console/client_policy.html", "wrong", replace(policy, errors=wrong), viewer="operator"),
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
