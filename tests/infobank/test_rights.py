"""Taking everything home, and leaving (infobank/export.py, rights.py)."""

import hashlib
import io
import json
import zipfile
from html.parser import HTMLParser

from infobank import disclosures, rights, store, views
from infobank.cursors import read_cursor
from infobank.settings import InfobankSettings
from keys.hashing import TokenHasher
from kit.clock import DAY
from tests.support.bank import CHECKUP, JOURNEY, Bank


async def _export(bank: Bank, account_id: str) -> zipfile.ZipFile:
    answer = await bank.http.get("/api/bank/my/export", headers=await bank.sign_in(account_id))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"] == 'attachment; filename="sekisho-2026-11-18.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    return archive


async def test_the_export_holds_everything_and_its_manifest_names_it(bank: Bank) -> None:
    ids = await bank.put(bank.hana, "mobility", *({**JOURNEY, "minutes": minute % 60} for minute in range(1203)))
    await bank.put(bank.hana, "health_checkup", CHECKUP, source="mem_clinic")
    await bank.put(bank.taro, "health_checkup", {**CHECKUP, "note": "taro's own"})
    consent = await bank.agree(bank.hana, "health_checkup")
    await bank.fetch(await bank.token(bank.hana, consent, "health_checkup"))
    archive = await _export(bank, bank.hana)
    names = archive.namelist()
    found = [
        record["id"]
        for name in names
        if name.startswith("data/mobility")
        for record in json.loads(archive.read(name))["records"]
    ]
    assert sorted(found) == sorted(ids)
    (line,) = json.loads(archive.read("disclosures.json"))
    assert line["receiverCode"] == "mem_clinic"
    assert line["consent"] == consent
    assert json.loads(archive.read("profile.json"))["name"] == "湊 花"
    manifest = json.loads(archive.read("manifest.json"))["files"]
    assert {entry["name"] for entry in manifest} == set(names) - {"manifest.json"}
    for entry in manifest:
        assert hashlib.sha256(archive.read(entry["name"])).hexdigest() == entry["sha256"]
    everything = b"".join(archive.read(name) for name in names)
    assert b"taro's own" not in everything


async def test_the_receipts_are_in_the_export(bank: Bank) -> None:
    consent = await bank.agree(bank.hana, "health_checkup")
    archive = await _export(bank, bank.hana)
    names = [name for name in archive.namelist() if name.startswith("receipts/")]
    assert any(consent in name for name in names), archive.namelist()


async def test_the_readable_pages_need_nothing_from_outside_and_escape_what_people_wrote(bank: Bank) -> None:
    await bank.put(bank.hana, "health_checkup", {**CHECKUP, "note": "<script>alert(1)</script>&"})
    archive = await _export(bank, bank.hana)
    for name, title in (("index.html", "あなたのデータの写し"), ("index.en.html", "A copy of your data")):
        page = archive.read(name).decode()
        assert title in page
        assert "<script" not in page
        assert "src=" not in page
        assert "http" not in page
        HTMLParser().feed(page)
    assert "血圧（上）" in archive.read("index.html").decode()


async def test_an_empty_export_is_whole_too(bank: Bank) -> None:
    archive = await _export(bank, bank.taro)
    assert "index.html" in archive.namelist()
    assert json.loads(archive.read("disclosures.json")) == []


async def test_the_history_api_tells_who_what_when_why_and_under_which_consent(bank: Bank) -> None:
    await bank.put(bank.hana, "health_checkup", CHECKUP)
    consent = await bank.agree(bank.hana, "health_checkup", "mobility")
    token = await bank.token(bank.hana, consent, "health_checkup", "mobility")
    for category in ("health_checkup", "mobility", "health_checkup"):
        assert (await bank.fetch(token, category=category)).status_code == 200
    headers = await bank.sign_in(bank.hana)

    async def ask(query: str) -> dict[str, object]:
        answer = await bank.http.get(f"/api/bank/my/disclosures?{query}", headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    lines = (await ask("lang=en"))["disclosures"]
    assert isinstance(lines, list)
    assert len(lines) == 3
    assert lines[0]["receiverName"] == "clinic"
    assert lines[0]["purpose"] == "ImproveHealthcare"
    assert lines[0]["consent"] == consent
    assert lines[0]["agreementRevision"] == bank.revision
    assert lines[0]["categories"] == [{"category": "health_checkup", "records": 1}]
    assert len((await ask("category=mobility"))["disclosures"]) == 1  # type: ignore[arg-type]
    assert len((await ask("member=mem_bus"))["disclosures"]) == 0  # type: ignore[arg-type]
    page = await ask("limit=2")
    assert page["next"] == 2
    assert len((await ask("limit=2&offset=2"))["disclosures"]) == 1  # type: ignore[arg-type]
    assert (await bank.http.get("/api/bank/my/disclosures?since=x", headers=headers)).status_code == 422


async def test_leaving_erases_everything_and_tells_what_is_kept(bank: Bank) -> None:
    await bank.put(bank.hana, "health_checkup", CHECKUP)
    await bank.put(bank.taro, "health_checkup", CHECKUP)
    consent = await bank.agree(bank.hana, "health_checkup")
    token = await bank.token(bank.hana, consent, "health_checkup")
    headers = await bank.sign_in(bank.hana)
    assert (await bank.fetch(token)).status_code == 200
    settings = InfobankSettings()
    shown = await bank.db.read(rights.preview, account_id=bank.hana, settings=settings, now=bank.now)
    done = await bank.db.write(
        rights.erase, bank.sealer, bank.app.host.get(TokenHasher), account_id=bank.hana, settings=settings,
        actor=bank.resident(bank.hana), now=bank.now,
    )  # fmt: skip
    assert (shown.records, shown.grants, shown.disclosures) == (1, 1, 1)
    assert (done.records, done.consents, done.grants) == (1, (consent,), 1)
    assert done.complete_at == bank.now + settings.key_backup_days * DAY
    assert [kept.until is None for kept in done.kept] == [False, True, True]
    assert shown.kept == done.kept
    assert (await bank.fetch(token)).status_code == 401
    assert (await bank.http.get("/api/bank/my", headers=headers)).status_code == 401
    assert await bank.db.read(store.counts, bank.hana) == {}
    assert len(await bank.db.read(disclosures.history, bank.hana)) == 1, "kept as the law asks (APPI 29, 30)"
    assert (await bank.db.read(store.counts, bank.taro))["health_checkup"][0] == 1


async def test_a_look_that_found_nothing_is_no_use_of_data(bank: Bank) -> None:
    consent = await bank.agree(bank.hana, "health_checkup")
    token = await bank.token(bank.hana, consent, "health_checkup")
    await bank.fetch(token)
    (day,) = await bank.db.read(views.timeline, bank.catalogue, bank.hana)
    assert len(day.entries) == 1, "it is told among what happened"
    assert await bank.db.read(views.by_consent, bank.hana) == {}
    await bank.put(bank.hana, "health_checkup", CHECKUP, source="mem_clinic")
    await bank.fetch(token)
    assert (await bank.db.read(views.by_consent, bank.hana))[consent][0] == 1


async def test_the_pages_views_are_complete(bank: Bank) -> None:
    past = [{**CHECKUP, "date": f"202{year}-10-02", "systolic": 120 + year} for year in range(6)]
    await bank.put(bank.hana, "health_checkup", *past, source="mem_clinic")
    consent = await bank.agree(bank.hana, "health_checkup")
    await bank.fetch(await bank.token(bank.hana, consent, "health_checkup"))
    areas = await bank.db.read(views.areas, bank.sealer, bank.catalogue, bank.hana)
    assert [area.id for area in areas] == ["health", "mobility", "home", "family", "disaster"]
    card = areas[0].cards[0]
    assert (card.count, card.newest.own, card.sources[0].en) == (6, False, "clinic")
    page = await bank.db.read(views.category_page, bank.sealer, bank.catalogue, bank.hana, "health_checkup", limit=4)
    assert (page.total, len(page.records)) == (6, 4)
    line = next(line for line in page.lines if line.field.name == "systolic")
    assert [point.value for point in line.points] == [120, 121, 122, 123, 124, 125]
    older = await bank.db.read(
        views.category_page, bank.sealer, bank.catalogue, bank.hana, "health_checkup", before=page.next, limit=4
    )
    assert len(older.records) == 2
    assert older.next is None
    (day,) = await bank.db.read(views.timeline, bank.catalogue, bank.hana)
    assert day.entries[0].recipient.name("ja") == "clinic"
    heat = await bank.db.read(views.heat, bank.hana, now=bank.now)
    assert len(heat) == 91
    assert (heat[-1].day, heat[-1].count) == (day.day, 1)
    (recipient,) = await bank.db.read(views.by_recipient, bank.hana, since=0, until=bank.now + 1)
    assert recipient.count == 1
    assert (await bank.db.read(views.by_consent, bank.hana)) == {consent: (1, bank.now)}
    assert read_cursor("nonsense") is None
    for moment in ("9" * 19, "-" + "9" * 19, "٣", "+1", "1_0", ""):  # beyond 64 bits, or not digits at all
        assert read_cursor(f"{moment}.itm_x") is None
