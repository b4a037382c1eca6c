"""The consent page and the plain scope page."""

from dataclasses import dataclass, replace

from portal.contexts import Sample

DAY = 86_400_000
NOW = 1_795_312_800_000  # 22 November 2026 in Japan


@dataclass(frozen=True)
class CategoryRow:
    """One data category asked for, with what it would show."""

    id: str
    control: str  # the id of its box
    name: str
    description: str
    sample: str  # the resident's own newest record in one line; "" if there is none
    sample_at: int | None
    count: int
    required: bool
    ticked: bool
    sensitivity: str
    careful: bool
    new: bool  # not in the consent given before


@dataclass(frozen=True)
class Earlier:
    """An earlier revision of the agreement."""

    number: int
    at: int


@dataclass(frozen=True)
class Ask:
    """One agreement put to the resident."""

    field: str  # the name of its boxes
    revision_field: str
    revision_id: str  # the very text shown: what is agreed to must be it
    title: str
    question: str
    recipient: str
    recipient_site: str
    accreditation: str
    jurisdiction: str
    purpose: str
    until: int
    duration_days: int
    retention: str
    benefit: str
    may_not: tuple[str, ...]
    if_refused: str
    basis: str
    checked_by: str
    number: int
    full_text: tuple[str, ...]
    earlier: tuple[Earlier, ...]
    changed: bool  # the resident agreed to an earlier revision
    rows: tuple[CategoryRow, ...]


@dataclass(frozen=True)
class ScopeRow:
    """A piece of the profile a service would learn at sign-in."""

    name: str
    value: str


@dataclass(frozen=True)
class Elsewhere:
    """Not this browser asked, but a device (it shows `code`) or a service's counter (it may show `code`)."""

    device: bool
    code: str


@dataclass(frozen=True)
class Amends:
    """What the answer does to what was agreed to before: more is added (`merges`), or it takes its place."""

    merges: bool
    shown: str  # which state of it the page shows: no other is changed
    others: tuple[str, ...]  # the uses of data that stay, or that end
    forgets: tuple[str, ...]  # the parts of the profile that are not told any more


@dataclass(frozen=True)
class VerifiedAsk:
    """What a service asks of a clerk's verification, and what it would be told: nothing if nobody has looked."""

    ial: int
    rows: tuple[ScopeRow, ...]
    documents: bool  # it asks which documents were seen
    number: bool  # and a document's number
    kinds: tuple[str, ...]
    register: bool = False  # a register spoke for a certificate; no clerk looked


@dataclass(frozen=True)
class ServiceLink:
    """Where a service says something of itself, and at whose place that is."""

    kind: str  # policy | tos
    href: str
    host: str


@dataclass(frozen=True)
class ServiceMark:
    """What a service shows of itself: its logo as we keep it ("" if none), and its links."""

    logo: str
    links: tuple[ServiceLink, ...]


NO_MARK = ServiceMark("", ())


@dataclass(frozen=True)
class StepUp:
    """interaction/step_up.html: the resident, or their sign-in, is not as sure as the service needs."""

    action: str
    person: str
    client: str
    ial: int  # the level of identity that is missing, 0 if none is
    aal: int  # the level of the sign-in that is missing, 0 if none is
    again_href: str
    app_href: str  # "" where an app would not help
    register: bool = False  # a linked card would do as well as the counter


@dataclass(frozen=True)
class Consent:
    """interaction/consent.html."""

    action: str
    person: str
    client: str
    asks: tuple[Ask, ...]
    learns: tuple[ScopeRow, ...]
    keeps_access: bool
    later: str  # what happens if it is answered later
    now: int
    elsewhere: Elsewhere | None
    amends: Amends | None = None
    verified: VerifiedAsk | None = None
    mark: ServiceMark = NO_MARK


@dataclass(frozen=True)
class Scopes:
    """interaction/scopes.html: a sign-in that shares the profile, no data."""

    action: str
    person: str
    client: str
    recipient: str
    unchecked: str  # where a service leads that nobody stands for; "" if a member or the city does
    learns: tuple[ScopeRow, ...]
    keeps_access: bool
    waits_until: int
    elsewhere: Elsewhere | None
    amends: Amends | None = None
    verified: VerifiedAsk | None = None
    mark: ServiceMark = NO_MARK


_CHECKUP = CategoryRow(
    id="health_checkup",
    control="category-health_checkup",
    name="健診結果",
    description="健康診断の数値と医師の判定",
    sample="血圧（上）128 mmHg、HbA1c 5.6 %、医師の判定 B わずかに異常",
    sample_at=NOW - 220 * DAY,
    count=6,
    required=True,
    ticked=True,
    sensitivity="特に配慮が必要な情報",
    careful=True,
    new=False,
)
_MOBILITY = CategoryRow(
    id="mobility",
    control="category-mobility",
    name="バスの乗り降り",
    description="乗った所と降りた所、時刻",
    sample="湊浜駅前・市民病院・8:15",
    sample_at=NOW - 2 * DAY,
    count=214,
    required=False,
    ticked=False,
    sensitivity="行動や家族がわかる情報",
    careful=False,
    new=False,
)
_NONE = replace(
    _MOBILITY,
    id="vaccination",
    control="category-vaccination",
    name="予防接種の記録",
    description="受けた予防接種と日付",
    sample="",
    sample_at=None,
    count=0,
    sensitivity="特に配慮が必要な情報",
    careful=True,
)
_ASK = Ask(
    field="category",
    revision_field="revision",
    revision_id="rev_01",
    title="健康相談のための健診結果の利用",
    question="みなと診療所が、健康相談のために、あなたの健診結果を2027年5月21日まで見てもよいですか。",
    recipient="みなと診療所",
    recipient_site="湊浜市本町2丁目",
    accreditation="湊浜市が2026年4月に審査した参加団体です。",
    jurisdiction="日本国内だけで扱います。",
    purpose="あなたの健診結果の変化を見て、生活習慣病の予防について相談に乗るため。",
    until=NOW + 180 * DAY,
    duration_days=180,
    retention="期限が過ぎたら30日以内に消します。",
    benefit="健診のたびに紙を持って行かなくても、前の結果と比べた相談を無料で受けられます。",
    may_not=("ほかの会社や人に渡すこと", "広告や保険の審査に使うこと", "ここに書かれていない目的に使うこと"),
    if_refused="何も変わりません。診療も健康相談も、これまでどおり受けられます。",
    basis="あなたの同意（個人情報の保護に関する法律 第20条第2項、第27条第1項）",
    checked_by="湊浜市データ倫理審査会が2026年10月3日に確かめ、条件つきで認めました。",
    number=2,
    full_text=("みなと診療所は、あなたの健診結果を健康相談のために使います。", "あなたはいつでも取り消せます。"),
    earlier=(Earlier(1, NOW - 400 * DAY),),
    changed=False,
    rows=(_CHECKUP, _NONE, _MOBILITY),
)


@dataclass(frozen=True)
class FormPost:
    """The form that carries an answer to the service."""

    client: str
    action: str
    fields: tuple[tuple[str, str], ...]


def samples() -> list[Sample]:
    """One ask, a changed one, two at once with long names, and the plain sign-ins."""
    one = Consent(
        action="/interaction/int_01",
        person="浜田 みどり",
        client="みなと診療所の健康ノート",
        asks=(_ASK,),
        learns=(),
        keeps_access=False,
        later="サービスに戻ります。まだ何も見せません。質問は2026年12月22日まで「同意」でお待ちします。",
        now=NOW,
        elsewhere=None,
    )
    long_name = "特定非営利活動法人湊浜市高齢者見守り地域包括支援ネットワーク推進協議会連合会"
    changed = replace(
        _ASK,
        field="category-2",
        revision_field="revision-2",
        changed=True,
        recipient=long_name,
        question=f"{long_name}が、見守りのために、あなたの世帯の情報を2027年5月21日まで見てもよいですか。",
        rows=(
            replace(_CHECKUP, control="category-2-household", name="世帯の情報", sample="2人・65歳以上1人"),
            replace(_NONE, control="category-2-vaccination", new=True),
        ),
    )
    before = "みなと診療所が、健康相談のために、あなたの予防接種の記録を2027年3月1日まで見ることができます。"
    learns = (ScopeRow("お名前", "浜田 みどり"), ScopeRow("メールアドレス", "midori@example.jp"))
    return [
        Sample("interaction/consent.html", "one", one, viewer="resident"),
        Sample(
            "interaction/consent.html",
            "changed",
            replace(one, asks=(replace(changed, field="category"),)),
            viewer="resident",
        ),
        Sample(
            "interaction/consent.html",
            "two",
            replace(one, asks=(_ASK, changed), learns=learns, keeps_access=True),
            viewer="resident",
        ),
        Sample(
            "interaction/scopes.html",
            "profile",
            Scopes(
                "/interaction/int_02",
                "浜田 みどり",
                "市バスの定期券",
                "湊浜交通",
                "",
                learns,
                True,
                NOW + 1_800_000,
                None,
            ),
            viewer="resident",
        ),
        Sample(
            "interaction/scopes.html",
            "verified",
            Scopes(
                "/interaction/int_07",
                "浜田 みどり",
                "口座開設",
                "湊浜信用金庫",
                "",
                learns,
                False,
                NOW + 1_800_000,
                None,
                verified=VerifiedAsk(
                    3,
                    (*learns[:1], ScopeRow("生年月日", "1981年12月2日")),
                    True,
                    True,
                    ("individual-number-card", "driving-licence"),
                ),
            ),
            viewer="resident",
        ),
        Sample(
            "interaction/scopes.html",
            "verified-nothing",
            Scopes(
                "/interaction/int_08",
                "浜田 みどり",
                "口座開設",
                "湊浜信用金庫",
                "",
                (),
                False,
                NOW + 1_800_000,
                None,
                verified=VerifiedAsk(0, (), False, False, ()),
            ),
            viewer="resident",
        ),
        Sample(
            "interaction/step_up.html",
            "desk",
            StepUp("/interaction/int_09", "浜田 みどり", "口座開設", 2, 0, "", ""),
            viewer="resident",
        ),
        Sample(
            "interaction/step_up.html",
            "sign-in",
            StepUp("/interaction/int_10", "浜田 みどり", "口座開設", 0, 2, "/sign-in?again=1", "/safety/app"),
            viewer="resident",
        ),
        Sample(
            "interaction/step_up.html",
            "both",
            StepUp("/interaction/int_11", "浜田 みどり", "口座開設", 3, 3, "/sign-in?again=1", ""),
            viewer="resident",
        ),
        Sample(
            "interaction/scopes.html",
            "openid",
            Scopes(
                "/interaction/int_03",
                "浜田 みどり",
                "時刻表メモ",
                "",
                "times.example",
                (),
                False,
                NOW + 1_800_000,
                None,
            ),
            viewer="resident",
        ),
        Sample(
            "interaction/scopes.html",
            "device",
            Scopes(
                "/interaction/int_04",
                "浜田 みどり",
                "まちかど端末",
                "湊浜市",
                "",
                learns,
                False,
                NOW + 600_000,
                Elsewhere(True, "WDJB-MJHT"),
            ),
            viewer="resident",
        ),
        Sample(
            "interaction/scopes.html",
            "counter",
            Scopes(
                "/interaction/int_05",
                "浜田 みどり",
                "市民課の窓口",
                "湊浜市",
                "",
                learns,
                False,
                NOW + 600_000,
                Elsewhere(False, "3番 41-07"),
            ),
            viewer="resident",
        ),
        Sample(
            "interaction/scopes.html",
            "counter-silent",
            Scopes(
                "/interaction/int_06",
                "浜田 みどり",
                "市民課の窓口",
                "湊浜市",
                "",
                learns,
                False,
                NOW + 600_000,
                Elsewhere(False, ""),
            ),
            viewer="resident",
        ),
        Sample(
            "interaction/consent.html",
            "device",
            replace(one, client="見守りセンサー", elsewhere=Elsewhere(True, "WDJB-MJHT")),
            viewer="resident",
        ),
        Sample(
            "interaction/consent.html",
            "added",
            replace(one, amends=Amends(True, "0.1", (before,), ())),
            viewer="resident",
        ),
        Sample(
            "interaction/consent.html",
            "replaced",
            replace(one, amends=Amends(False, "0.1", (before, before), ("ご住所", "生年月日"))),
            viewer="resident",
        ),
        Sample(
            "interaction/form_post.html",
            "answer",
            FormPost("みなと診療所の健康ノート", "https://clinic.example/cb", (("code", "skc_1"), ("state", "x"))),
            viewer="resident",
        ),
    ]
