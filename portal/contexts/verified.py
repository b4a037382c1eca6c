"""The resident's page about who they are to the city: the level, the code for the counter, every visit."""

from dataclasses import dataclass, replace

from kit.clock import DAY, MINUTE, Millis
from portal.contexts import Sample


@dataclass(frozen=True)
class VisitRow:
    """One visit to the counter."""

    id: str
    status: str  # open | waiting | standing | refused | abandoned | ended
    ial: int
    at: Millis
    by: tuple[str, ...]  # the names of who saw the documents
    kinds: tuple[str, ...]
    claims: tuple[str, ...]
    ends_at: Millis | None
    reason: str  # "" | asked | mistake | fraud | changed | superseded | expired
    register: bool = False  # no clerk: a register spoke for a certificate


@dataclass(frozen=True)
class Verified:
    """safety/verified.html. `code` is shown by the answer to the POST that made it, once."""

    ial: int
    strong: bool  # signed in with two factors: only then a code is made
    code: str
    code_until: Millis | None
    visits: tuple[VisitRow, ...]
    wanted: int = 0  # the level a service waits for, if the resident comes from there
    register: bool = False  # what counts now is a register's word
    verified_name: str = ""  # what stands, where the profile says another name by now
    name: str = ""  # the profile's, then
    ways: tuple[str, ...] = ()  # certificates whose register does as well as a clerk, by what people call them


_NOW = 1_795_312_800_000  # 22 November 2026 in Japan


def samples() -> list[Sample]:
    """Nobody looked yet, with and without a second factor; a code; a life of visits."""
    nothing = Verified(0, True, "", None, ())
    stands = VisitRow(
        "ver_1", "standing", 3, _NOW - 40 * DAY, ("浦 さやか", "入江 稔"), ("individual-number-card",),
        ("name", "birthdate", "address"), _NOW + 1_700 * DAY, "",
    )  # fmt: skip
    older = replace(
        stands, id="ver_2", status="ended", ial=1, at=_NOW - 400 * DAY, kinds=("health-insurance",),
        by=("浦 さやか",), ends_at=None, reason="superseded",
    )  # fmt: skip
    refused = replace(older, id="ver_3", status="refused", reason="", kinds=(), claims=(), at=_NOW - 41 * DAY)
    now = replace(refused, id="ver_4", status="open", at=_NOW)

    card = VisitRow(
        "ver_5", "standing", 2, _NOW - DAY, ("マイナンバーカード",), ("electronic_record", "electronic_signature"),
        ("name", "family_name", "given_name", "birthdate", "address"), _NOW + 900 * DAY, "", register=True,
    )  # fmt: skip

    def of(name: str, context: Verified) -> Sample:
        return Sample("safety/verified.html", name, context, viewer="resident", path="/safety/verified")

    return [
        of("nothing", nothing),
        of("weak", replace(nothing, strong=False)),
        of("code", replace(nothing, code="7K2Q-9XW4", code_until=_NOW + 10 * MINUTE)),
        of("wanted", replace(nothing, wanted=2)),
        of("wanted-card", replace(nothing, wanted=2, ways=("マイナンバーカード",))),
        of("card", Verified(2, True, "", None, (card,), register=True, ways=("マイナンバーカード",))),
        of("renamed", Verified(3, True, "", None, (stands,), verified_name="湊 花子", name="別府 花子")),
        of("visits", Verified(3, True, "", None, (now, stands, refused, older))),
    ]
