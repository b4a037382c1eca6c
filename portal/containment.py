"""What the house does for the incident desk: the `Effects` that cert asks for, done by identity, consent and infobank.

Each effect is a plain call of the package that owns the thing, inside the desk's own transaction. Those calls bump the
change counters that every cache compares on every use, so a containment holds in every process before it is answered.
"""

from collections.abc import Iterable, Sequence

from cert.containment import Action, Reach, Target
from cert.desk import Desk
from cert.errors import FieldInvalid
from consent import holds
from identity import accounts, clients, grants, members
from identity.clients import Clients
from identity.sessions import Sessions
from infobank import disclosures
from infobank.catalogue import Catalogue
from kit.clock import Clock, Millis
from kit.db import Session
from kit.host import Actor, Host
from kit.problems import Problem

_LISTED = 200


def include(host: Host) -> None:
    """Give the desk its means."""
    host.get(Desk).means = HouseEffects(host.get(Sessions), host.get(Clients), host.get(Catalogue), host.clock)


def short(ref: str) -> str:
    """An opaque id as people at the desk say it: its end."""
    return f"…{ref[-6:]}"


class HouseEffects:
    """Fulfils cert.containment.Effects."""

    def __init__(self, sessions: Sessions, registry: Clients, catalogue: Catalogue, clock: Clock) -> None:
        self._sessions = sessions
        self._clients = registry
        self._catalogue = catalogue
        self._clock = clock

    def preview(self, session: Session, action: Action, targets: Sequence[str]) -> dict[str, int]:
        """What applying this now would touch."""
        for target in targets:
            self._require(session, action, target)
        match action:
            case Action.END_SESSIONS:
                return {"accounts": len(targets), "sessions": self._sessions.count_live(session, targets)}
            case Action.SUSPEND_CLIENT:
                holders = [holder for target in targets for holder in grants.holders(session, target)]
                return {"clients": len(targets), "grants": len(holders), "residents": len(set(holders))}
            case Action.SUSPEND_SHARING:
                own = [one for target in targets for one in clients.list_ids_of_member(session, target)]
                sharing = {one for target in targets for one in holds.standing_accounts(session, target)}
                return {"members": len(targets), "clients": len(own), "residents": len(sharing)}

    def apply(self, session: Session, action: Action, targets: Sequence[str], *, actor: Actor) -> Sequence[str]:
        """Do it; the targets that were not cut off before."""
        changed = []
        for target in targets:
            match action:
                case Action.END_SESSIONS:
                    self._sessions.end_all(session, target, actor, reason="contained")
                    changed.append(target)
                case Action.SUSPEND_CLIENT:
                    if clients.get(session, target).status == "active":
                        self._clients.suspend(session, target, actor=actor)
                        changed.append(target)
                case Action.SUSPEND_SHARING:
                    if holds.hold(session, target, actor=actor, now=self._clock.ms(), reason="contained"):
                        changed.append(target)
        return changed

    def undo(self, session: Session, action: Action, targets: Sequence[str], *, actor: Actor) -> None:
        """Lift it; a client that was removed meanwhile stays removed, and the others go on."""
        for target in targets:
            if action is Action.SUSPEND_CLIENT:
                client = clients.find(session, target)
                if client is not None and client.status != "removed":
                    self._clients.resume(session, target, actor=actor)
            elif action is Action.SUSPEND_SHARING:
                holds.release(session, target, actor=actor, now=self._clock.ms(), reason="contained")

    def name(self, session: Session, kind: str, ref: str) -> Target | None:
        """How staff know this client, member, data category or account; never a person's name."""
        if kind == "category" and (category := self._catalogue.find(ref)) is not None:
            return Target(ref, category.label.of("ja"), category.label.of("en"))
        if kind == "client":
            client = clients.find(session, ref)
            return Target(client.id, client.name_ja, client.name_en) if client else None
        if kind == "member":
            member = members.find(session, ref)
            return Target(member.id, member.name_ja, member.name_en) if member else None
        return Target(ref, short(ref), short(ref)) if kind in ("account", "grant", "session") else None

    def choices(self, session: Session, action: Action) -> Sequence[Target]:
        """What may be chosen; accounts are never listed, they are named by the alerts."""
        if action is Action.SUSPEND_CLIENT:
            found = clients.list_all(session, limit=_LISTED)
            return [Target(one.id, one.name_ja, one.name_en) for one in found if one.status == "active"]
        if action is Action.SUSPEND_SHARING:
            approved = members.list_all(session, status="approved", limit=_LISTED)
            return [Target(one.id, one.name_ja, one.name_en) for one in approved if not holds.is_held(session, one.id)]
        return []

    def reach(
        self, session: Session, assets: Sequence[tuple[str, str]], *, since: Millis | None, until: Millis
    ) -> Reach:
        """People touched: for certain by the disclosure record, possibly by what stands open."""
        named: dict[str, set[str]] = {}
        for kind, ref in assets:
            named.setdefault(kind, set()).add(ref)
        apps = named.get("client", set())
        recipients = named.get("member", set()) | set(self._members_of(session, apps))
        certain = set(named.get("entered", ()))
        possible = set(named.get("account", ()))
        if recipients:
            certain |= set(
                disclosures.affected(session, member_ids=tuple(sorted(recipients)), since=since or 0, until=until)
            )
            possible |= {one for member in recipients for one in holds.standing_accounts(session, member)}
        possible |= {one for client in apps for one in grants.holders(session, client)}
        return Reach(len(certain), len(possible - certain))

    def _members_of(self, session: Session, client_ids: Iterable[str]) -> Iterable[str]:
        for client_id in client_ids:
            client = clients.find(session, client_id)
            if client is not None and client.member_id is not None:
                yield client.member_id

    def _require(self, session: Session, action: Action, target: str) -> None:
        try:
            match action:
                case Action.END_SESSIONS:
                    accounts.get_account(session, target)
                case Action.SUSPEND_CLIENT:
                    clients.get(session, target)
                case Action.SUSPEND_SHARING:
                    members.get(session, target)
        except Problem as unknown:
            if unknown.status != 404:
                raise
            raise FieldInvalid(f"There is no {action.target} {target[:40]}.", pointer="/targets") from None
