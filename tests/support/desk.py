"""People of the desk in front of the whole building: staff sessions and forms, without the sign-in page."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from identity import levels
from identity.accounts import Kind, Profile, create_account
from identity.sessions import Sessions, session_cookie
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.host import SYSTEM

if TYPE_CHECKING:
    from portal.app import Building


@dataclass
class Colleague:
    """Somebody signed in; `get` and `post` speak to the building as their browser would."""

    app: "Building"
    http: Any
    id: str
    token: str
    lang: str = "en"
    notice: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def _sent(self) -> dict[str, str]:
        kept = f"; sekisho-notice={self.notice}" if self.notice else ""
        return {
            "cookie": f"{session_cookie(self.app.settings.issuer)}={self.token}{kept}",
            "accept-language": self.lang,
            "accept": "text/html",
            "origin": self.app.settings.issuer,
            **self.headers,
        }

    async def get(self, path: str) -> Any:
        page = await self.http.get(path, headers=self._sent())
        self.notice = ""
        return page

    async def post(self, path: str, form: dict[str, Any] | None = None) -> Any:
        page = await self.http.post(path, data=form or {}, headers=self._sent())
        found = re.search(r"sekisho-notice=([^;]+)", page.headers.get("set-cookie", ""))
        self.notice = found[1] if found else ""
        return page

    async def api(self, method: str, path: str, body: Any = None) -> Any:
        headers = self._sent() | {"accept": "application/json"}
        return await self.http.request(method, path, json=body, headers=headers)


async def colleague(
    app: "Building", http: Any, *roles: str, login: str = "", kind: Kind = "staff", called: str = ""
) -> Colleague:
    """An account with these roles, signed in. With kind "resident", somebody without any business here."""
    host = app.host
    login = login or ("-".join(roles) if roles else "somebody")
    account_id = await host.db.write(
        create_account,
        host.get(Sealer),
        host.get(TokenHasher),
        login=login,
        profile=Profile(name=called or f"湊 {login}", login=login),
        now=host.clock.ms(),
        kind=kind,
        roles=roles,
        password_hash=None,
        actor=SYSTEM,
    )
    level = levels.of(["passkey"])
    token, _begun = await host.db.write(host.get(Sessions).begin, account_id, acr=level.acr, amr=level.amr)
    return Colleague(app, http, account_id, token)
