"""The operators' console: members, clients, agreements, keys, the audit trail."""

from dataclasses import dataclass

from kit.clock import Millis


@dataclass(frozen=True)
class Figure:
    """A number of the overview and where it leads. `code` names it."""

    code: str
    number: int
    href: str


@dataclass(frozen=True)
class Waiting:
    """Something that waits for a decision. `code` says what kind."""

    code: str
    words: str
    href: str


@dataclass(frozen=True)
class AuditLine:
    """An entry of the trail."""

    seq: int
    at: Millis
    action: str
    outcome: str
    actor: str
    actor_href: str
    object: str
    object_href: str
    detail: str
    hash: str


@dataclass(frozen=True)
class LatestLine:
    """An entry of the trail on the overview: less of it."""

    at: Millis
    action: str
    actor: str
    object: str


@dataclass(frozen=True)
class Overview:
    """console/overview.html."""

    figures: tuple[Figure, ...]
    waiting: tuple[Waiting, ...]
    latest: tuple[LatestLine, ...]


@dataclass(frozen=True)
class MemberLine:
    """A member organisation in the list."""

    id: str
    name: str
    status: str
    clients: int
    created_at: Millis


@dataclass(frozen=True)
class Members:
    """console/members.html."""

    status: str
    members: tuple[MemberLine, ...]
    older: str


@dataclass(frozen=True)
class Choice:
    """An option of a select or a box."""

    value: str
    words: str
    chosen: bool = False


@dataclass(frozen=True)
class MemberForm:
    """console/member_new.html."""

    values: dict[str, str]
    sources: tuple[Choice, ...]
    errors: dict[str, str]


@dataclass(frozen=True)
class SmallLine:
    """A client or agreement as one line of another page."""

    name: str
    status: str
    href: str


@dataclass(frozen=True)
class MemberPage:
    """console/member.html."""

    id: str
    name_ja: str
    name_en: str
    status: str
    site: str
    sources: tuple[str, ...]
    accreditation: tuple[tuple[str, str], ...]
    created_at: Millis
    changed_at: Millis
    held: bool
    clients: tuple[SmallLine, ...]
    agreements: tuple[SmallLine, ...]


@dataclass(frozen=True)
class ClientLine:
    """A client in the list."""

    id: str
    name: str
    member: str
    status: str
    method: str
    created_at: Millis


@dataclass(frozen=True)
class Clients:
    """console/clients.html."""

    clients: tuple[ClientLine, ...]
    older: str


@dataclass(frozen=True)
class ClientForm:
    """console/client_new.html."""

    values: dict[str, str]
    members: tuple[Choice, ...]
    errors: dict[str, str]


@dataclass(frozen=True)
class ClientSecret:
    """console/client_secret.html: the one moment in which a secret is seen."""

    id: str
    name: str
    secret: str
    again: bool
    former_until: Millis | None


@dataclass(frozen=True)
class ClientLogo:
    """A client's logo: where it comes from, whether it is shown, why not."""

    uri: str
    status: str  # waiting | shown | refused
    reason: str
    path: str
    at: Millis | None


@dataclass(frozen=True)
class ClientPage:
    """console/client.html."""

    id: str
    name_ja: str
    name_en: str
    status: str
    member: str
    member_href: str
    member_status: str
    method: str
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    scopes: tuple[str, ...]
    profile: str
    dpop: bool
    par: bool
    first_party: bool
    minimum_ial: int
    minimum_aal: int
    verified_claims: str  # none | claims | evidence
    residents: int
    created_at: Millis
    has_secret: bool
    has_keys: bool
    logo: ClientLogo | None


@dataclass(frozen=True)
class ClientAssurance:
    """console/client_assurance.html: how sure a client must be of residents, what it may be told of it."""

    id: str
    name: str
    values: dict[str, str]
    errors: dict[str, str]


@dataclass(frozen=True)
class Confirm:
    """console/confirm.html: what an act would do, in numbers, before it is done. `what` names the act."""

    what: str
    name: str
    counts: tuple[tuple[str, int], ...]
    undoable: bool
    action: str
    fields: tuple[tuple[str, str], ...]
    back: str


@dataclass(frozen=True)
class AgreementLine:
    """An agreement, or a revision that waits."""

    href: str
    title: str
    member: str
    status: str
    number: int
    at: Millis


@dataclass(frozen=True)
class Agreements:
    """console/agreements.html."""

    pending: tuple[AgreementLine, ...]
    agreements: tuple[AgreementLine, ...]
    older: str


@dataclass(frozen=True)
class RevisionLine:
    """A revision in the list beside the text."""

    number: int
    status: str
    at: Millis
    href: str
    shown: bool


@dataclass(frozen=True)
class UseLine:
    """A data category of a revision."""

    name: str
    code: str
    required: bool
    sensitivity: int


@dataclass(frozen=True)
class NoticeText:
    """What the resident reads, in one language."""

    lang: str
    title: str
    short: str
    full: str
    benefit: str
    if_refused: str
    forbidden: str


@dataclass(frozen=True)
class ReachLine:
    """A group of people, in tens."""

    words: str
    people: str


@dataclass(frozen=True)
class Changed:
    """What differs from the revision in force."""

    label: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    material: bool


@dataclass(frozen=True)
class AgreementPage:
    """console/agreement.html: one revision, whole, with its history."""

    agreement_id: str
    revision_id: str
    number: int
    status: str
    title: str
    member: str
    member_href: str
    contact: str
    purpose: str
    purpose_code: str
    basis: str
    duration: str
    retention: str
    jurisdiction: str
    categories: tuple[UseLine, ...]
    texts: tuple[NoticeText, ...]
    hash: str
    predecessor: str
    at: Millis
    revisions: tuple[RevisionLine, ...]
    may_decide: bool
    may_change: bool
    proposed_by: str
    decided_by: str
    endorsed_by: str  # the first of two who approve what no person proposed
    two: bool  # no person of the staff proposed it: two approve
    own: bool  # the viewer proposed it, or approved it first: somebody else approves
    compared_with: int | None
    changes: tuple[Changed, ...]
    reach: tuple[ReachLine, ...]
    reach_at: Millis | None
    campaign_words: str  # the link to asking again; "" where there is nothing to ask


@dataclass(frozen=True)
class KeyLine:
    """A key, without any material."""

    id: str
    alg: str
    state: str
    created_at: Millis
    activated_at: Millis | None
    retired_at: Millis | None
    verify_until: Millis | None
    data_keys: int | None


@dataclass(frozen=True)
class KeyElsewhere:
    """The public half of a key by which this city proves itself at another provider, as it is registered there."""

    id: str
    label: str
    client_id: str
    redirect_uri: str
    jwks: str


@dataclass(frozen=True)
class Keys:
    """console/keys.html."""

    signing: tuple[KeyLine, ...]
    wrapping: tuple[KeyLine, ...]
    algs: tuple[str, ...]
    elsewhere: tuple[KeyElsewhere, ...] = ()


@dataclass(frozen=True)
class Audit:
    """console/audit.html: the trail, filtered and paged by its address."""

    action: str
    actor: str
    object: str
    since: str
    until: str
    lines: tuple[AuditLine, ...]
    newer: str
    older: str
    export: str
    errors: dict[str, str]
