"""Two incidents and a waiting alert for the desk of Minato-hama: one closed, one open. Invented, like all here."""

from collections.abc import Mapping

from cert import alerts, response, tasks
from cert.desk import Desk
from cert.detection import Entity
from cert.fields import Asset, Change
from cert.incidents import Severity, State, Tlp
from kit.clock import DAY, HOUR, MINUTE, Millis
from kit.db import Session
from kit.host import Actor, Host


def plant_incidents(
    session: Session, host: Host, *, staff: Mapping[str, str], residents: Mapping[str, str], now: Millis
) -> None:
    """Through the desk's own functions, as its people would."""
    seals = host.get(Desk).seals
    analyst = Actor("operator", staff["analyst"], roles=frozenset({"analyst"}))
    lead = Actor("operator", staff["lead"], roles=frozenset({"analyst", "lead"}))

    # -- closed: letters that pretended to be the clinic's ------------------------------------------------------
    at = now - 9 * DAY
    first = alerts.raise_alert(
        session,
        seals,
        source="hand",
        kind="phishing",
        severity=Severity.MEDIUM,
        dedup="clinic-letter",
        title="みなと診療所を名のる偽の「健診のお知らせ」",
        note="市民三人から窓口に電話。リンク先は letter-clinic.invalid。入力した人はいない。",
        entities=(Entity("member", "mem_minato_clinic"),),
        count=3,
        actor=analyst,
        now=at,
    )
    incident = response.open_incident(
        session,
        seals,
        title="みなと診療所を名のる偽のお知らせメール",
        severity=Severity.MEDIUM,
        tlp=Tlp.GREEN,
        layers=(4, 5, 9),
        assets=(Asset("member", "mem_minato_clinic"),),
        alert_ids=(first.alert_id,),
        note="窓口の電話三件から。サインイン画面への誘導はあるが、湊浜市のアカウントでの成功はない。",
        actor=analyst,
        now=at + 20 * MINUTE,
    )
    task = tasks.add(
        session, seals, incident, title="偽サイトの停止を事業者に依頼する", owner_id=analyst.id,
        due_at=at + 4 * HOUR, actor=analyst, now=at + 25 * MINUTE,
    )  # fmt: skip
    _move(
        session, host, incident, State.TRIAGE, analyst, at + 30 * MINUTE, "本物の手紙にはリンクがないことを確かめた。"
    )
    response.edit(
        session,
        seals,
        incident,
        version=response.get(session, seals, incident).version,
        change=Change(facts={"personal_data": "no", "sensitive": "no", "eu_residents": "no"}),
        actor=analyst,
        now=at + 45 * MINUTE,
    )
    _move(session, host, incident, State.CONTAINED, lead, at + 2 * HOUR, "診療所と市のページに注意のお知らせを出した。")
    tasks.end(session, seals, incident, task, state="done", actor=analyst, now=at + 5 * HOUR)
    _move(session, host, incident, State.RECOVERING, analyst, at + 6 * HOUR, "偽サイトは止まった。二日間見張る。")
    response.close(
        session,
        seals,
        incident,
        version=response.get(session, seals, incident).version,
        summary=(
            "みなと診療所を名のる偽のお知らせが市民に届いた。サインインに使われた形跡はなく、個人データの漏えいはない。"
            "偽サイトは五時間後に止まった。今後、診療所の手紙には二次元コードを載せず、市の案内だけを使う。"
        ),
        actor=lead,
        now=at + 2 * DAY,
    )

    # -- open: a service's secret lay where anybody could read it ----------------------------------------------
    at = now - 5 * HOUR
    found = alerts.raise_alert(
        session,
        seals,
        source="hand",
        kind="leak",
        severity=Severity.HIGH,
        dedup="transit-secret",
        title="しおかぜバス乗換案内のクライアントシークレットが公開の場に",
        note="公開のソースコード置き場で、試験用の設定ファイルの中から見つかった。最初の投稿は昨日の夕方。",
        entities=(Entity("client", "minatohama-transit"), Entity("member", "mem_minatohama_transit")),
        actor=analyst,
        now=at,
    )
    second = alerts.raise_alert(
        session,
        seals,
        source="hand",
        kind="abuse",
        severity=Severity.MEDIUM,
        dedup="transit-night",
        title="夜中のトークン要求が、ふだんの四倍",
        note="湊浜交通のクライアントから、午前二時台にまとまった要求。どれも認められた範囲の中。",
        entities=(Entity("client", "minatohama-transit"), Entity("account", residents["ren"])),
        count=14,
        actor=analyst,
        now=at + 12 * MINUTE,
    )
    incident = response.open_incident(
        session,
        seals,
        title="湊浜交通のクライアントシークレットの露出",
        severity=Severity.HIGH,
        tlp=Tlp.AMBER,
        layers=(5, 7, 9),
        assets=(Asset("client", "minatohama-transit"), Asset("member", "mem_minatohama_transit"),
                Asset("category", "mobility")),
        alert_ids=(found.alert_id, second.alert_id),
        note="湊浜交通の窓口に電話で連絡した。担当は十五時に折り返す。",
        actor=analyst,
        now=at + 20 * MINUTE,
    )  # fmt: skip
    _move(
        session,
        host,
        incident,
        State.TRIAGE,
        analyst,
        at + 30 * MINUTE,
        "シークレットは現在も有効。範囲は移動の記録だけ。",
    )
    for index, title in enumerate(
        (
            "シークレットを取り替え、湊浜交通に安全な方法で渡す",
            "露出の期間に渡したデータを一件ずつ確かめる",
            "private_key_jwt への移行日を湊浜交通と決める",
        )
    ):
        tasks.add(
            session, seals, incident, title=title, owner_id=(lead if index == 0 else analyst).id,
            due_at=now + (2 + 20 * index) * HOUR, actor=lead, now=at + (40 + index) * MINUTE,
        )  # fmt: skip
    response.edit(
        session,
        seals,
        incident,
        version=response.get(session, seals, incident).version,
        change=Change(facts={"personal_data": "unknown", "sensitive": "no", "eu_residents": "no"}),
        actor=lead,
        now=at + HOUR,
    )

    # -- waiting in the queue ------------------------------------------------------------------------------------
    alerts.raise_alert(
        session,
        seals,
        source="hand",
        kind="phishing",
        severity=Severity.LOW,
        dedup="code-call",
        title="「確認コードを読み上げてください」という電話",
        note="市役所を名のる電話があったと、鴎浜の住民から。コードは教えていない。",
        actor=analyst,
        now=now - 50 * MINUTE,
    )


def _move(session: Session, host: Host, incident: str, to: State, actor: Actor, at: Millis, text: str) -> None:
    seals = host.get(Desk).seals
    version = response.get(session, seals, incident).version
    response.move(session, seals, incident, version=version, to=to, actor=actor, now=at, text=text)
