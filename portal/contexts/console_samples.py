"""Samples of the operators' console."""

from dataclasses import replace

from kit.clock import DAY, HOUR, MINUTE
from portal.contexts import Sample
from portal.contexts.console import (
    AgreementLine,
    AgreementPage,
    Agreements,
    Audit,
    AuditLine,
    Changed,
    Choice,
    ClientAssurance,
    ClientForm,
    ClientLine,
    ClientLogo,
    ClientPage,
    Clients,
    ClientSecret,
    Confirm,
    Figure,
    KeyElsewhere,
    KeyLine,
    Keys,
    LatestLine,
    MemberForm,
    MemberLine,
    MemberPage,
    Members,
    NoticeText,
    Overview,
    ReachLine,
    RevisionLine,
    SmallLine,
    UseLine,
    Waiting,
)

NOW = 1_795_312_200_000
_LONG = "湊浜市・鴎浜町・汐路広域連合共同データ利活用推進協議会事務局（暫定）"

_LINE = AuditLine(
    seq=48213,
    at=NOW - 2 * MINUTE,
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
        at=NOW - 26 * HOUR,
        action="keys.signing_key.rotated",
        outcome="ok",
        actor="operator 岬 千尋",
        object="signing_key kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        detail='{"active":"QmFzZTY0","alg":"EdDSA","next":"bmV4dA"}',
    ),
)

_MEMBERS = (
    MemberLine("mem_1", "みなと診療所", "approved", 1, NOW - 300 * DAY),
    MemberLine("mem_2", "湊浜交通株式会社", "approved", 2, NOW - 280 * DAY),
    MemberLine("mem_3", _LONG, "applied", 0, NOW - 2 * DAY),
    MemberLine("mem_4", "浜辺の宅配", "suspended", 1, NOW - 90 * DAY),
)

_CLIENTS = (
    ClientLine("minato-clinic", "みなと診療所 けんしん便り", "みなと診療所", "active", "private_key_jwt",
               NOW - 300 * DAY),
    ClientLine("minatohama-transit", "しおかぜバス乗換案内", "湊浜交通株式会社", "active", "client_secret_basic",
               NOW - 280 * DAY),
    ClientLine("cli_01m7zz8rq3c4e5f6g7h8j9k0mn", "とどけ便", "浜辺の宅配", "suspended", "none", NOW - 90 * DAY),
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

AGREEMENT = AgreementPage(
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
    at=NOW - 2 * DAY,
    revisions=(
        RevisionLine(2, "offered", NOW - 2 * DAY, "/console/agreements/agr_bus?revision=2", True),
        RevisionLine(1, "approved", NOW - 200 * DAY, "/console/agreements/agr_bus?revision=1", False),
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
    reach_at=NOW - 3 * DAY,
    campaign_words="前の版に同意した人にたずねる",
)  # fmt: skip

_SIGNING = (
    KeyLine("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "EdDSA", "active", NOW - 60 * DAY, NOW - 30 * DAY,
            None, None, None),
    KeyLine("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbU", "EdDSA", "next", NOW - 30 * DAY, None, None, None, None),
    KeyLine("cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s", "EdDSA", "retired", NOW - 90 * DAY, NOW - 60 * DAY,
            NOW - 30 * DAY, NOW - 29 * DAY, None),
)  # fmt: skip
_ELSEWHERE = KeyElsewhere(
    "app", "デジタル認証アプリ", "RP0000000001", "https://id.minatohama.example/sign-in/from/app",
    '{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",'
    '"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","use":"sig","alg":"ES256","kid":"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"}]}',
)  # fmt: skip
_WRAPPING = (
    KeyLine(
        "kek_01m7zz8rq3c4e5f6g7h8j9k0mn", "AES-256-GCM", "active", NOW - 90 * DAY, NOW - 90 * DAY, None, None, 12408
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
    logo = ClientLogo(
        "https://planner.transit.minatohama.example/logo.png", "shown", "fetch", "/static/favicon.svg", NOW
    )
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
        created_at=NOW - 280 * DAY,
        has_secret=True,
        has_keys=True,
        logo=logo,
    )
    member = MemberPage(
        id="mem_2",
        name_ja="湊浜交通株式会社",
        name_en="Minatohama Transit",
        status="approved",
        site="https://transit.minatohama.example",
        sources=("移動の記録",),
        accreditation=(("ISMS", "ISO/IEC 27001"),),
        created_at=NOW - 280 * DAY,
        changed_at=NOW - 279 * DAY,
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
        of("client_secret", "overlap", replace(secret, again=True, former_until=NOW)),
        of("client", "active", client),
        of("client", "logo-refused", replace(client, logo=replace(logo, status="refused", reason="type", path=""))),
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
                               NOW - 2 * DAY),),
                (
                    AgreementLine("/a", "けんしん便り", "みなと診療所", "approved", 1, NOW - 200 * DAY),
                    AgreementLine("/b", "バスの本数を増やすために", _LONG, "withdrawn", 2, NOW - 100 * DAY),
                ),
                "/console/agreements?after=x",
            ),
            viewer="ethics",
        ),
        of("agreements", "none", Agreements((), (), "")),
        of("agreement", "offered", AGREEMENT, viewer="ethics"),
        of("agreement", "endorsed", replace(AGREEMENT, proposed_by="minatohama-transit", two=True),
           viewer="ethics"),
        of("agreement", "twice", replace(AGREEMENT, proposed_by="minatohama-transit", endorsed_by="岬 千尋", two=True,
                                         own=True), viewer="ethics"),
        of("agreement", "approved",
           replace(AGREEMENT, status="approved", may_decide=False, may_change=False, predecessor="")),
        of("keys", "some", Keys(_SIGNING, _WRAPPING, ("EdDSA", "ES256", "RS256"))),
        of("keys", "elsewhere", Keys(_SIGNING, _WRAPPING, ("EdDSA", "ES256", "RS256"), (_ELSEWHERE,))),
        of("audit", "some", audit),
        of(
            "audit",
            "none",
            replace(audit, lines=(), newer="", older="", since="yesterday", errors={"since": "Write a date and time."}),
        ),
    ]  # fmt: skip
