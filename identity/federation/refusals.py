"""Why an entity is not trusted: one exception, with a stable word for pages and a code for the wire. Pure.

Codes are those of OpenID Federation 1.0 section 8.9; a word says which rule it was, so that an operator who asks
"why is this chain refused" reads the rule and not a stack trace.
"""

from typing import Literal

Code = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_issuer",
    "invalid_subject",
    "invalid_trust_anchor",
    "invalid_trust_chain",
    "invalid_metadata",
    "not_found",
    "temporarily_unavailable",
    "unsupported_parameter",
]

#: Section 8.9: the status beside each code.
STATUS: dict[str, int] = {
    "invalid_request": 400,
    "invalid_client": 401,
    "invalid_issuer": 404,
    "invalid_subject": 404,
    "invalid_trust_anchor": 404,
    "invalid_trust_chain": 400,
    "invalid_metadata": 400,
    "not_found": 404,
    "temporarily_unavailable": 503,
    "unsupported_parameter": 400,
}


class Refused(Exception):
    """An entity, a chain, a policy or a mark that is not accepted.

    `word` is stable (`expired`, `loop`, `policy-merge` …); `detail` names the statement or parameter and holds nothing
    but what its author published anyway.
    """

    def __init__(self, code: Code, word: str, detail: str) -> None:
        super().__init__(f"{word}: {detail}")
        self.code: Code = code
        self.word = word
        self.detail = detail


def chain(word: str, detail: str) -> Refused:
    """A chain that does not hold (sections 3.2, 4, 6.2 and 10.2)."""
    return Refused("invalid_trust_chain", word, detail)


def policy(word: str, detail: str) -> Refused:
    """A policy error, or metadata that does not keep a policy (section 6.1)."""
    return Refused("invalid_metadata", word, detail)
