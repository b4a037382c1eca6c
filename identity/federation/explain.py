"""Why an entity is trusted, or why not: for an operator who was asked "it does not work".

A search of its own, whatever was kept; the answer names the rule that was broken and the statements that held (OpenID
Federation 1.0 sections 6, 7.3 and 10).
"""

from dataclasses import dataclass
from typing import Any

from identity.federation.chains import Chain
from identity.federation.refusals import Refused
from identity.federation.service import Federation
from kit.clock import iso


@dataclass(frozen=True, slots=True)
class Explained:
    """What a search came to."""

    entity_id: str
    chain: Chain | None
    marks: tuple[tuple[str, str], ...] = ()  # type, and why it does not count (empty: it does)
    refused: Refused | None = None

    def as_dict(self) -> dict[str, Any]:
        """For a program, and for the command line."""
        said: dict[str, Any] = {"entity_id": self.entity_id, "trusted": self.chain is not None, "statements": []}
        if self.refused is not None:
            said |= {"code": self.refused.code, "word": self.refused.word, "detail": self.refused.detail}
        if self.chain is not None:
            said |= {
                "anchor": self.chain.anchor,
                "until": iso(self.chain.expires_at),
                "metadata": self.chain.metadata,
                "marks": [{"type": kind, "refused": why} for kind, why in self.marks],
                "statements": [
                    {"iss": one.iss, "sub": one.sub, "until": iso(one.expires_at)} for one in self.chain.statements
                ],
            }
        return said


async def explain(federation: Federation, entity_id: str, *, anchor: str | None = None) -> Explained:
    """Look for the chain of an entity anew; refusals are the answer, not an error."""
    try:
        chain = await federation.discovery.resolve(entity_id, anchor=anchor, anew=True)
    except Refused as refused:
        return Explained(entity_id, None, refused=refused)
    marks = []
    for entry in chain.configuration.claims.get("trust_marks", ())[:20]:
        why = ""
        try:
            await federation.check_mark(entry, chain)
        except Refused as refused:
            why = refused.detail
        marks.append((str(entry.get("trust_mark_type"))[:200], why))
    return Explained(entity_id, chain, tuple(marks))
