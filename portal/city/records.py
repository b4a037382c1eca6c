"""A few hundred plausible records for the residents of Minato-hama, the same for the same seed and day.

Numbers follow simple stories (blood pressure that came down, a winter's heating, a student's lectures); none is taken
from anybody. Pure: a seed and a day in, records out.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from infobank.catalogue import CITY_ZONE
from portal.city.people import RESIDENTS, Resident

STOPS = (
    "汐見町二丁目", "港本町", "湊浜駅前", "灯台入口", "松原台団地", "鴎浜市場", "みなと診療所前", "市役所前",
    "湊浜大学", "造船所前", "渡船場", "浜の湯",
)  # fmt: skip
ROUTES = ("1系統 駅前循環", "2系統 灯台線", "3系統 松原台線", "5系統 大学急行", "7系統 鴎浜線")


@dataclass(frozen=True, slots=True)
class Record:
    """One record to deposit: whose, by which member (or by the resident, "self"), and what."""

    login: str
    source: str
    category: str
    data: dict[str, Any]


def generate(seed: int, today: date) -> tuple[Record, ...]:
    """All records of the city."""
    found: list[Record] = []
    for resident in RESIDENTS:
        # One stream of chance for each life: a change to one leaves the others as they were.
        rng = random.Random(f"{seed}/{resident.login}")  # noqa: S311
        found.extend(_household(resident, today))
        found.extend(_health(resident, today, rng))
        found.extend(_vaccinations(resident, today, rng))
        found.extend(_mobility(resident, today, rng))
        found.extend(_energy(resident, today, rng))
        found.extend(_disaster(resident, today))
    return tuple(found)


def _household(resident: Resident, today: date) -> Iterator[Record]:
    data: dict[str, Any] = {
        "as_of": date(today.year, 1, 1).isoformat(),
        "postalCode": resident.postal_code,
        "prefecture": "汐路県",
        "cityAndCounty": "湊浜市",
        "streetAddress": resident.district,
        "cityBlock": resident.block,
        "housing": resident.housing,
        "members": len(resident.relations),
        "relations": list(resident.relations),
    }
    if resident.building:
        data["buildingNameEtc"] = resident.building
    if resident.login == "tadashi":
        data["pets"] = "猫 一匹（なぎ）"
    yield Record(resident.login, "welfare", "household", data)


_HEALTH = {  # systolic, change a year, HbA1c, change, LDL, weight
    "good": (116, 0.6, 5.3, 0.0, 108, 56),
    "pressure": (149, -3.5, 5.7, 0.0, 138, 74),
    "sugar": (134, -0.5, 7.4, -0.16, 121, 68),
    "frail": (138, 0.5, 5.8, 0.0, 112, 44),
}


def _health(resident: Resident, today: date, rng: random.Random) -> Iterator[Record]:
    if resident.health == "child":
        return
    systolic, systolic_step, sugar, sugar_step, ldl, weight = _HEALTH[resident.health]
    height = rng.randint(1500, 1630) / 10 if resident.gender == "female" else rng.randint(1620, 1760) / 10
    years = 2 if int(resident.birthdate[:4]) > 2005 else 6
    for index in range(years):
        year = today.year - (years - index if (today.month, today.day) < (10, 20) else years - 1 - index)
        day = date(year, 10, 2 + rng.randint(0, 16))
        upper = round(systolic + systolic_step * index + rng.gauss(0, 3))
        kilos = round(weight + rng.gauss(0, 0.7), 1)
        a1c = round(sugar + sugar_step * index + rng.gauss(0, 0.08), 1)
        bad = round(ldl + rng.gauss(0, 6))
        judgement = "D" if a1c >= 7.0 or upper >= 150 else "C" if a1c >= 6.5 or upper >= 140 else "B"
        if upper < 130 and a1c < 5.6 and bad < 120:
            judgement = "A"
        data: dict[str, Any] = {
            "date": day.isoformat(),
            "facility": "みなと診療所",
            "height": height,
            "weight": kilos,
            "bmi": round(kilos / (height / 100) ** 2, 1),
            "waist": round(kilos * 1.28 + rng.gauss(0, 1.5), 1),
            "systolic": upper,
            "diastolic": round(upper * 0.62 + rng.gauss(0, 2)),
            "hba1c": a1c,
            "glucose": round(a1c * 17 + rng.gauss(0, 4)),
            "ldl": bad,
            "hdl": round(rng.gauss(62, 6)),
            "triglycerides": round(rng.gauss(96, 18)),
            "egfr": round(rng.gauss(82 if resident.health != "frail" else 58, 3), 1),
            "smoking": "former" if resident.login in {"tadashi", "kenichi"} else "never",
            "judgement": judgement,
        }
        if index == years - 1:
            data["note"] = {
                "good": "変わりありません。この調子で続けましょう。",
                "pressure": "血圧が少しずつ下がっています。塩分をひかえる工夫を続けてください。",
                "sugar": "血糖はよくなってきました。次は三か月後に採血しましょう。",
                "frail": "体重が減らないように、たんぱく質をとりましょう。",
            }[resident.health]
        yield Record(resident.login, "clinic", "health_checkup", data)


def _vaccinations(resident: Resident, today: date, rng: random.Random) -> Iterator[Record]:
    plan: list[tuple[str, int, date]] = []
    if resident.health == "child":
        born = date.fromisoformat(resident.birthdate)
        plan = [
            ("dpt_ipv", 1, born + timedelta(days=96)), ("dpt_ipv", 2, born + timedelta(days=124)),
            ("dpt_ipv", 3, born + timedelta(days=152)), ("mr", 1, born + timedelta(days=371)),
            ("varicella", 1, born + timedelta(days=378)), ("je", 1, born + timedelta(days=1110)),
            ("mr", 2, born + timedelta(days=2010)),
        ]  # fmt: skip
    elif resident.health in {"frail", "sugar"}:
        plan = [
            ("influenza", 1, date(today.year - 1, 11, 5 + rng.randint(0, 9))),
            ("pneumococcus", 1, date(today.year - 2, 6, 14)),
        ]
    elif resident.login in {"hanako", "lan"}:
        plan = [("influenza", 1, date(today.year - 1, 11, 8 + rng.randint(0, 9)))]
    for vaccine, dose, day in plan:
        if day <= today:
            data = {
                "date": day.isoformat(),
                "vaccine": vaccine,
                "dose": dose,
                "lot": f"MH{rng.randint(1000, 9999)}",
                "facility": "みなと診療所",
            }
            yield Record(resident.login, "clinic", "vaccination", data)


_HOME_STOPS = {
    "汐見町": "汐見町二丁目", "灯台通": "灯台入口", "港本町": "港本町", "松原台": "松原台団地", "鴎浜": "鴎浜市場",
}  # fmt: skip
_USUAL = {
    "hanako": "みなと診療所前", "sora": "市役所前", "kenichi": "造船所前", "tome": "みなと診療所前",
    "ren": "湊浜大学", "megumi": "湊浜駅前", "lan": "松原台団地", "tadashi": "渡船場",
}  # fmt: skip


def _mobility(resident: Resident, today: date, rng: random.Random) -> Iterator[Record]:
    home = _HOME_STOPS[resident.district]
    days = sorted(rng.sample(range(1, 151), min(resident.rides, 150)), reverse=True)
    for back in days:
        out = rng.random() < 0.55
        other = _USUAL[resident.login] if rng.random() < 0.7 else rng.choice(STOPS)
        if other == home:
            other = "湊浜駅前"
        start = datetime.combine(
            today - timedelta(days=back),
            time(rng.randint(7, 10) if out else rng.randint(15, 19), rng.randint(0, 59)),
            CITY_ZONE,
        )
        minutes = rng.randint(8, 34)
        age = today.year - int(resident.birthdate[:4])
        taxi = resident.health == "frail" and rng.random() < 0.6
        data: dict[str, Any] = {
            "boarded_at": start.isoformat(),
            "alighted_at": (start + timedelta(minutes=minutes)).isoformat(),
            "mode": "demand_taxi" if taxi else "bus",
            "route": "乗合タクシー" if taxi else rng.choice(ROUTES),
            "origin": home if out else other,
            "destination": other if out else home,
            "distance": round(minutes * 0.31 + rng.random(), 1),
            "minutes": minutes,
            "fare": 300 if taxi else 90 if age < 12 or age >= 75 else 180,
            "needs": "guide" if resident.health == "frail" else "none",
        }
        yield Record(resident.login, "transit", "mobility", data)


# Electricity by month for one person, kWh: the north-west wind of Minato-hama blows from December to March.
_SEASON = (268, 246, 212, 164, 132, 138, 196, 224, 172, 136, 158, 236)


def _energy(resident: Resident, today: date, rng: random.Random) -> Iterator[Record]:
    if resident.login not in {"hanako", "kenichi", "ren", "megumi", "tadashi"}:
        return
    months = 18 if resident.login in {"hanako", "megumi"} else 9
    people = len(resident.relations)
    for index in range(months):
        first = date(today.year, today.month, 1)
        for _step in range(months - 1 - index):
            first = (first - timedelta(days=1)).replace(day=1)
        day = first - timedelta(days=1)  # the meter is read on the last day of the month before
        electricity = round(_SEASON[day.month - 1] * (0.62 + 0.38 * people) * rng.uniform(0.93, 1.07), 1)
        peak = round(electricity * rng.uniform(0.52, 0.62), 1)
        gas = round((22 if day.month in {12, 1, 2, 3} else 9) * (0.5 + 0.5 * people) * rng.uniform(0.9, 1.1), 1)
        data: dict[str, Any] = {
            "month_end": day.isoformat(),
            "electricity": electricity,
            "electricity_peak": peak,
            "electricity_offpeak": round(electricity - peak, 1),
            "gas": gas,
            "charge": round(electricity * 31 + gas * 165 + 1200),
            "meter": f"MH-{sum(map(ord, resident.login)) % 9000 + 1000}",
        }
        if resident.solar:
            sun = (190, 230, 330, 390, 430, 360, 380, 410, 310, 270, 200, 170)[day.month - 1]
            data["solar"] = round(sun * rng.uniform(0.85, 1.1), 1)
        yield Record(resident.login, "energy", "energy_use", data)


def _disaster(resident: Resident, today: date) -> Iterator[Record]:
    reviewed = date(today.year if today.month > 6 else today.year - 1, 6, 1).isoformat()
    plans: dict[str, dict[str, Any]] = {
        "hanako": {
            "reasons": ["infant"],
            "walking": "alone",
            "allergies": "空：卵（少しなら食べられる）",
            "supporter_name": "磯部 恵（パン屋）",
            "supporter_phone": "000-0047-0022",
            "shelter": "汐見小学校 体育館",
        },
        "tome": {
            "reasons": ["elderly", "care_level"],
            "walking": "cane",
            "care_level": 2,
            "power_dependent": False,
            "medicines": "朝：血圧の薬一錠、夜：ねる前の薬半錠",
            "supporter_name": "浜野 健一（長男）",
            "supporter_phone": "000-0031-1401",
            "shelter": "福祉避難所 灯台荘",
            "route_note": "階段が多いので、坂の下まで車で。補聴器の電池を忘れずに。",
        },
        "tadashi": {
            "reasons": ["elderly", "illness"],
            "walking": "alone",
            "medicines": "血糖の薬（朝・夕）",
            "allergies": "なし",
            "supporter_name": "鴎浜自治会 三班",
            "supporter_phone": "000-0058-0003",
            "shelter": "鴎浜公民館",
            "route_note": "津波のときは公民館ではなく、灯台公園へ。",
        },
        "lan": {
            "reasons": ["language"],
            "walking": "alone",
            "supporter_name": "灯台荘 同僚",
            "supporter_phone": "000-0007-0102",
            "shelter": "港本町コミュニティセンター",
            "route_note": "Please speak slowly, or in English or Vietnamese.",
        },
    }
    plan = plans.get(resident.login)
    if plan is not None:
        source = "self" if resident.login in {"hanako", "lan"} else "welfare"
        yield Record(resident.login, source, "disaster_support", {"updated": reviewed, **plan})
