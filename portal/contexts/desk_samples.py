"""Samples of the incident desk's pages."""

from dataclasses import replace
from typing import Any

from cert.deadlines import Answer, Body, Facts, clocks
from cert.layers import LAYERS
from kit.clock import DAY, HOUR, MINUTE
from portal.contexts import Sample
from portal.contexts.desk import (
    ActionLine,
    AlertForm,
    AlertGroup,
    AlertLine,
    Board,
    Choice,
    CloseForm,
    ContainmentLine,
    ContainPreview,
    Did,
    Due,
    Held,
    IncidentForm,
    IncidentLine,
    LayerBox,
    LayerLine,
    LeftClock,
    LeftTask,
    Queue,
    Target,
    TaskLine,
    Thing,
    TimelineLine,
    Workbench,
    in_words,
)

_NOW = 1_795_312_200_000  # 22 November 2026, 14:10 in Japan


def _alert(number: int, **more: Any) -> AlertLine:
    first = AlertLine(
        id=f"alr_{number}",
        kind="credential-stuffing",
        severity="critical",
        title="",
        note="",
        count=46,
        first_at=_NOW - 38 * MINUTE,
        last_at=_NOW - 2 * MINUTE,
        state="new",
        owner="",
        reason="",
        things=(
            Thing("source", "203.0.113.77"),
            Thing("account", "…7k2q9d", "entered"),
            Thing("account", "…x81m0a"),
            Thing("account", "…p4c6tt"),
        ),
        more_things=37,
    )
    return replace(first, **more)


_GROUPS = (
    AlertGroup(
        ("source",),
        (
            _alert(1),
            _alert(
                2,
                kind="password-guessing",
                severity="medium",
                count=14,
                state="triaged",
                owner="三崎 航",
                things=(Thing("source", "203.0.113.77"), Thing("account", "…x81m0a")),
                more_things=0,
            ),
        ),
    ),
    AlertGroup(
        (),
        (
            _alert(
                3,
                kind="refresh-reuse",
                severity="high",
                count=1,
                first_at=_NOW - 3 * HOUR,
                last_at=_NOW - 3 * HOUR,
                things=(Thing("client", "湊浜バス アプリ"), Thing("grant", "…d03v7e")),
                more_things=0,
            ),
        ),
    ),
    AlertGroup(
        (),
        (
            _alert(
                4,
                kind="phishing",
                severity="low",
                title="「湊浜市給付金のお知らせ」をかたるメールが届いたと、南町の住民から電話があった。リンク先は市の入口に似せてある",
                note="見本を受け取り済み。",
                count=3,
                first_at=_NOW - 26 * HOUR,
                last_at=_NOW - 5 * HOUR,
                things=(),
                more_things=0,
            ),
        ),
    ),
)

_INCIDENTS = (
    IncidentLine(
        "inc_1", "2026-014", "湊浜バスの更新トークンが市外から使われた", "high", "contained", "TLP:AMBER",
        (4, 5, 6, 9),
        Due("appi-preliminary", _NOW + 3 * DAY + 10 * HOUR, possible=True), 3, "三崎 航", _NOW - 26 * HOUR,
    ),
    IncidentLine(
        "inc_2", "2026-013", "防災倉庫の開閉センサー12台が沈黙", "medium", "triage", "TLP:GREEN",
        (5, 8), None, 1, "", _NOW - 4 * DAY,
    ),
    IncidentLine(
        "inc_3", "2026-011", "委託先の端末紛失（暗号化済み）", "low", "recovering", "TLP:AMBER+STRICT",
        (3, 6), Due("appi-final", _NOW - 2 * HOUR, possible=False), 0, "浜口 玲子", _NOW - 29 * DAY,
    ),
)  # fmt: skip

_LINES = (
    TimelineLine(
        "alert", _NOW - 27 * HOUR, _NOW - 26 * HOUR, True, True, "検知", "log", "", after="refresh-reuse",
        counts=(("alerts", 1),),
    ),
    TimelineLine("opened", _NOW - 26 * HOUR, _NOW - 26 * HOUR, False, True, "三崎 航", "desk", ""),
    TimelineLine(
        "moved", _NOW - 25 * HOUR, _NOW - 25 * HOUR, False, True, "三崎 航", "desk", "", before="new", after="triage"
    ),
    TimelineLine(
        "note", _NOW - 30 * HOUR, _NOW - 24 * HOUR, True, False, "三崎 航", "phone",
        "湊浜バスの運用担当から：開発用端末1台が朝から見当たらない。秘密鍵が入っていた可能性がある。",
    ),
    TimelineLine(
        "contained", _NOW - 23 * HOUR, _NOW - 23 * HOUR, False, True, "浜口 玲子", "desk", "鍵が戻るまで止める",
        after="suspend_client", counts=(("clients", 1), ("tokens", 412), ("residents", 118)),
        targets=("湊浜バス アプリ",),
    ),
    TimelineLine(
        "edited", _NOW - 22 * HOUR, _NOW - 22 * HOUR, False, True, "三崎 航", "desk", "",
        fields=("severity", "layers", "facts"),
    ),
    TimelineLine(
        "edited", _NOW - 22 * HOUR, _NOW - 22 * HOUR, False, True, "三崎 航", "desk", "", filed=("appi-preliminary",)
    ),
    TimelineLine(
        "edited", _NOW - 22 * HOUR, _NOW - 22 * HOUR, False, True, "三崎 航", "desk", "",
        fields=("owner_id",), unfiled=("gdpr-authority",),
    ),
    TimelineLine("task", _NOW - 21 * HOUR, _NOW - 21 * HOUR, False, True, "三崎 航", "desk", "鍵の交換", after="done"),
)  # fmt: skip


def _layers(touched: tuple[int, ...], lang: str = "ja") -> tuple[LayerLine, ...]:
    return tuple(LayerLine(one.number, one.name.to(lang), one.asks.to(lang), one.number in touched) for one in LAYERS)


def _workbench() -> Workbench:
    law = Facts(
        aware_at=_NOW - 26 * HOUR,
        personal_data=Answer.YES,
        protected=Answer.NO,
        body=Body.CITY,
        people_certain=86,
        people_possible=32,
        eu_residents=Answer.UNKNOWN,
    )
    found = tuple(in_words(clock, "ja") for clock in clocks(law))
    return Workbench(
        id="inc_1",
        reference="2026-014",
        title="湊浜バスの更新トークンが市外から使われた",
        severity="high",
        state="contained",
        tlp="TLP:AMBER",
        owner="三崎 航",
        opened_at=_NOW - 26 * HOUR,
        aware_at=_NOW - 26 * HOUR,
        began_at=_NOW - 30 * HOUR,
        ended_at=None,
        closed_at=None,
        summary="",
        version=9,
        due=Due("gdpr-authority", _NOW + 46 * HOUR, possible=True),
        alerts=(_GROUPS[1].alerts[0],),
        lines=_LINES,
        layers=_layers((4, 5, 6, 9)),
        assets=(
            Thing("client", "湊浜バス アプリ", href="/console/clients/cli_bus"),
            Thing("member", "湊浜バス株式会社", href="/console/members/mem_bus"),
            Thing("category", "mobility"),
            Thing("account", "…7k2q9d"),
            Thing("system", "開発用端末 BUS-DEV-04"),
        ),
        certain=86,
        possible=32,
        clocks=found,
        rules_old=False,
        facts={
            "personal_data": "yes",
            "sensitive": "unknown",
            "property_damage": "no",
            "wrongful_purpose": "unknown",
            "protected": "no",
            "eu_residents": "unknown",
        },
        body="city",
        tasks=(
            TaskLine("tsk_1", "湊浜バスに鍵の入替えを確認する", "done", "三崎 航", None),
            TaskLine("tsk_2", "端末の最後の位置を警察に伝える", "open", "浜口 玲子", _NOW - HOUR),
            TaskLine("tsk_3", "本人への通知文を作る", "open", "", _NOW + 2 * DAY),
            TaskLine("tsk_4", "広報課と公表の要否を決める", "open", "", None),
        ),
        actions=(
            ActionLine("end_sessions", (Thing("account", "…7k2q9d"),), ("acc_7k2q9d",)),
            ActionLine(
                "suspend_client",
                (Thing("client", "湊浜バス アプリ"), Thing("client", "湊浜診療所 健康手帳")),
                ("cli_bus", "cli_clinic"),
            ),
            ActionLine("suspend_sharing", (Thing("member", "湊浜バス株式会社"),), ("mem_bus",)),
        ),
        containments=(
            ContainmentLine(
                "cnt_1",
                "suspend_client",
                ("湊浜バス アプリ",),
                (("clients", 1), ("tokens", 412), ("residents", 118)),
                _NOW - 23 * HOUR,
                "浜口 玲子",
                True,
                None,
            ),
        ),
        moves=("triage", "eradicated", "recovering"),
        is_lead=True,
        values={},
        errors={},
        now=_NOW,
    )


def _form(**more: Any) -> IncidentForm:
    first = IncidentForm(
        reference="",
        values={"title": "", "severity": "high", "tlp": "TLP:AMBER", "note": ""},
        layers=tuple(LayerBox(one.number, one.name.ja, one.number in (5, 9)) for one in LAYERS),
        alerts=(_GROUPS[0].alerts[0], _GROUPS[0].alerts[1]),
        owners=(),
        errors={},
        back="/desk",
    )
    return replace(first, **more)


_CHOICES = (Choice("inc_1", "2026-014 湊浜バスの更新トークンが市外から使われた"),)


def samples() -> list[Sample]:
    """The desk at 3 a.m., on a quiet day, and with a long night behind it."""
    bench = _workbench()
    board = Board(
        incidents=_INCIDENTS,
        closed=(replace(_INCIDENTS[2], id="inc_9", reference="2026-009", state="closed", due=None),),
        groups=_GROUPS,
        waiting=4,
        choices=_CHOICES,
        did=Did("alr_9", "dismissed"),
        back="/desk",
        now=_NOW,
    )
    queue = Queue(
        state="waiting",
        counts={"waiting": 1204, "dismissed": 88, "in_incident": 31},
        groups=_GROUPS,
        choices=_CHOICES,
        did=None,
        back="/desk/alerts?state=waiting",
        older="/desk/alerts?after=1",
        now=_NOW,
    )
    dismissed = replace(_GROUPS[2].alerts[0], state="dismissed", reason="expected")
    taken = replace(_GROUPS[1].alerts[0], state="in_incident", incident_id="inc_1")
    return [
        Sample("desk/board.html", "busy", board, viewer="lead", path="/desk"),
        Sample(
            "desk/board.html",
            "quiet",
            replace(board, incidents=(), closed=(), groups=(), waiting=0, choices=(), did=None),
            viewer="analyst",
            path="/desk",
        ),
        Sample("desk/queue.html", "waiting", queue, viewer="analyst", path="/desk/alerts"),
        Sample(
            "desk/queue.html",
            "dismissed",
            replace(queue, state="dismissed", groups=(AlertGroup((), (dismissed, taken)),), older=""),
            viewer="analyst",
            path="/desk/alerts",
        ),
        Sample(
            "desk/alert_new.html", "empty", AlertForm({}, {}), viewer="analyst", path="/desk/alerts/new"
        ),
        Sample(
            "desk/alert_new.html",
            "errors",
            AlertForm({"title": "", "kind": "leak", "severity": "high"}, {"title": "Write in one line what was seen."}),
            viewer="analyst",
            path="/desk/alerts/new",
        ),
        Sample("desk/incident_form.html", "new", _form(), viewer="analyst", path="/desk/incidents/new"),
        Sample(
            "desk/incident_form.html",
            "edit",
            _form(
                reference="2026-014",
                values={
                    "title": bench.title,
                    "severity": "high",
                    "tlp": "TLP:AMBER",
                    "owner": "acc_2",
                    "aware_at": "2026-11-21T12:10",
                    "began_at": "2026-11-21T08:10",
                    "ended_at": "",
                    "assets": "client cli_bus\nmember mem_bus\nsystem 開発用端末 BUS-DEV-04",
                    "version": "9",
                },
                alerts=(),
                owners=(Choice("acc_1", "浜口 玲子"), Choice("acc_2", "三崎 航")),
                errors={"began_at": "This time has not come yet."},
                back="/desk/incidents/inc_1",
            ),
            viewer="lead",
            path="/desk/incidents/inc_1/edit",
        ),
        Sample("desk/incident.html", "contained", bench, viewer="lead", path="/desk/incidents/inc_1"),
        Sample(
            "desk/incident.html",
            "empty",
            replace(
                bench,
                alerts=(),
                lines=_LINES[1:2],
                assets=(),
                certain=0,
                possible=0,
                tasks=(),
                containments=(),
                state="new",
                severity="low",
                moves=("triage",),
                is_lead=False,
                actions=bench.actions[1:],
                rules_old=True,
                errors={"text": "Write what happened."},
                layers=_layers(()),
                due=None,
            ),
            viewer="analyst",
            path="/desk/incidents/inc_1",
        ),
        Sample(
            "desk/incident.html",
            "closed",
            replace(
                bench,
                state="closed",
                closed_at=_NOW - HOUR,
                ended_at=_NOW - 2 * HOUR,
                summary="開発用端末の紛失により更新トークンが市外から1回使われた。4時間で停止し、鍵を入れ替えた。"
                "閲覧された可能性のある86人に通知済み。以後、開発用端末に本番の鍵を置かない。",
                moves=("triage",),
                tasks=bench.tasks[:1],
                actions=(),
                due=None,
            ),
            viewer="lead",
            path="/desk/incidents/inc_1",
        ),
        Sample(
            "desk/contain.html",
            "client",
            ContainPreview(
                "inc_1", "2026-014", bench.title, "suspend_client",
                (Target("client", "湊浜バス アプリ"),), ("cli_bus",),
                (("clients", 1), ("grants", 118), ("residents", 118)), True, True,
            ),
            viewer="lead",
            path="/desk/incidents/inc_1/contain",
        ),
        Sample(
            "desk/contain.html",
            "sessions-analyst",
            ContainPreview(
                "inc_1", "2026-014", bench.title, "end_sessions",
                (Target("account", "…7k2q9d"), Target("account", "…x81m0a")), ("acc_7k2q9d", "acc_x81m0a"),
                (("accounts", 2), ("sessions", 3)), False, False,
            ),
            viewer="analyst",
            path="/desk/incidents/inc_1/contain",
        ),
        Sample(
            "desk/close.html",
            "held-up",
            CloseForm(
                "inc_1", "2026-014", bench.title, 9,
                tuple(LeftTask(task.title, task.owner) for task in bench.tasks[1:]),
                (Held("suspend_client", ("湊浜バス アプリ",)),),
                tuple(LeftClock(clock.name, clock.to, clock.due_at) for clock in bench.clocks[:2]),
                "", "",
            ),
            viewer="lead",
            path="/desk/incidents/inc_1/close",
        ),
        Sample(
            "desk/close.html",
            "ready",
            CloseForm("inc_1", "2026-014", bench.title, 9, (), (), (), "done", "Write a little more."),
            viewer="lead",
            path="/desk/incidents/inc_1/close",
        ),
    ]  # fmt: skip
