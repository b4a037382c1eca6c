"""Who lives and works in Minato-hama. Everyone is invented; the prefecture, the post codes (000-…) and the telephone
numbers (000-…) do not exist, and every host ends in `.example` (RFC 2606). Data only.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Resident:
    """One resident, with what the record generator needs to know about a life."""

    login: str
    name: str  # 氏名, as written in the register
    kana: str
    romaji: str
    birthdate: str
    gender: str
    locale: str
    district: str
    block: str
    building: str
    postal_code: str
    housing: str
    relations: tuple[str, ...]  # who lives in the household, the person included
    job: str
    health: str = "good"  # good | pressure | sugar | frail | child
    rides: int = 0  # journeys in the last 150 days
    solar: bool = False
    signs_in: bool = True
    tags: tuple[str, ...] = field(default=())

    @property
    def email(self) -> str:
        """A mailbox that cannot exist."""
        return f"{self.login}@people.minatohama.example"

    @property
    def family_name(self) -> str:
        """Where the name parts: in this city after its first word."""
        return self.name.split(" ", 1)[0]

    @property
    def given_name(self) -> str:
        """The rest of the name."""
        return self.name.split(" ", 1)[1]

    @property
    def phone(self) -> str:
        """A number that cannot exist: no area code of Japan begins with a second 0."""
        return f"+8100000000{self.postal_code[-2:]}"

    @property
    def address(self) -> str:
        """The address in one line."""
        return f"汐路県湊浜市{self.district}{self.block}" + (f" {self.building}" if self.building else "")


RESIDENTS: tuple[Resident, ...] = (
    Resident(
        "hanako", "湊 花子", "みなと はなこ", "Hanako Minato", "1992-04-18", "female", "ja",
        "汐見町", "一丁目2番3号", "コーポしおかぜ 201", "000-0012", "rented", ("self", "child"),
        "看護学校の事務", health="good", rides=64,
    ),
    Resident(
        "sora", "湊 空", "みなと そら", "Sora Minato", "2020-05-05", "male", "ja",
        "汐見町", "一丁目2番3号", "コーポしおかぜ 201", "000-0012", "rented", ("self", "parent"),
        "小学一年生", health="child", rides=6, signs_in=False,
    ),
    Resident(
        "kenichi", "浜野 健一", "はまの けんいち", "Kenichi Hamano", "1974-09-30", "male", "ja",
        "灯台通", "三丁目14番1号", "", "000-0031", "owned_house", ("self", "spouse", "parent"),
        "造船所の設計", health="pressure", rides=12,
    ),
    Resident(
        "tome", "浜野 とめ", "はまの とめ", "Tome Hamano", "1942-01-11", "female", "ja",
        "灯台通", "三丁目14番1号", "", "000-0031", "owned_house", ("self", "child", "other"),
        "もと小学校の先生", health="frail", rides=9,
    ),
    Resident(
        "ren", "汐見 蓮", "しおみ れん", "Ren Shiomi", "2007-07-21", "male", "ja",
        "港本町", "二丁目8番5号", "みさき寮 411", "000-0005", "rented", ("self",),
        "湊浜大学の学生", health="good", rides=46,
    ),
    Resident(
        "megumi", "磯部 恵", "いそべ めぐみ", "Megumi Isobe", "1981-12-02", "female", "ja",
        "松原台", "五丁目1番22号", "", "000-0047", "owned_house", ("self", "spouse", "child", "child"),
        "パン屋", health="good", rides=15, solar=True,
    ),
    Resident(
        "lan", "グエン ティ ラン", "ぐえん てぃ らん", "Nguyen Thi Lan", "1998-03-27", "female", "en",
        "港本町", "四丁目3番9号", "ハイツあさなぎ 102", "000-0007", "rented", ("self", "sibling"),
        "介護福祉士", health="good", rides=31,
    ),
    Resident(
        "tadashi", "波多野 正", "はたの ただし", "Tadashi Hatano", "1955-06-08", "male", "ja",
        "鴎浜", "二丁目6番17号", "市営鴎浜住宅 3-104", "000-0058", "public", ("self",),
        "もと漁師", health="sugar", rides=22,
    ),
)  # fmt: skip

# Mandates: who may act for whom, by which authority, until when.
MANDATES: tuple[dict[str, str], ...] = (
    {
        "kind": "guardian", "holder": "hanako", "subject": "sora", "authority": "民法第818条 親権",
        "authority_en": "parental authority, Civil Code article 818", "until": "2038-05-05",
    },
    {
        "kind": "delegate", "holder": "kenichi", "subject": "tome", "authority": "委任状（令和8年4月1日）",
        "authority_en": "power of attorney of 1 April 2026", "until": "2028-03-31",
    },
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Staff:
    """One member of the city's staff."""

    login: str
    name: str
    kana: str
    romaji: str
    roles: tuple[str, ...]


STAFF: tuple[Staff, ...] = (
    Staff("operator", "岬 千尋", "みさき ちひろ", "Chihiro Misaki", ("operator",)),
    Staff("counter", "入江 稔", "いりえ みのる", "Minoru Irie", ("operator", "clerk")),
    Staff("clerk", "浦 さやか", "うら さやか", "Sayaka Ura", ("clerk",)),
    Staff("analyst", "帆足 涼", "ほあし りょう", "Ryo Hoashi", ("analyst",)),
    Staff("lead", "波止場 明", "はとば あきら", "Akira Hatoba", ("analyst", "lead")),
    Staff("reviewer", "遠見 優", "とおみ ゆう", "Yu Tomi", ("ethics",)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """One member organisation with its client."""

    key: str
    name_ja: str
    name_en: str
    seal: str  # the character in its seal mark
    kind: str
    address_ja: str
    address_en: str
    contact: str
    accreditation_ja: str
    accreditation_en: str
    source_categories: tuple[str, ...]
    client_id: str
    client_name_ja: str
    client_name_en: str
    redirect_uris: tuple[str, ...]
    homepage: str
    auth_method: Literal["client_secret_basic", "client_secret_post", "private_key_jwt"] = "client_secret_basic"
    dpop: bool = False
    scopes: tuple[str, ...] = ("openid", "profile", "email", "offline_access", "bank:deposit")


MEMBERS: tuple[Member, ...] = (
    Member(
        "clinic", "みなと診療所", "Minato Clinic", "診", "clinic",
        "汐路県湊浜市港本町一丁目1番1号", "1-1-1 Minato-Honcho, Minato-hama", "desk@clinic.minatohama.example",
        "プライバシーマーク相当（2027年3月まで）", "Privacy mark equivalent, valid to March 2027",
        ("health_checkup", "vaccination"), "minato-clinic", "みなと診療所 けんしん便り",
        "Minato Clinic Check-up Letter",
        ("http://localhost:9401/callback", "https://letter.clinic.minatohama.example/callback"),
        "https://clinic.minatohama.example", auth_method="private_key_jwt", dpop=True,
    ),
    Member(
        "transit", "湊浜交通株式会社", "Minatohama Transit", "交", "transport",
        "汐路県湊浜市灯台通一丁目5番2号", "1-5-2 Todai-dori, Minato-hama", "privacy@transit.minatohama.example",
        "ISMS（ISO/IEC 27001）認証（2028年1月まで）", "ISO/IEC 27001, valid to January 2028",
        ("mobility",), "minatohama-transit", "しおかぜバス乗換案内", "Shiokaze Bus Planner",
        ("http://localhost:9402/callback", "https://planner.transit.minatohama.example/callback"),
        "https://transit.minatohama.example",
    ),
    Member(
        "welfare", "湊浜市役所 福祉課", "City of Minato-hama, Welfare Office", "福", "government",
        "汐路県湊浜市港本町三丁目1番1号", "3-1-1 Minato-Honcho, Minato-hama", "welfare@city.minatohama.example",
        "個人情報保護法 行政機関等", "A public body under the Act on the Protection of Personal Information",
        ("household", "disaster_support"), "welfare-office", "ひなん安心手帳", "Safe Evacuation Notebook",
        ("http://localhost:9403/callback", "https://notebook.city.minatohama.example/callback"),
        "https://city.minatohama.example/welfare",
    ),
    Member(
        "energy", "湊浜エネルギー協同組合", "Minatohama Energy Co-operative", "電", "utility",
        "汐路県湊浜市松原台二丁目9番4号", "2-9-4 Matsubaradai, Minato-hama", "data@energy.minatohama.example",
        "ISMS（ISO/IEC 27001）認証（2027年9月まで）", "ISO/IEC 27001, valid to September 2027",
        ("energy_use",), "energy-coop", "くらしの灯り", "Home Light",
        ("http://localhost:9404/callback", "https://light.energy.minatohama.example/callback"),
        "https://energy.minatohama.example", auth_method="client_secret_post",
    ),
)  # fmt: skip
