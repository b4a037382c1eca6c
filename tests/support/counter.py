"""A resident at the counter and the clerks behind it, over HTTP."""

import re
from typing import TYPE_CHECKING, Any

from identity.levels import AAL2
from identity.sessions import Sessions
from tests.support.desk import Colleague, colleague

if TYPE_CHECKING:
    from portal.app import Building

CHIP = {
    "document-1": "individual-number-card", "issuer-1": "湊浜市長", "expires-1": "2031-04-18", "chip-1": "1",
    "face": "1", "compared": ["name", "birthdate", "address"],
}  # fmt: skip
TWO = {
    "document-1": "driving-licence", "number-1": "400112345678", "document-2": "health-insurance", "face": "1",
    "compared": ["name", "birthdate"],
}  # fmt: skip
ONE = {"document-1": "health-insurance", "compared": ["name", "birthdate"]}


async def phone(app: "Building", http: Any, account_id: str, *, acr: str = AAL2) -> Colleague:
    """The resident's own browser."""
    token, _ = await app.host.db.write(app.host.get(Sessions).begin, account_id, acr=acr, amr=("pwd", "otp", "mfa"))
    return Colleague(app, http, account_id, token)


async def shown_code(who: Colleague) -> str:
    """A fresh code on the resident's phone."""
    page = await who.post("/safety/verified/code")
    found = re.search(r'id="visit-code">([0-9A-Z-]+)<', page.text)
    assert found, page.text[:600]
    return found[1]


async def begin(clerk: Colleague, who: Colleague) -> str:
    """The visit's page, opened by the resident's code."""
    made = await clerk.post("/counter", {"code": await shown_code(who)})
    assert made.status_code == 303, made.text[:600]
    return str(made.headers["location"])


async def verify(
    app: "Building", http: Any, account_id: str, form: dict[str, Any] | None = None, *, by: str = "ura"
) -> None:
    """The whole visit, with a second clerk where one is needed."""
    clerk = await colleague(app, http, "clerk", login=by)
    who = await phone(app, http, account_id)
    visit = await begin(clerk, who)
    made = await clerk.post(visit, form or CHIP)
    assert made.status_code == 303, made.text[:600]
    if (await clerk.get(visit)).status_code == 200:
        second = await colleague(app, http, "clerk", login="irie")
        assert (await second.post(f"{visit}/confirm", {"confirmed": "1"})).status_code == 303
