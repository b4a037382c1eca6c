"""The operators' console: members, clients, agreements, keys, the audit trail."""

from dataclasses import dataclass, replace

from kit.clock import DAY, HOUR, MINUTE, Millis
from portal.contexts import Sample


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
class Keys:
    """console/keys.html."""

    signing: tuple[KeyLine, ...]
    wrapping: tuple[KeyLine, ...]
    algs: tuple[str, ...]


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


# -- samples

_NOW = 1_795_312_200_000
_LONG = "湊浜市・鴎浜町・汐路広域連合共同データ利活用推進協議会事務局（暫定）"

_LINE = AuditLine(
    seq=48213,
    at=_NOW - 2 * MINUTE,
    action="identity.signin.failed",
    outcome="refused",
    actor="anonymous",
    actor_href="",
    object="account acc_01m7zz8rq3c4e5f6g7h8j9k0mn",
    object_href="/console/audit?object=acc_01m7zz8rq3c4e5f6g7h8j9k0mn",
    detail='{"method":"password"}',
    hash="9f3c2a71b0de",
)
_LINES = (
    _LINE,
    replace(
        _LINE,
        seq=48212,
        action="consent.record.withdrawn",
        outcome="ok",
        actor="resident acc_01m7zz8rq3c4e5f6g7h8j9k0mn",
        actor_href="/console/audit?actor=acc_01m7zz8rq3c4e5f6g7h8j9k0mn",
        object="consent con_01m7zzabcdefghjkmnpqrstvwx",
        detail='{"agreement":"agr_bus","categories":["mobility","household"],"reason":"resident"}',
    ),
    replace(
        _LINE,
        seq=48211,
        at=_NOW - 26 * HOUR,
        action="keys.signing_key.rotated",
        outcome="ok",
        actor="operator 岬 千尋",
        object="signing_key kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        detail='{"active":"QmFzZTY0","alg":"EdDSA","next":"bmV4dA"}',
    ),
)

_MEMBERS = (
    MemberLine("mem_1", "みなと診療所", "approved", 1, _NOW - 300 * DAY),
    MemberLine("mem_2", "湊浜交通株式会社", "approved", 2, _NOW - 280 * DAY),
    MemberLine("mem_3", _LONG, "applied", 0, _NOW - 2 * DAY),
    MemberLine("mem_4", "浜辺の宅配", "suspended", 1, _NOW - 90 * DAY),
)

_CLIENTS = (
    ClientLine("minato-clinic", "みなと診療所 けんしん便り", "みなと診療所", "active", "private_key_jwt",
               _NOW - 300 * DAY),
    ClientLine("minatohama-transit", "しおかぜバス乗換案内", "湊浜交通株式会社", "active", "client_secret_basic",
               _NOW - 280 * DAY),
    ClientLine("cli_01m7zz8rq3c4e5f6g7h8j9k0mn", "とどけ便", "浜辺の宅配", "suspended", "none", _NOW - 90 * DAY),
)  # fmt: skip

_TEXTS = (
    NoticeText(
        "ja",
        "バスの本数を増やすために",
        "あなたがいつどこで乗り降りするかを見て、便数を決めます。",
        "湊浜交通は、過去90日の乗り降りの記録を受け取ります。名前や住所は受け取りません。\n\n記録は便数の計画だけに使い、90日で消します。",
        "よく使う時間のバスが増えます。",
        "何も変わりません。今までどおり乗れます。",
        "ほかの会社に渡すこと、あなたが誰かを調べること。",
    ),
    NoticeText(
        "en",
        "More buses when you need them",
        "We look at when and where you ride to plan the timetable.",
        "Minatohama Transit receives your rides of the last 90 days, without name or address.\n\n"
        "It uses them for planning only and deletes them after 90 days.",
        "More buses at the times you ride.",
        "Nothing changes. You ride as before.",
        "Passing the data on; finding out who you are.",
    ),
)

_AGREEMENT = AgreementPage(
    agreement_id="agr_bus",
    revision_id="rev_2",
    number=2,
    status="offered",
    title="バスの本数を増やすために",
    member="湊浜交通株式会社",
    member_href="/console/members/mem_2",
    contact="privacy@transit.minatohama.example",
    purpose="交通や移動を便利にするため",
    purpose_code="ImproveTransportMobility",
    basis="同意",
    duration="P180D",
    retention="P90D",
    jurisdiction="JP",
    categories=(
        UseLine("移動の記録", "mobility", True, 1),
        UseLine("世帯", "household", False, 2),
    ),
    texts=_TEXTS,
    hash="3b2f9e7c1d4a5b6c7d8e9f0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0c",
    predecessor="aa11bb22cc33dd44ee55ff6600112233445566778899aabbccddeeff00112233",
    at=_NOW - 2 * DAY,
    revisions=(
        RevisionLine(2, "offered", _NOW - 2 * DAY, "/console/agreements/agr_bus?revision=2", True),
        RevisionLine(1, "approved", _NOW - 200 * DAY, "/console/agreements/agr_bus?revision=1", False),
    ),
    may_decide=True,
    may_change=True,
    proposed_by="保田 恵子",
    decided_by="",
    endorsed_by="",
    two=False,
    own=False,
    compared_with=1,
    changes=(
        Changed("相手が持っている期間", ("30日",), ("90日",), True),
        Changed("くわしい説明", ("最近90日の記録を受け取ります。",), ("最近30日の記録を受け取ります。",), False),
    ),
    reach=(
        ReachLine("答えた人", "240-249"), ReachLine("いま同意している人", "180-189"),
        ReachLine("断った人", "30-39"), ReachLine("取り消した人、期限が来た人", "10人未満"),
    ),
    reach_at=_NOW - 3 * DAY,
    campaign_words="前の版に同意した人にたずねる",
)  # fmt: skip

_SIGNING = (
    KeyLine("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "EdDSA", "active", _NOW - 60 * DAY, _NOW - 30 * DAY,
            None, None, None),
    KeyLine("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbU", "EdDSA", "next", _NOW - 30 * DAY, None, None, None, None),
    KeyLine("cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s", "EdDSA", "retired", _NOW - 90 * DAY, _NOW - 60 * DAY,
            _NOW - 30 * DAY, _NOW - 29 * DAY, None),
)  # fmt: skip
_WRAPPING = (
    KeyLine(
        "kek_01m7zz8rq3c4e5f6g7h8j9k0mn", "AES-256-GCM", "active", _NOW - 90 * DAY, _NOW - 90 * DAY, None, None, 12408
    ),
)


def samples() -> list[Sample]:
    """The console on a usual day, empty, with long names, and each form with its mistakes."""
    overview = Overview(
        figures=(
            Figure("members", 24, "/console/members"),
            Figure("clients", 31, "/console/clients"),
            Figure("agreements", 12, "/console/agreements"),
            Figure("keys", 7, "/console/keys"),
            Figure("entries", 48213, "/console/audit"),
        ),
        waiting=(
            Waiting("member", _LONG, "/console/members/mem_3"),
            Waiting("offer", "バスの本数を増やすために", "/console/agreements/agr_bus?revision=2"),
            Waiting("campaign", "けんしん便り", "/console/agreements/agr_checkup/campaign"),
        ),
        latest=tuple(LatestLine(one.at, one.action, one.actor, one.object) for one in _LINES),
    )
    secret = ClientSecret("cli_01m7", "とどけ便", "sec_" + "Zk3" * 14 + "q", again=False, former_until=None)
    sure = {"minimum_ial": "2", "minimum_aal": "2", "verified_claims": "evidence"}
    client = ClientPage(
        id="minatohama-transit",
        name_ja="しおかぜバス乗換案内",
        name_en="Shiokaze Bus Planner",
        status="active",
        member="湊浜交通株式会社",
        member_href="/console/members/mem_2",
        member_status="approved",
        method="client_secret_basic",
        redirect_uris=("https://planner.transit.minatohama.example/callback", "http://localhost:9402/callback"),
        grant_types=("authorization_code", "refresh_token"),
        scopes=("openid", "profile", "offline_access", "bank:deposit"),
        profile="fapi2-security",
        dpop=False,
        par=True,
        first_party=False,
        minimum_ial=2,
        minimum_aal=2,
        verified_claims="evidence",
        residents=118,
        created_at=_NOW - 280 * DAY,
        has_secret=True,
        has_keys=True,
    )
    member = MemberPage(
        id="mem_2",
        name_ja="湊浜交通株式会社",
        name_en="Minatohama Transit",
        status="approved",
        site="https://transit.minatohama.example",
        sources=("移動の記録",),
        accreditation=(("ISMS", "ISO/IEC 27001"),),
        created_at=_NOW - 280 * DAY,
        changed_at=_NOW - 279 * DAY,
        held=True,
        clients=(SmallLine("しおかぜバス乗換案内", "active", "/console/clients/minatohama-transit"),),
        agreements=(SmallLine("バスの本数を増やすために", "approved", "/console/agreements/agr_bus"),),
    )
    sources = (
        Choice("mobility", "移動の記録", True),
        Choice("household", "世帯"),
        Choice("energy_use", "電気の使用量"),
    )
    options = (Choice("mem_1", "みなと診療所"), Choice("mem_2", "湊浜交通株式会社", True))
    audit = Audit(
        action="identity",
        actor="",
        object="",
        since="",
        until="",
        lines=_LINES,
        newer="/console/audit?after=1",
        older="/console/audit?before=48211",
        export="/console/audit.jsonl?action=identity",
        errors={},
    )

    def of(template: str, name: str, context: object, viewer: str = "operator") -> Sample:
        return Sample(f"console/{template}.html", name, context, viewer=viewer, path="/console")

    return [
        of("overview", "usual", overview),
        of("overview", "new", Overview(tuple(replace(one, number=0) for one in overview.figures), (), ())),
        of("members", "some", Members("", _MEMBERS, "/console/members?after=mem_4")),
        of("members", "none", Members("suspended", (), "")),
        of("member_new", "empty", MemberForm({}, sources, {})),
        of("member_new", "errors", MemberForm({"name_en": "x"}, sources, {"name_ja": "1 to 120 characters."})),
        of("member", "approved", member),
        of(
            "member",
            "applied",
            replace(
                member, status="applied", name_ja=_LONG, clients=(), agreements=(), accreditation=(), sources=(),
                held=False
            ),
        ),
        of("clients", "some", Clients(_CLIENTS, "/console/clients?after=x")),
        of("clients", "none", Clients((), "")),
        of("client_new", "empty", ClientForm({}, options, {})),
        of(
            "client_new",
            "errors",
            ClientForm(
                {"name_ja": "新", "redirect_uris": "http://example.com/cb"},
                options,
                {"redirect_uris": "Use https; plain http is for loopback addresses only.", "jwks": "x"},
            ),
        ),
        of("client_secret", "new", secret),
        of("client_secret", "again", replace(secret, again=True)),
        of("client_secret", "overlap", replace(secret, again=True, former_until=_NOW)),
        of("client", "active", client),
        of("client_assurance", "as-it-is", ClientAssurance(client.id, client.name_ja, sure, {})),
        of("client_assurance", "errors", ClientAssurance(client.id, client.name_ja, sure, {"minimum_ial": "Choose."})),
        of("client", "suspended", replace(client, status="suspended", member_status="suspended", has_secret=False)),
        of(
            "confirm",
            "client",
            Confirm(
                "suspend-client", "しおかぜバス乗換案内", (("grants", 118), ("residents", 118)), True, "/x", (), "/y"),
        ),
        of(
            "confirm",
            "compromised",
            Confirm("compromise-key", "EdDSA", (), False, "/x", (("alg", "EdDSA"),), "/y"),
        ),
        of(
            "agreements",
            "some",
            Agreements(
                (AgreementLine("/a?revision=2", "バスの本数を増やすために", "湊浜交通株式会社", "offered", 2,
                               _NOW - 2 * DAY),),
                (
                    AgreementLine("/a", "けんしん便り", "みなと診療所", "approved", 1, _NOW - 200 * DAY),
                    AgreementLine("/b", "バスの本数を増やすために", _LONG, "withdrawn", 2, _NOW - 100 * DAY),
                ),
                "/console/agreements?after=x",
            ),
            viewer="ethics",
        ),
        of("agreements", "none", Agreements((), (), "")),
        of("agreement", "offered", _AGREEMENT, viewer="ethics"),
        of("agreement", "endorsed", replace(_AGREEMENT, proposed_by="minatohama-transit", two=True),
           viewer="ethics"),
        of("agreement", "twice", replace(_AGREEMENT, proposed_by="minatohama-transit", endorsed_by="岬 千尋", two=True,
                                         own=True), viewer="ethics"),
        of("agreement", "approved",
           replace(_AGREEMENT, status="approved", may_decide=False, may_change=False, predecessor="")),
        of("keys", "some", Keys(_SIGNING, _WRAPPING, ("EdDSA", "ES256", "RS256"))),
        of("audit", "some", audit),
        of(
            "audit",
            "none",
            replace(audit, lines=(), newer="", older="", since="yesterday", errors={"since": "Write a date and time."}),
        ),
    ]  # fmt: skip
