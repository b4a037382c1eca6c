"""A trust chain: from an entity's word about itself to a trust anchor the operator chose. Pure.

OpenID Federation 1.0 sections 4, 6.2, 10.2 and 10.4. Statements in, a `Chain` or a reason out; fetching them is
`discovery`'s business, and a chain that was sent along is judged by the very same rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from identity.federation import constraints, policy
from identity.federation.policy import Metadata
from identity.federation.refusals import Refused, chain
from identity.federation.statements import Statement, prove, read
from kit.clock import Millis

#: Statements in a chain: the subject, eight below each other, the anchor.
LONGEST = 10
Anchors = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that held. `metadata` is the subject's, after constraints and policies."""

    subject: str
    anchor: str
    superior: str
    statements: tuple[Statement, ...]
    metadata: Metadata
    expires_at: Millis

    @property
    def configuration(self) -> Statement:
        """The subject's own statement."""
        return self.statements[0]

    @property
    def tokens(self) -> list[str]:
        """As it goes into a `trust_chain` (section 4.3)."""
        return [statement.token for statement in self.statements]

    def of(self, kind: str) -> dict[str, Any]:
        """The resolved metadata of one entity type; raises Refused where the chain gives none."""
        if kind not in self.metadata:
            raise Refused("invalid_metadata", "entity-type", f"{self.subject} is no {kind} in this federation")
        return self.metadata[kind]


def validate(
    tokens: Sequence[object], anchors: Anchors, now: Millis, *, subject: str | None = None, aud: str | None = None
) -> Chain:
    """The chain, if it holds; raises Refused. `anchors` are the operator's, with the keys that came out of band.

    `aud`: its first statement is an explicit registration request to that entity (section 3.1.4).

    The anchor's own configuration may be missing at the end (section 4): then its known keys prove the last statement.
    """
    if not 0 < len(tokens) <= LONGEST:
        raise chain("length", f"a chain has one to {LONGEST} statements")
    statements = (read(tokens[0], now, aud=aud), *(read(token, now) for token in tokens[1:]))
    first, last = statements[0], statements[-1]
    if not first.about_itself:
        raise chain("order", "a chain begins with its subject's entity configuration")
    if subject is not None and first.sub != subject:
        raise chain("subject", f"the chain is about {first.sub}, not about {subject}")
    anchor = last.iss
    if anchor not in anchors:
        # Whoever signs a chain to the end could sign any chain: only the operator's list makes an anchor.
        raise Refused("invalid_trust_anchor", "anchor", f"{anchor} is not a trust anchor here")
    _check_order(statements)
    keys = anchors[anchor]
    if last.about_itself:
        prove(last, keys, f"the trust anchor {anchor}, as the operator knows it")
        keys = last.jwks  # section 11.2: what the known keys vouch for may be newer than them
    # The anchor's statement is proved first and the subject's last: nobody's keys are used before they are vouched for.
    for number in range(len(statements) - (2 if last.about_itself else 1), -1, -1):
        prove(statements[number], keys, statements[number].iss if number else f"{first.sub}, as its superior knows it")
        keys = statements[number].jwks
    prove(first, first.jwks, f"{first.sub} itself")
    subordinate = [one for one in statements if not one.about_itself]
    _check_constraints(subordinate)
    return Chain(
        subject=first.sub,
        anchor=anchor,
        superior=subordinate[0].iss if subordinate else anchor,
        statements=statements,
        metadata=_metadata(first, subordinate),
        expires_at=min(one.expires_at for one in statements),
    )


def _check_order(statements: tuple[Statement, ...]) -> None:
    """Section 10.2: each statement is by the subject of the next; in between, none is about its own issuer."""
    for number, (one, following) in enumerate(pairwise(statements)):
        if one.iss != following.sub:
            raise chain(
                "order", f"the statement about {one.sub} is by {one.iss}, and the next is about {following.sub}"
            )
        if number and one.about_itself:
            raise chain("order", f"an entity configuration of {one.sub} stands in the middle")
    below = [one for one in statements if not one.about_itself]
    if len({one.sub for one in below}) != len(below) or any(one.iss == statements[0].sub for one in below):
        raise chain("loop", "an entity stands twice in this chain")
    if len(statements) > 1 and not below:
        raise chain("order", "no superior says anything about the subject")
    # Section 3.2: a superior that the subject doesn't name could have taken it over.
    if below and below[0].iss not in statements[0].hints:
        raise chain("hints", f"{statements[0].sub} does not name {below[0].iss} among its authority_hints")


def _check_constraints(subordinate: Sequence[Statement]) -> None:
    for number, one in enumerate(subordinate):
        under = [below.sub for below in subordinate[: number + 1]]
        constraints.check(one.claims.get("constraints"), below=number, entity_ids=under, whose=one.iss)


def _metadata(first: Statement, subordinate: Sequence[Statement]) -> Metadata:
    """Section 6.1.4.2: the superior's metadata over the subject's, then constraints, then the policies from the top."""
    found: Metadata = {kind: dict(values) for kind, values in first.metadata.items()}
    for kind, values in (subordinate[0].metadata if subordinate else {}).items():
        if kind in found:  # section 3.1.1: only for the types the subject has
            found[kind] |= values
    for one in subordinate:
        found = constraints.allowed(one.claims.get("constraints"), found, one.iss)
    downwards = list(reversed(subordinate))
    resolved = policy.resolve(
        [one.claims.get("metadata_policy") for one in downwards],
        [one.claims.get("metadata_policy_crit") for one in downwards],
    )
    return policy.apply(resolved, found)
