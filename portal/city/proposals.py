"""The four data uses proposed to the residents of Minato-hama: three approved, one waiting for the ethics board.

The words are what a resident reads before deciding, in two languages written side by side and not translated from each
other. Each part answers one question: who, why, what it brings, what may not happen, what if I say no, how to stop.
Data only.
"""

# ruff: noqa: E501  (prose: a sentence stays on its line, so that the two languages can be read side by side)

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """The notice of an agreement in one language."""

    title: str
    question: str  # the one sentence at the top of the page
    purpose: str
    benefit: str
    recipient: str
    forbidden: str
    refusal: str
    withdrawal: str
    retention: str
    review: str  # who checked this, in two lines


@dataclass(frozen=True, slots=True)
class Use:
    """One category in a proposal."""

    category: str
    required: bool
    why_ja: str
    why_en: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """One data use, as its member proposes it."""

    key: str
    member: str
    purpose: str  # DPV 2.3 purpose
    lawful_basis: str  # DPV 2.3 legal basis
    uses: tuple[Use, ...]
    duration: str  # ISO 8601
    retention: str  # ISO 8601, after the end
    jurisdiction: str
    approved: bool
    words: Mapping[str, Words]


PROPOSALS: tuple[Proposal, ...] = (
    Proposal(
        key="checkup-letter",
        member="clinic",
        purpose="ImproveHealthcare",
        lawful_basis="Consent",
        uses=(
            Use("health_checkup", True,
                "前の年とくらべて、変わったところをお知らせするために使います。",
                "To compare this year with the years before and tell you what changed."),
            Use("vaccination", False,
                "受けていない予防接種があれば、いっしょにお知らせします。",
                "To remind you of vaccinations you have not had yet."),
            Use("mobility", False,
                "出かける回数が急に減ったとき、体調をおたずねします。乗り降りした場所は使いません。",
                "To ask how you are if you suddenly go out less. The places themselves are not used."),
        ),
        duration="P180D",
        retention="P30D",
        jurisdiction="JP",
        approved=True,
        words={
            "ja": Words(
                title="けんしん便り",
                question="あなたの健康診断の結果を、みなと診療所が見られるようにしますか。",
                purpose="診療所の看護師があなたの結果を読み、気をつけたいことと次の健診の時期を、年に二回、手紙でお知らせします。",
                benefit="結果の見かたを看護師に無料で相談できます。再検査が必要なときは、予約をお手伝いします。",
                recipient="みなと診療所の看護師三人と医師一人だけが見ます。診療所の外には出しません。",
                forbidden="保険や商品の案内、あなたの雇い主への連絡、研究には使えません。",
                refusal="断っても、診察や健診はこれまでどおり受けられます。",
                withdrawal="いつでも「わたしの同意」の画面でやめられます。やめたその時から、診療所は新しく見ることができません。",
                retention="期間が終わるか、あなたがやめたときは、30日以内に診療所の写しを消します。",
                review="湊浜市データ倫理審査会が2026年6月に確かめ、認めました。\n条件：見る人を四人までに限ること。",
            ),
            "en": Words(
                title="Check-up Letter",
                question="Will you let Minato Clinic see your health check-up results?",
                purpose="A nurse at the clinic reads your results and writes to you twice a year: what to watch, and when the next check-up is due.",
                benefit="You can ask the nurse about your results free of charge, and get help booking a follow-up test if you need one.",
                recipient="Only three nurses and one doctor of Minato Clinic see it. It does not leave the clinic.",
                forbidden="They may not use it for insurance or sales, tell your employer, or use it for research.",
                refusal="If you say no, nothing changes: you are seen and examined as before.",
                withdrawal="You can stop at any time on the page “Consents and instructions”. From that moment the clinic can fetch nothing more.",
                retention="When the period ends, or when you stop, the clinic deletes its copy within 30 days.",
                review="Checked and approved by the Minato-hama Data Ethics Board in June 2026.\nCondition: no more than four people may look.",
            ),
        },
    ),
    Proposal(
        key="bus-timetable",
        member="transit",
        purpose="ImproveTransportMobility",
        lawful_basis="Consent",
        uses=(
            Use("mobility", True,
                "どの停留所で、どの時間に乗り継ぎが間に合っていないかを調べます。",
                "To find the stops and hours where connections are missed."),
            Use("household", False,
                "お住まいの町だけを見て、乗合タクシーの区域を決めるために使います。名前や人数は使いません。",
                "To plan where shared taxis run, from your district only. Names and numbers of people are not used."),
        ),
        duration="P365D",
        retention="P90D",
        jurisdiction="JP",
        approved=True,
        words={
            "ja": Words(
                title="待たない乗り継ぎ",
                question="あなたがバスに乗った記録を、湊浜交通が時刻表の見直しに使えるようにしますか。",
                purpose="乗り継ぎで長く待つ停留所を見つけ、春と秋の時刻表を直します。",
                benefit="よく使う停留所の乗り継ぎが変わるとき、二週間前にお知らせします。乗車ポイントが毎月30円分つきます。",
                recipient="湊浜交通の時刻表係二人が見ます。",
                forbidden="あなたひとりの行動を追うこと、広告に使うこと、ほかの会社に渡すことはできません。",
                refusal="断っても、運賃も乗りかたも変わりません。",
                withdrawal="いつでもやめられます。やめた後の乗車は使われません。もらったポイントはそのままです。",
                retention="終わってから90日以内に消します。だれのものか分からない集計だけが残ります。",
                review="湊浜市データ倫理審査会が2026年4月に確かめ、認めました。\n条件：集計は20人以上をまとめて公表すること。",
            ),
            "en": Words(
                title="Connections without the wait",
                question="Will you let Minatohama Transit use your journeys to improve the timetable?",
                purpose="They look for stops where people wait long for a connection, and mend the timetable each spring and autumn.",
                benefit="You hear two weeks ahead when a connection you use changes, and get 30 yen in ride points a month.",
                recipient="Two timetable planners at Minatohama Transit.",
                forbidden="They may not follow one person's movements, use them for advertising, or pass them to another company.",
                refusal="If you say no, fares and rides stay the same.",
                withdrawal="Stop at any time. Later journeys are not used, and you keep the points.",
                retention="Deleted within 90 days after the end. Only totals remain that point to nobody.",
                review="Checked and approved by the Minato-hama Data Ethics Board in April 2026.\nCondition: totals are published for 20 people or more.",
            ),
        },
    ),
    Proposal(
        key="evacuation-plan",
        member="welfare",
        purpose="PublicBenefit",
        lawful_basis="Consent",
        uses=(
            Use("disaster_support", True,
                "あなたの避難の手順を決め、手助けする人に伝える準備をします。",
                "To write your way to safety down and prepare the people who will help."),
            Use("household", True,
                "迎えに行く先と、いっしょに避難する人を確かめます。",
                "To know where to come for you, and who leaves with you."),
            Use("health_checkup", False,
                "避難所で気をつけること（血圧や血糖）を医療班に伝えます。",
                "To tell the medical team at the shelter what to mind, such as blood pressure or sugar."),
            Use("energy_use", False,
                "停電のとき、暖房や医療機器が止まって困る家から先に声をかけます。",
                "To call first, in a power cut, at homes where heating or medical equipment matters most."),
        ),
        duration="P365D",
        retention="P60D",
        jurisdiction="JP",
        approved=True,
        words={
            "ja": Words(
                title="ひなん安心手帳",
                question="災害のときに備えて、あなたに必要な手助けを、市役所の福祉課が見られるようにしますか。",
                purpose="台風や地震の前に、あなたの避難計画をいっしょに作り、年に一度見直します。",
                benefit="避難の手順を書いた手帳が届きます。警戒レベル3になったら、担当者が電話をかけます。",
                recipient="福祉課の防災担当五人が見ます。災害が起きたときは、あなたが選んだ手助けする人と消防も見ます。",
                forbidden="税や給付の調べに使うこと、ふだんの見回りのために地域の人へ配ることはできません。",
                refusal="断っても、避難所はどなたでも使えます。災害のときの救助も変わりません。",
                withdrawal="いつでもやめられます。手帳はお手元に残り、市の写しは消します。",
                retention="終わってから60日以内に消します。",
                review="湊浜市データ倫理審査会が2026年5月に確かめ、認めました。\n条件：見た人の記録を毎月確かめること。",
            ),
            "en": Words(
                title="Safe Evacuation Notebook",
                question="Will you let the Welfare Office see what help you need, to be ready for a disaster?",
                purpose="Before the typhoon or the earthquake comes, they make an evacuation plan together with you and look at it again once a year.",
                benefit="You get a notebook with your way to safety, and a telephone call when alert level 3 is declared.",
                recipient="Five people of the disaster team in the Welfare Office. In a disaster also the helper you chose, and the fire service.",
                forbidden="They may not use it to check taxes or benefits, or hand it to neighbours for everyday rounds.",
                refusal="If you say no, every shelter is still open to you, and so is rescue.",
                withdrawal="Stop at any time. You keep the notebook; the city's copy is deleted.",
                retention="Deleted within 60 days after the end.",
                review="Checked and approved by the Minato-hama Data Ethics Board in May 2026.\nCondition: who looked is reviewed every month.",
            ),
        },
    ),
    Proposal(
        key="home-light",
        member="energy",
        purpose="ServicePersonalisation",
        lawful_basis="Consent",
        uses=(
            Use("energy_use", True,
                "いつもとちがう使いかたの日に気づくために使います。",
                "To notice a day unlike the others."),
            Use("household", False,
                "ひとり暮らしかどうかで、知らせの出しかたを変えます。",
                "To word the message differently for people who live alone."),
            Use("disaster_support", False,
                "医療機器を使う家の停電を、先に直すために使います。",
                "To restore power first where medical equipment is used."),
        ),
        duration="P365D",
        retention="P30D",
        jurisdiction="JP",
        approved=False,
        words={
            "ja": Words(
                title="くらしの灯り",
                question="あなたの電気の使いかたを、湊浜エネルギー協同組合が見守りに使えるようにしますか。",
                purpose="電気の使いかたがいつもと大きくちがう日に、あなたか、あなたが選んだ人に短い知らせを送ります。",
                benefit="離れて暮らす家族も安心できます。むだな電気に気づくと、料金も下がります。",
                recipient="協同組合の見守り係二人と、あなたが選んだ人が見ます。",
                forbidden="電化製品の宣伝、留守の時間を調べること、ほかの会社に渡すことはできません。",
                refusal="断っても、電気の料金と使いかたは変わりません。",
                withdrawal="いつでもやめられます。やめたその日から知らせは止まります。",
                retention="終わってから30日以内に消します。",
                review="湊浜市データ倫理審査会が認めるまで、\nこのお願いはだれにも届きません。",
            ),
            "en": Words(
                title="Home Light",
                question="Will you let the Minatohama Energy Co-operative use your electricity data to look out for you?",
                purpose="On a day very unlike the others, a short message goes to you or to someone you chose.",
                benefit="Family living far away can rest easy, and noticing wasted power lowers the bill.",
                recipient="Two people at the co-operative, and whoever you chose.",
                forbidden="They may not advertise appliances, work out when you are away, or pass it to another company.",
                refusal="If you say no, your electricity and its price stay the same.",
                withdrawal="Stop at any time. The messages stop that day.",
                retention="Deleted within 30 days after the end.",
                review="Nobody is asked this before the Minato-hama Data Ethics Board has allowed it.",
            ),
        },
    ),
)  # fmt: skip

# Who agreed to what before the demonstration begins, how many days ago, and to which optional parts.
# Hanako has not yet answered the clinic: that is the walk.
AGREED: tuple[tuple[str, str, int, tuple[str, ...]], ...] = (
    ("hanako", "bus-timetable", 96, ("mobility",)),
    ("hanako", "evacuation-plan", 61, ("disaster_support", "household")),
    ("kenichi", "checkup-letter", 88, ("health_checkup",)),
    ("tome", "evacuation-plan", 75, ("disaster_support", "household", "health_checkup")),
    ("ren", "bus-timetable", 40, ("mobility", "household")),
    ("megumi", "bus-timetable", 33, ("mobility",)),
    ("lan", "bus-timetable", 52, ("mobility",)),
    ("tadashi", "checkup-letter", 110, ("health_checkup", "vaccination")),
    ("tadashi", "evacuation-plan", 47, ("disaster_support", "household", "energy_use")),
)

# Past disclosures: resident, agreement, days ago, hour of the day, categories asked for.
DISCLOSED: tuple[tuple[str, str, int, int, tuple[str, ...]], ...] = (
    ("hanako", "bus-timetable", 84, 9, ("mobility",)),
    ("hanako", "bus-timetable", 60, 9, ("mobility",)),
    ("hanako", "evacuation-plan", 58, 14, ("disaster_support", "household")),
    ("hanako", "bus-timetable", 30, 9, ("mobility", "household")),
    ("hanako", "evacuation-plan", 12, 10, ("disaster_support",)),
    ("hanako", "bus-timetable", 3, 9, ("mobility",)),
    ("kenichi", "checkup-letter", 85, 11, ("health_checkup",)),
    ("kenichi", "checkup-letter", 20, 15, ("health_checkup",)),
    ("tome", "evacuation-plan", 70, 10, ("disaster_support", "household", "health_checkup")),
    ("tome", "evacuation-plan", 6, 16, ("disaster_support",)),
    ("ren", "bus-timetable", 30, 9, ("mobility",)),
    ("ren", "bus-timetable", 3, 9, ("mobility", "household")),
    ("megumi", "bus-timetable", 3, 9, ("mobility",)),
    ("lan", "bus-timetable", 30, 9, ("mobility",)),
    ("tadashi", "checkup-letter", 100, 13, ("health_checkup", "vaccination")),
    ("tadashi", "evacuation-plan", 44, 10, ("disaster_support", "household", "energy_use")),
)
