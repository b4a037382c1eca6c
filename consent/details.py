"""The authorization details type "data_use" (RFC 9396): how a service asks for a resident's data.

    {"type": "data_use", "agreement": "agr_…", "purpose": "ServiceProvision", "datatypes": ["mobility"],
     "actions": ["read"], "duration": "P180D"}

Only `agreement` is required; the others may narrow the agreement's revision in force, never widen it. What is granted
carries the categories agreed to and `"consent": "con_…"`; a request that brings its own `consent` is refused.
"""

from contextlib import suppress
from typing import Any, Final

from consent import agreements, records, store
from consent.durations import parse_duration
from consent.errors import ConsentState, UnknownAgreement, UnknownConsent
from consent.revisions import Revision
from identity.clients import Client
from identity.oauth.errors import InvalidAuthorizationDetails
from keys.envelope import Sealer
from kit.clock import Millis
from kit.db import Session
from kit.host import Actor

TYPE: Final = "data_use"
_MEMBERS: Final = frozenset({"type", "agreement", "purpose", "datatypes", "actions", "duration"})


class DataUseChecker:
    """Checks and completes an element; registered with identity.oauth.details."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def check(self, session: Session, client: Client, detail: dict[str, Any]) -> dict[str, Any]:
        """The element with every member filled in; raises InvalidAuthorizationDetails naming what is wrong."""
        if unknown := sorted(detail.keys() - _MEMBERS):
            raise InvalidAuthorizationDetails(f"data_use does not know {unknown[0][:40]}")
        agreement_id = detail.get("agreement")
        if not isinstance(agreement_id, str):
            raise InvalidAuthorizationDetails("data_use needs an agreement")
        if client.member_id is None or not client.may_use_data:
            raise InvalidAuthorizationDetails("only clients of an approved member may ask for data")
        revision = self._revision(session, client.member_id, agreement_id)
        return {
            "type": TYPE,
            "agreement": agreement_id,
            "purpose": self._purpose(revision, detail),
            "datatypes": self._datatypes(revision, detail),
            "actions": self._actions(detail),
            "duration": self._duration(revision, detail),
        }

    def end(self, session: Session, client: Client, detail: dict[str, Any], *, actor: Actor, now: Millis) -> None:
        """The recipient gives the consent back: ended and in the ledger, as by `records.end`, in the running write."""
        consent_id = detail.get("consent")
        if not isinstance(consent_id, str) or client.member_id is None:
            return
        with suppress(ConsentState, UnknownConsent):  # over already, or its resident left
            records.end(
                session,
                self._sealer,
                consent_id=consent_id,
                member_id=client.member_id,
                reason="grant-revoked",
                actor=actor,
                now=now,
            )

    def _revision(self, session: Session, member_id: str, agreement_id: str) -> Revision:
        try:
            revision = agreements.current(session, agreement_id)
        except UnknownAgreement:
            raise InvalidAuthorizationDetails("data_use names an unknown agreement") from None
        if revision.member_id != member_id:  # another member's agreement is as good as none
            raise InvalidAuthorizationDetails("data_use names an unknown agreement")
        if revision.status != "approved":
            raise InvalidAuthorizationDetails("the agreement is not approved")
        if store.is_held(session, member_id):
            raise InvalidAuthorizationDetails("sharing with this member is stopped at the moment")
        return revision

    def _purpose(self, revision: Revision, detail: dict[str, Any]) -> str:
        if detail.get("purpose", revision.purpose) != revision.purpose:
            raise InvalidAuthorizationDetails("purpose is not the agreement's")
        return revision.purpose

    def _datatypes(self, revision: Revision, detail: dict[str, Any]) -> list[str]:
        asked = detail.get("datatypes")
        if asked is None:
            return sorted(revision.all_categories)
        if not isinstance(asked, list) or not asked or not all(isinstance(each, str) for each in asked):
            raise InvalidAuthorizationDetails("datatypes must be an array of category ids")
        if len(set(asked)) != len(asked) or not set(asked) <= revision.all_categories:
            raise InvalidAuthorizationDetails("datatypes has a category that the agreement does not")
        if missing := revision.required - set(asked):
            raise InvalidAuthorizationDetails(f"datatypes lacks a required category: {min(missing)}")
        return sorted(asked)

    def _actions(self, detail: dict[str, Any]) -> list[str]:
        if detail.get("actions", ["read"]) != ["read"]:
            raise InvalidAuthorizationDetails('actions must be ["read"]')
        return ["read"]

    def _duration(self, revision: Revision, detail: dict[str, Any]) -> str:
        asked = detail.get("duration", revision.duration)
        try:
            if isinstance(asked, str) and parse_duration(asked) <= revision.duration_ms:
                return asked
        except ValueError:
            pass
        raise InvalidAuthorizationDetails("duration must be an ISO 8601 duration within the agreement's")
