"""Why an entity is trusted, or why not: for an operator who was asked "it does not work".

A search of its own, whatever was kept; the answer names each step, the rule that was broken and the statements that
held (OpenID Federation 1.0 sections 6, 7.3 and 10). It asks other people's servers, by the guarded fetch and within the
bounds of any search, so each operator has a bucket: the console is no tool to look about in a network.
"""

from dataclasses import dataclass
from typing import Any

from identity.crowd import Crowd
from identity.federation.chains import Chain
from identity.federation.discovery import Step
from identity.federation.refusals import Refused
from identity.federation.service import Federation
from identity.throttle import Limit
from kit.clock import SECOND, Clock, iso
from kit.host import Actor
from kit.problems import TooMany

LIMIT = Limit(burst=10, refill=6 * SECOND)


@dataclass(frozen=True, slots=True)
class Explained:
    """What a search came to."""

    entity_id: str
    chain: Chain | None
    marks: tuple[tuple[str, str], ...] = ()  # type, and why it does not count (empty: it does)
    refused: Refused | None = None
    steps: tuple[Step, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For a program, and for the command line."""
        said: dict[str, Any] = {"entity_id": self.entity_id, "trusted": self.chain is not None, "statements": []}
        said["steps"] = [
            {"what": one.what, "iss": one.iss, "sub": one.sub, "word": one.refused.word if one.refused else None}
            for one in self.steps
        ]
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


class Explaining:
    """The question of an operator."""

    def __init__(self, federation: Federation, clock: Clock) -> None:
        self._federation = federation
        self._crowd = Crowd(clock, LIMIT)

    async def ask(self, entity_id: str, *, anchor: str | None = None, actor: Actor) -> Explained:
        """As `explain`; raises TooMany."""
        if seconds := self._crowd.wait(actor.id):
            raise TooMany("Each question asks other people's servers. Wait a moment.", retry_after=seconds)
        return await explain(self._federation, entity_id, anchor=anchor)


async def explain(federation: Federation, entity_id: str, *, anchor: str | None = None) -> Explained:
    """Look for the chain of an entity anew; refusals are the answer, not an error."""
    steps: list[Step] = []
    try:
        chain = await federation.discovery.retrace(entity_id, steps, anchor=anchor)
    except Refused as refused:
        return Explained(entity_id, None, refused=refused, steps=tuple(steps))
    marks = []
    for entry in chain.configuration.claims.get("trust_marks", ())[:20]:
        why = ""
        try:
            await federation.check_mark(entry, chain)
        except Refused as refused:
            why = refused.detail
        marks.append((str(entry.get("trust_mark_type"))[:200], why))
    return Explained(entity_id, chain, tuple(marks), steps=tuple(steps))
