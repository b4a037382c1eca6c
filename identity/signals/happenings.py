"""What happened is noted in the very write that did it: most of it by the audit action it leaves.

One table says what of the trail services are told, so a new way of doing a thing that is audited as ever is told by
itself. Sessions and farewells are noted where they happen (`identity.logout`, `.sessions`, `.accounts`),
because afterwards nobody knows any more whom they concern. `identity.signals.feed` finds the streams.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from identity import levels
from identity.signals.events import ENTITY, Happening
from kit import context, outbox
from kit.clock import DAY, Millis
from kit.db import Tx
from kit.outbox import Item, outbox_table

NEW: Final = "identity.signal.new"  # of the outbox: not yet given to the streams it concerns
_KEPT: Final[Millis] = 8 * DAY

Row = Mapping[str, Any]
Rule = Callable[[Row, Mapping[str, Any]], Happening | None]


def _of_account(kind: str, said: Mapping[str, Any] | None = None) -> Rule:
    def rule(row: Row, detail: Mapping[str, Any]) -> Happening:
        return _happening(kind, row, row["object_id"], said or {})

    return rule


def _of_passkey(change: str) -> Rule:
    def rule(row: Row, detail: Mapping[str, Any]) -> Happening:
        kind = "fido2-platform" if detail.get("platform") else "fido2-roaming"
        return _happening("credential-change", row, row["object_id"], {"credential_type": kind, "change_type": change})

    return rule


def _withdrawn(row: Row, detail: Mapping[str, Any]) -> Happening | None:
    """A resident took back what they let a service do; a service that left has nobody to tell."""
    if detail["reason"] in ("account-closed", "client-removed", "client-moved"):
        return None
    said = {"reason": "consent" if detail["reason"].startswith("consent-") else "grant"}
    return Happening("consent-withdrawn", row["at"], grant_id=row["object_id"], by=_by(row), cause=_cause(), said=said)


def _changed(row: Row, detail: Mapping[str, Any]) -> Happening:
    return _happening("token-claims-change", row, row["object_id"], {"fields": detail["fields"]})


def _verified(row: Row, detail: Mapping[str, Any]) -> Happening:
    """CAEP section 3.4: how sure the city is who the resident is."""
    return _happening(
        "assurance-level-change", row, row["object_id"], levels.identity_change(detail["from"], detail["to"])
    )


#: CAEP section 3.3.1 lets a transmitter name what its list lacks: a sign-in by another provider.
_LINK: Final = "urn:sekisho:credential:upstream"


def _of_link(change: str) -> Rule:
    """Which provider is nobody's business: it may say where somebody banks or works."""
    return _of_account("credential-change", {"credential_type": _LINK, "change_type": change})


def _of_certificate(change: str) -> Rule:
    """CAEP section 3.3.1; its issuer and serial number, which are optional, would name the person to every receiver."""
    return _of_account("credential-change", {"credential_type": "x509", "change_type": change})


_PASSWORD: Final = {"credential_type": "password", "change_type": "update"}
_APP: Final = {"credential_type": "app", "change_type": "create"}

#: By audit action; packages above add theirs before the start (`Feed.on`).
RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "identity.password.changed": (_of_account("credential-change", _PASSWORD),),
    "identity.totp.confirmed": (_of_account("credential-change", _APP),),
    "identity.passkey.added": (_of_passkey("create"),),
    "identity.passkey.removed": (_of_passkey("delete"),),
    # Its counter went backwards: somebody has a copy of it (WebAuthn Level 3 section 6.1.1).
    "identity.passkey.suspended": (_of_passkey("revoke"), _of_account("device-compromised")),
    "identity.upstream.linked": (_of_link("create"),),
    "identity.upstream.unlinked": (_of_link("delete"),),
    "identity.certificate.linked": (_of_certificate("create"),),
    "identity.certificate.renewed": (_of_certificate("update"),),
    "identity.certificate.unlinked": (_of_certificate("delete"),),
    "identity.recovery.issued": (_of_account("recovery-information-changed"),),
    "identity.reset.entered": (_of_account("recovery-activated"),),
    "identity.account.suspended": (_of_account("account-disabled"),),
    "identity.account.resumed": (_of_account("account-enabled"),),
    "identity.account.changed": (_changed,),
    "identity.assurance.changed": (_verified,),
    "identity.grant.revoked": (_withdrawn,),
}


def echo(rules: tuple[Rule, ...]) -> Callable[[Tx, Row], None]:
    """What an audit entry causes in its own transaction (`kit.audit`, `echoes`)."""

    def lay(tx: Tx, row: Row) -> None:
        detail = orjson.loads(row["detail"])
        for rule in rules:
            found = rule(row, detail)
            if found is not None:
                tx.append(outbox_table, _row(found))

    return lay


def note(connection: Connection, happened: Happening) -> None:
    """The same where it happens."""
    outbox.add(connection, [_row(happened)])


def opened(item: Item) -> Happening:
    """What a row says."""
    kind, at, account_id, grant_id, by, cause, said, sessions = orjson.loads(item.body)
    pairs = tuple((client_id, named) for client_id, named in sessions)
    return Happening(kind, at, account_id, grant_id, by, cause or item.id, said, pairs)


def by_whom(kind: str) -> str:
    """CAEP section 2: who set it off."""
    return ENTITY.get(kind, "system")


def _cause() -> str:
    """One request may cause several events: they share it, so that a receiver can put them together."""
    return context.request.get().request_id


def _by(row: Row) -> str:
    return by_whom(row["actor_kind"])


def _happening(kind: str, row: Row, account_id: str, said: Mapping[str, Any]) -> Happening:
    return Happening(kind, row["at"], account_id=account_id, by=_by(row), cause=_cause(), said=said)


def _row(happened: Happening) -> dict[str, Any]:
    body = orjson.dumps(
        [
            happened.kind, happened.at, happened.account_id, happened.grant_id, happened.by,
            happened.cause or _cause(), dict(happened.said), happened.sessions,
        ]
    )  # fmt: skip
    return outbox.row(NEW, "", body, now=happened.at, expires_at=happened.at + _KEPT, held=True, prefix="hap")
