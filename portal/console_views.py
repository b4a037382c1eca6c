"""From members, clients, keys and the trail to the console's pages: one snapshot each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import orjson
from sqlalchemy import func, select

from consent import agreements, campaigns, holds
from identity import clients, grants, logos, members
from identity.client_paths import segment
from identity.clients import Client
from identity.upstream.profiles import Upstream
from keys.ceremonies import KeyInfo
from keys.envelope import Sealer
from kit.audit import AuditEntry, audit_table, entries
from kit.clock import Millis
from kit.db import Session
from kit.encoding import canonical
from kit.problems import NotFound
from portal import i18n, staff
from portal.agreement_views import revision_href
from portal.console_viewer import PAGE, Viewer
from portal.contexts import console as pages
from portal.i18n import N_

ALL = 1000
LIVING = ("next", "active", "retired")


@dataclass(frozen=True)
class Filter:
    """The filter of the trail, as its address carries it."""

    action: str = ""
    actor: str = ""
    object: str = ""
    since: Millis | None = None
    until: Millis | None = None

    def find(
        self, session: Session, *, after: int | None = None, before: int | None = None, newest_first: bool, limit: int
    ) -> list[AuditEntry]:
        """Entries that fit."""
        return entries(
            session,
            after_seq=after,
            before_seq=before,
            action=self.action or None,
            actor_id=self.actor or None,
            object_id=self.object or None,
            since=self.since,
            until=self.until,
            newest_first=newest_first,
            limit=limit,
        )

    def query(self, **more: str) -> str:
        """The address's query for this filter."""
        kept = {
            "action": self.action,
            "actor": self.actor,
            "object": self.object,
            "since": staff.typed_time(self.since),
            "until": staff.typed_time(self.until),
        }
        return urlencode({name: value for name, value in (kept | more).items() if value})


def overview(session: Session, viewer: Viewer, *, keys: list[KeyInfo]) -> pages.Overview:
    """The first page of the console."""
    known = members.list_all(session, limit=ALL)
    last = session.connection().execute(select(func.max(audit_table.c.seq))).scalar() or 0
    latest = entries(session, newest_first=True, limit=8)
    names = _colleagues(session, viewer, latest)
    return pages.Overview(
        figures=(
            pages.Figure("members", len(known), "/console/members"),
            pages.Figure("clients", len(clients.list_all(session, limit=ALL)), "/console/clients"),
            pages.Figure("agreements", len(agreements.list_all(session, limit=ALL)), "/console/agreements"),
            pages.Figure("keys", sum(one.state in LIVING for one in keys), "/console/keys"),
            pages.Figure("entries", last, "/console/audit"),
        ),
        waiting=(
            *(
                pages.Waiting("member", one.name(viewer.lang), f"/console/members/{one.id}")
                for one in known
                if one.status == "applied"
            ),
            *(
                pages.Waiting("offer", one.notice(viewer.lang).title, revision_href(one))
                for one in agreements.pending(session)
            ),
            *(
                pages.Waiting(
                    "campaign", one.notice(viewer.lang).title, f"/console/agreements/{one.agreement_id}/campaign"
                )
                for one in campaigns.waiting(session)
            ),
        ),
        latest=tuple(pages.LatestLine(one.at, one.action, _who(one, names), _what(one)) for one in latest),
    )


def member_list(session: Session, viewer: Viewer, *, status: members.Status | None, after: str) -> pages.Members:
    """Members in order of application."""
    found = members.list_all(session, status=status, after=after, limit=PAGE)
    older = ""
    if len(found) == PAGE:
        older = "/console/members?" + urlencode({"status": status or "", "after": found[-1].id})
    return pages.Members(
        status=status or "",
        members=tuple(
            pages.MemberLine(
                one.id,
                one.name(viewer.lang),
                one.status,
                len(clients.list_ids_of_member(session, one.id)),
                one.created_at,
            )
            for one in found
        ),
        older=older,
    )


def member_page(session: Session, viewer: Viewer, member_id: str) -> pages.MemberPage:
    """One member."""
    found = members.get(session, member_id)
    own = agreements.list_all(session, member_id=member_id)
    return pages.MemberPage(
        id=found.id,
        name_ja=found.name_ja,
        name_en=found.name_en,
        status=found.status,
        site=found.site or "",
        sources=tuple(viewer.category(one) for one in found.source_categories),
        accreditation=_accreditation(viewer, found.accreditation),
        created_at=found.created_at,
        changed_at=found.changed_at,
        held=holds.is_held(session, member_id),
        clients=tuple(
            pages.SmallLine(one.name(viewer.lang), one.status, f"/console/clients/{segment(one.id)}")
            for one in clients.list_all(session, member_id=member_id)
        ),
        agreements=tuple(
            pages.SmallLine(
                agreements.current(session, one.id).notice(viewer.lang).title,
                one.status,
                f"/console/agreements/{one.id}",
            )
            for one in own
        ),
    )


def member_effect(session: Session, viewer: Viewer, member_id: str) -> pages.Confirm:
    """What suspending a member would touch."""
    found = members.get(session, member_id)
    own = clients.list_ids_of_member(session, member_id)
    held = [one for client_id in own for one in grants.holders(session, client_id)]
    people = set(held) | set(holds.standing_accounts(session, member_id))
    return pages.Confirm(
        what="suspend-member",
        name=found.name(viewer.lang),
        counts=(("clients", len(own)), ("grants", len(held)), ("residents", len(people))),
        undoable=True,
        action=f"/console/members/{member_id}/suspend",
        fields=(),
        back=f"/console/members/{member_id}",
    )


def client_list(session: Session, viewer: Viewer, *, after: str) -> pages.Clients:
    """Clients in order of registration."""
    found = clients.list_all(session, after=after, limit=PAGE)
    names = {one.member_id: _member_name(session, viewer, one.member_id) for one in found}
    return pages.Clients(
        clients=tuple(
            pages.ClientLine(
                one.id, one.name(viewer.lang), names[one.member_id], one.status, one.auth_method, one.created_at
            )
            for one in found
        ),
        older=f"/console/clients?after={found[-1].id}" if len(found) == PAGE else "",
    )


def client_form(
    session: Session, viewer: Viewer, *, values: Mapping[str, str], errors: dict[str, str] | None = None
) -> pages.ClientForm:
    """The form for a new client."""
    chosen = values.get("member", "")
    return pages.ClientForm(
        values=dict(values),
        members=tuple(
            pages.Choice(one.id, one.name(viewer.lang), one.id == chosen)
            for one in members.list_all(session, limit=ALL)
        ),
        errors=errors or {},
    )


def client_page(session: Session, viewer: Viewer, client_id: str) -> pages.ClientPage:
    """One client."""
    found = clients.get(session, client_id)
    return pages.ClientPage(
        id=found.id,
        name_ja=found.name_ja,
        name_en=found.name_en,
        status=found.status,
        member=_member_name(session, viewer, found.member_id),
        member_href=f"/console/members/{found.member_id}" if found.member_id else "",
        member_status=found.member_status or "",
        method=found.auth_method,
        redirect_uris=found.redirect_uris,
        grant_types=tuple(sorted(found.grant_types)),
        scopes=tuple(sorted(found.scopes)),
        profile=found.profile,
        dpop=found.dpop_bound,
        par=found.require_par,
        first_party=found.first_party,
        minimum_ial=found.minimum_ial,
        minimum_aal=found.minimum_aal,
        verified_claims=found.verified_claims,
        residents=len(grants.holders(session, client_id)),
        created_at=found.created_at,
        has_secret=found.secret_digest is not None,
        logo=_logo(session, client_id),
        has_keys=found.jwks is not None or found.jwks_uri is not None,
    )


def _logo(session: Session, client_id: str) -> pages.ClientLogo | None:
    found = logos.find(session, client_id)
    if found is None:
        return None
    return pages.ClientLogo(found.uri, found.status, found.reason, found.path, found.fetched_at)


def client_assurance(
    session: Session,
    viewer: Viewer,
    client_id: str,
    *,
    values: Mapping[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> pages.ClientAssurance:
    """How sure a client must be, as it is or as it was typed."""
    found = clients.get(session, client_id)
    kept = {
        "minimum_ial": str(found.minimum_ial),
        "minimum_aal": str(found.minimum_aal),
        "verified_claims": found.verified_claims,
    }
    return pages.ClientAssurance(client_id, found.name(viewer.lang), dict(values or kept), errors or {})


def client_effect(session: Session, viewer: Viewer, client_id: str) -> pages.Confirm:
    """What suspending a client would touch."""
    found = clients.get(session, client_id)
    held = grants.holders(session, client_id)
    return pages.Confirm(
        what="suspend-client",
        name=found.name(viewer.lang),
        counts=(("grants", len(held)), ("residents", len(set(held)))),
        undoable=True,
        action=f"/console/clients/{segment(client_id)}/suspend",
        fields=(),
        back=f"/console/clients/{segment(client_id)}",
    )


def secret_page(viewer: Viewer, client: Client, secret: str) -> pages.ClientSecret:
    """The one moment in which a new client's secret is seen."""
    return pages.ClientSecret(client.id, client.name(viewer.lang), secret, again=False, former_until=None)


def jwks_of(upstream: Upstream) -> bytes:
    """The JWK Set to register at a provider: the public half of our key there. Raises NotFound where there is none."""
    if upstream.key is None:
        raise NotFound("There is no such key.")
    return orjson.dumps({"keys": [upstream.key.jwk]})


def keys_elsewhere(upstreams: Iterable[Upstream], lang: str) -> tuple[pages.KeyElsewhere, ...]:
    """Ours at other providers."""
    return tuple(
        pages.KeyElsewhere(one.id, one.label[lang], one.client_id, one.redirect_uri, jwks_of(one).decode())
        for one in upstreams
        if one.key is not None
    )


def key_page(found: list[KeyInfo], elsewhere: tuple[pages.KeyElsewhere, ...] = ()) -> pages.Keys:
    """All keys, the living first."""
    order = {state: place for place, state in enumerate(("active", "next", "retired", "compromised", "destroyed"))}

    def lines(*, signing: bool) -> tuple[pages.KeyLine, ...]:
        chosen = [one for one in found if (one.purpose == "signing") is signing and one.purpose != "derive"]
        chosen.sort(key=lambda one: (one.alg, order.get(one.state, 9), -one.created_at))
        return tuple(
            pages.KeyLine(
                one.id,
                one.alg,
                one.state,
                one.created_at,
                one.activated_at,
                one.retired_at,
                one.verify_until,
                one.data_keys,
            )
            for one in chosen
        )

    signing = lines(signing=True)
    algs = tuple(dict.fromkeys(one.alg for one in signing))
    return pages.Keys(signing, lines(signing=False), algs, elsewhere)


def key_effect(found: list[KeyInfo], *, alg: str, compromised: bool) -> pages.Confirm:
    """What a rotation would touch; without an algorithm, that of the key-encryption key."""
    if not alg:
        wrapped = sum(one.data_keys or 0 for one in found if one.purpose == "data" and one.state == "active")
        return pages.Confirm(
            "rotate-kek", "", (("data_keys", wrapped),), False, "/console/keys/rotate", (("kek", "1"),), "/console/keys"
        )
    fields = (("alg", alg), *((("compromised", "1"),) if compromised else ()))
    what = "compromise-key" if compromised else "rotate-signing"
    return pages.Confirm(what, alg, (), False, "/console/keys/rotate", fields, "/console/keys")


def audit_page(
    session: Session,
    viewer: Viewer,
    *,
    wanted: Filter,
    before: int | None,
    after: int | None,
    typed: Mapping[str, str],
    errors: dict[str, str] | None = None,
) -> pages.Audit:
    """The trail, newest first, a page at a time."""
    if after is not None:  # the page of newer ones: the nearest above, then turned round
        found = wanted.find(session, after=after, newest_first=False, limit=PAGE + 1)
        more_newer, found = len(found) > PAGE, found[:PAGE][::-1]
        more_older = True
    else:
        found = wanted.find(session, before=before, newest_first=True, limit=PAGE + 1)
        more_older, found = len(found) > PAGE, found[:PAGE]
        more_newer = before is not None
    names = _colleagues(session, viewer, found)
    newer = wanted.query(after=str(found[0].seq)) if found and more_newer else ""
    older = wanted.query(before=str(found[-1].seq)) if found and more_older else ""
    return pages.Audit(
        action=wanted.action,
        actor=wanted.actor,
        object=wanted.object,
        since=typed.get("since", ""),
        until=typed.get("until", ""),
        lines=tuple(_audit_line(one, wanted, names) for one in found),
        newer=f"/console/audit?{newer}" if newer else "",
        older=f"/console/audit?{older}" if older else "",
        export="/console/audit.jsonl" + (f"?{wanted.query()}" if wanted.query() else ""),
        errors=errors or {},
    )


# -- lines


def _member_name(session: Session, viewer: Viewer, member_id: str | None) -> str:
    found = members.find(session, member_id) if member_id else None
    return found.name(viewer.lang) if found else ""


_ACCREDITATION = {
    "accreditation": N_("Accreditation"),
    "address": N_("Registered address"),
    "contact": N_("Contact"),
    "kind": N_("Kind of organisation"),
    "seal": N_("Seal"),
}
_KINDS = {
    "clinic": N_("clinic"),
    "government": N_("public body"),
    "transport": N_("transport"),
    "utility": N_("energy and water"),
}


def _accreditation(viewer: Viewer, given: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Accreditation as stored: plain words, or words in both languages; the name ends in the language or is one."""
    gettext = i18n.language(viewer.lang).gettext
    shown = []
    for name, words in given.items():
        stem, _sep, lang = name.rpartition("_") if name.endswith(("_ja", "_en")) else (name, "", "")
        if name in i18n.LANGUAGES:
            stem, lang = "accreditation", name
        if isinstance(words, Mapping):
            words = words.get(viewer.lang) or words.get("ja") or ""
        elif lang and lang != viewer.lang and (given.get(f"{stem}_{viewer.lang}") or given.get(viewer.lang)):
            continue  # said in the reader's language too
        if words:
            label = gettext(_ACCREDITATION[stem]) if stem in _ACCREDITATION else stem
            shown.append((label, gettext(_KINDS.get(str(words), str(words))) if stem == "kind" else str(words)))
    return tuple(shown)


def _colleagues(session: Session, viewer: Viewer, found: list[AuditEntry]) -> Mapping[str, str]:
    return staff.names(
        session, viewer.host.get(Sealer), [one.actor_id for one in found if one.actor_kind == "operator"]
    )


def _who(one: AuditEntry, names: Mapping[str, str]) -> str:
    return f"{one.actor_kind} {names.get(one.actor_id, one.actor_id)}".strip()


def _what(one: AuditEntry) -> str:
    return f"{one.object_kind} {one.object_id}".strip()


def _audit_line(one: AuditEntry, wanted: Filter, names: Mapping[str, str]) -> pages.AuditLine:
    kept = Filter(action=wanted.action)
    return pages.AuditLine(
        seq=one.seq or 0,
        at=one.at,
        action=one.action,
        outcome=one.outcome,
        actor=_who(one, names),
        actor_href=f"/console/audit?{kept.query(actor=one.actor_id)}" if one.actor_id else "",
        object=_what(one),
        object_href=f"/console/audit?{kept.query(object=one.object_id)}" if one.object_id else "",
        detail=canonical(one.detail).decode(),
        hash=(one.hash or b"").hex()[:12],
    )
