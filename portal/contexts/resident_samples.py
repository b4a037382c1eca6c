"""Samples of a resident's pages: home, data, who used it, consents, leaving."""

from dataclasses import replace

from portal import charts
from portal.contexts import Sample
from portal.contexts.consents import ChangeLine
from portal.contexts.resident import (
    DAY,
    NOW,
    AreaLines,
    CategoryData,
    CategoryLine,
    Choice,
    ConsentView,
    Data,
    DeleteRecord,
    Door,
    Erase,
    Erased,
    EventLine,
    FilterGroup,
    FormField,
    Home,
    KeptThing,
    Leave,
    Receipt,
    RecordForm,
    RecordView,
    Renew,
    Sentence,
    UseDay,
    UseLine,
    ValueLine,
    Who,
    Withdraw,
)


def samples() -> list[Sample]:
    """Full, empty and crowded."""
    return [*_home(), *_data(), *_who(), *_consents(), *_leave()]


def _home() -> list[Sample]:
    doors = (
        Door("door-data", "/data", "わたしのデータ", "健診、移動、住まいなど228件。いちばん新しいのは11月20日です。"),
        Door("door-who", "/who", "だれが使ったか", "この30日に12回使われました。"),
        Door("door-consents", "/consents", "わたしの同意", "いま3つに同意しています。"),
        Door("door-safety", "/safety", "安全", "鍵と、サインインしている端末を確かめます。"),
    )
    full = Home(
        person="浜田 みどり",
        today=NOW,
        letter=(
            Sentence(
                "この7日間に、あなたのデータは3回使われました。使ったのはみなと診療所と湊浜交通です。",
                "/who",
                "くわしく見る",
            ),
            Sentence("使われなかったデータもあります。健診結果はこのひと月、だれも見ていません。", "", ""),
        ),
        questions=(
            Sentence(
                "「みなと診療所 けんしん便り」からの質問が、お答えを待っています。16:45までお待ちします。",
                "/interaction/int_1",
                "質問を見る",
            ),
        ),
        waiting=(
            Sentence(
                "湊浜交通への同意は、12月1日に終わります。そのあとは使われません。", "/consents/con_1", "同意を見る"
            ),
        ),
        doors=doors,
    )
    empty = replace(
        full,
        letter=(Sentence("この7日間に、あなたのデータを使った人はいません。", "", ""),),
        questions=(),
        waiting=(),
    )
    return [
        Sample("resident/home.html", "full", full, viewer="resident", path="/home"),
        Sample("resident/home.html", "quiet", empty, viewer="resident", path="/home"),
    ]


def _data() -> list[Sample]:
    lines = (
        CategoryLine(
            "/data/health_checkup",
            "健診結果",
            "血圧（上）128 mmHg、HbA1c 5.6 %",
            NOW - 220 * DAY,
            6,
            "みなと診療所",
            True,
        ),
        CategoryLine("/data/vaccination", "予防接種の記録", "", None, 0, "", True),
    )
    mobility = CategoryLine(
        "/data/mobility", "バスの乗り降り", "湊浜駅前、市民病院", NOW - 2 * DAY, 214, "湊浜交通", False
    )
    page = Data(220, (AreaLines("health", "健康", lines), AreaLines("mobility", "移動", (mobility,))))
    none = Data(0, (AreaLines("health", "健康", (lines[1],)),))
    record = RecordView(
        "itm_1",
        NOW - 220 * DAY,
        "みなと診療所",
        False,
        "血圧（上）128 mmHg、HbA1c 5.6 %",
        (ValueLine("受診日", "2026年4月16日"), ValueLine("体重", "61.2 kg"), ValueLine("血圧（上）", "128 mmHg")),
    )
    own = replace(record, id="itm_2", source="あなた", own=True, at=NOW - 600 * DAY)
    chart = charts.line(
        "血圧（上）",
        "mmHg",
        [(NOW - n * 365 * DAY, f"{2026 - n}年", v) for n, v in ((4, 118), (3, 121), (2, 131), (1, 126), (0, 128))],
    )
    assert chart is not None
    category = CategoryData(
        id="health_checkup",
        name="健診結果",
        area="健康",
        description="健康診断の数値と医師の判定です。",
        sensitivity="特に配慮が必要な情報",
        careful=True,
        model="FHIR International Patient Summary",
        model_href="https://hl7.org/fhir/uv/ips/",
        total=6,
        lines=(chart,),
        records=(record, own),
        older="?before=1",
        newest="",
    )
    fields = (
        FormField("date", "受診日", "date", "", "2026-04-16", (), "", True, (), ()),
        FormField(
            "weight", "体重", "text", "kg", "abc", (), "数字で書いてください。", False, (), (("inputmode", "decimal"),)
        ),
        FormField("smoking", "たばこ", "select", "", "", (), "", False, (("", "選ばない"), ("never", "吸わない")), ()),
        FormField("reasons", "理由", "checks", "", "", ("a",), "", False, (("a", "高齢"), ("b", "持病")), ()),
    )
    form = RecordForm(
        category_id="health_checkup",
        category="健診結果",
        action="/data/health_checkup/add",
        upload_action="/data/health_checkup/upload",
        fields=fields,
        errors={"weight": "数字で書いてください。"},
        labels={"weight": "体重"},
        upload_error="",
        example='[{"date": "2026-04-16", "weight": 61.2}]',
    )
    return [
        Sample("resident/data.html", "full", page, viewer="resident", path="/data"),
        Sample("resident/data.html", "empty", none, viewer="resident", path="/data"),
        Sample("resident/category.html", "full", category, viewer="resident"),
        Sample(
            "resident/category.html",
            "empty",
            replace(category, total=0, lines=(), records=(), older="", newest=""),
            viewer="resident",
        ),
        Sample("resident/record.html", "wrong", form, viewer="resident"),
        Sample(
            "resident/record.html",
            "correct",
            replace(form, errors={}, labels={}, upload_action="", action="/data/health_checkup/itm_2/correct"),
            viewer="resident",
        ),
        Sample(
            "resident/record.html",
            "upload-wrong",
            replace(form, errors={}, labels={}, upload_error="3件目の weight は30以上で書いてください。"),
            viewer="resident",
        ),
        Sample(
            "resident/delete.html",
            "one",
            DeleteRecord("/data/health_checkup/itm_2/delete", "/data/health_checkup", "健診結果", own),
            viewer="resident",
        ),
    ]


def _who() -> list[Sample]:
    line = UseLine(
        "dis_1",
        NOW - 3_600_000,
        "みなと診療所が、あなたの健診結果6件を見ました。",
        "健康相談のため",
        "/consents/con_1",
        "/consents/con_1/withdraw",
        "",
        "",
    )
    signed_in = replace(
        line,
        id="aud_1",
        sentence="サインインのとき、湊浜市立図書館に、あなたのお名前とメールアドレスを伝えました。",
        why="サインインのため",
        consent_href="",
        withdraw_href="",
        grant_id="grt_1",
    )
    other = replace(
        line,
        id="dis_2",
        sentence="湊浜交通が、あなたのバスの乗り降り32件を見ました。",
        why="乗り継ぎの改善のため",
        withdraw_href="",
        withheld="世帯の情報は、同意がないので渡していません。",
    )
    heat = charts.heat(
        "この13週間",
        [
            (
                f"{i}日",
                (i + 2) % 7,
                (i * 7) % 5 if i % 3 else 0,
                "/who?day=x",
                "9月" if i == 0 else "11月" if i == 60 else "",
            )
            for i in range(91)
        ],
    )
    bars = charts.bars("使った人", [("みなと診療所", 9, "/who?who=m1"), ("湊浜交通", 3, "/who?who=m2")])
    full = Who(
        total=12,
        summary="この13週間に12回、2つの団体が使いました。",
        filters=(
            FilterGroup("期間", (("/who", "13週間", True), ("/who?span=year", "1年", False))),
            FilterGroup("だれが", (("/who", "すべて", True), ("/who?who=m1", "みなと診療所", False))),
        ),
        heat=heat,
        recipients=bars,
        days=(UseDay(NOW, (line, other, signed_in)), UseDay(NOW - DAY, (replace(line, id="dis_3"),))),
        newer="",
        older="/who?page=2",
        export_href="/who/export",
    )
    return [
        Sample("resident/who.html", "full", full, viewer="resident", path="/who"),
        Sample(
            "resident/who.html",
            "empty",
            replace(full, total=0, summary="この13週間、だれも使っていません。", recipients=None, days=(), older=""),
            viewer="resident",
            path="/who",
        ),
    ]


def _consents() -> list[Sample]:
    events = (
        EventLine(NOW - 2 * DAY, "あなたが同意しました。", "健診結果、予防接種の記録"),
        EventLine(NOW - 1 * DAY, "あなたが内容を変えました。", "予防接種の記録を外しました"),
    )
    view = ConsentView(
        id="con_01kaq7c9d3f",
        title="健康相談のための健診結果の利用",
        sentence="みなと診療所が、健康相談のために、あなたの健診結果を2027年5月21日まで見てもよい。",
        state="given",
        state_words="有効",
        seal_words="同意",
        seal_date="2026.11.22",
        recipient="みなと診療所",
        purpose="健康相談のため",
        what=("健診結果", "予防接種の記録"),
        not_agreed=("バスの乗り降り",),
        given_at=NOW - 2 * DAY,
        until=NOW + 180 * DAY,
        benefit="前の結果と比べた相談を無料で受けられます。",
        basis="個人情報の保護に関する法律 第27条第1項",
        full_text=("みなと診療所は、あなたの健診結果を健康相談のために使います。",),
        uses=9,
        last_use=NOW - DAY,
        choices=(
            Choice("health_checkup", "健診結果", True, True),
            Choice("vaccination", "予防接種の記録", False, True),
            Choice("mobility", "バスの乗り降り", False, False),
        ),
        events=events,
    )
    over = replace(
        view, state="ended", state_words="取り消しました", seal_words="終了", uses=0, last_use=None, until=None,
        told=(
            "みなと診療所には、11月22日に伝わりました。",
            "相手は、11月25日までに、やめたことを知らせてくる決まりです。",
        ),
    )  # fmt: skip
    code = '<svg class="qr" viewBox="0 0 40 40"><path class="qr-line" stroke="#000" d="M4 8h9M4 12h3M10 20h20"/></svg>'
    renew = Renew(
        action="/consents/con_1/renew",
        back="/consents/con_1",
        title=view.title,
        sentence="みなと診療所が、健康相談のために、あなたの健診結果を2027年6月20日まで見てもよい。",
        recipient=view.recipient,
        revision_id="rev_01kaq7c9d3f",
        shown_in="ja",
        lines=(),
        asked=False,
        until=NOW + 9 * DAY,
        answer_by=None,
        declined=False,
    )
    changes = (
        ChangeLine("見るもの", (), ("薬の記録（必要）",)),
        ChangeLine("相手が持っている期間", ("30日",), ("90日",)),
    )
    receipt = Receipt(
        id="con_01kaq7c9d3f",
        title=view.title,
        person="浜田 みどり",
        sentence=view.sentence,
        seal_words="同意",
        seal_date="2026.11.22",
        state="given",
        state_words="有効",
        given_at=NOW - 2 * DAY,
        until=NOW + 180 * DAY,
        recipient="みなと診療所",
        purpose="健康相談のため",
        what=view.what,
        number=2,
        notice_hash="3b1f0c77a2f94d0f8e6a6b1e0f8d2c3a9e1d7f4b5c6a7d8e9f0a1b2c3d4e5f60",
        log_index=12408,
        download_href="/consents/con_1/receipt.json",
        issuer="https://sekisho.minatohama.example",
    )
    withdraw = Withdraw(
        action="/consents/con_1/withdraw",
        back="/consents/con_1",
        title=view.title,
        recipient="みなと診療所",
        what="健診結果、予防接種の記録",
        uses=9,
        services=("みなと診療所の健康ノート",),
        if_withdrawn="健康相談は、紙の結果を持って行けばこれまでどおり受けられます。",
    )
    return [
        Sample("resident/consent.html", "given", view, viewer="resident"),
        Sample("resident/consent.html", "ended", over, viewer="resident"),
        Sample("resident/renew.html", "same", renew, viewer="resident"),
        Sample("resident/renew.html", "changed", replace(renew, lines=changes, asked=True), viewer="resident"),
        Sample("resident/renew.html", "worded", replace(renew, lines=changes[1:]), viewer="resident"),
        Sample("resident/withdraw.html", "one", withdraw, viewer="resident"),
        Sample("resident/receipt.html", "given", replace(receipt, qr=code), viewer="resident"),
        Sample(
            "resident/receipt.html",
            "waiting",
            replace(receipt, log_index=None, state="ended", state_words="取り消しました", seal_words="終了"),
            viewer="resident",
        ),
    ]


def _leave() -> list[Sample]:
    kept = (
        KeptThing("データを渡した記録", "個人情報保護法が保存を求めています", NOW + 1000 * DAY),
        KeptThing("同意の台帳の印", "台帳が書き換えられていないことを確かめるため", None),
    )
    return [
        Sample("resident/leave.html", "one", Leave(228, 3, 41, NOW + 35 * DAY, kept), viewer="resident", path="/leave"),
        Sample("resident/erase.html", "one", Erase(228, NOW + 35 * DAY, ""), viewer="resident"),
        Sample(
            "resident/erase.html",
            "wrong",
            Erase(228, NOW + 35 * DAY, "「消す」と書いてください。"),
            viewer="resident",
        ),
        Sample("resident/erased.html", "one", Erased(NOW + 35 * DAY, kept, "data:application/json;base64,e30=")),
    ]
