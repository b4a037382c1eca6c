"""Who used a person's data, in the shape of Estonia's data tracker (Andmejälgija).

e-gov/AJ, `dumonitor-openapi.yaml` 2.1.0 (`/v2/findUsage`, `/v2/usagePeriod`, `/v2/heartbeat`) and its protocol text.
There X-Road says who asks and for whom; here the access token does: it is about one resident, has the scope
`usage:read`, and `userCode` and `X-Road-UserId` must both be the name by which that service knows them (the token's
`sub`). So no code can be tried out. Acting for somebody else is not served here: the token would have to be about
them.

Who used somebody's data, and for what, is itself something about them: a look-up is judged once more in its own write,
recorded there before it is answered, and stands among the uses the resident sees. What the document calls 400 is 400.
"""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from pydantic import Field

from identity import throttle
from identity.bearer import Access
from identity.clients import Clients
from identity.crowd import Crowd
from identity.errors import TokenRefused
from identity.oidc import told
from identity.standing import standing
from identity.subjects import pairwise
from infobank import disclosures
from infobank.disclosures import Disclosure, Recipient
from infobank.errors import BadUsageQuery, NoMember, NoSubject
from keys.hashing import TokenHasher
from kit.clock import SECOND, Clock, Millis, from_iso, iso
from kit.db import Database, Session
from kit.problems import TooMany
from kit.web import GUARDED, Answer, LaterRoute, problems

SCOPE_USAGE = "usage:read"
MOST = 1000
#: For each grant: each answer is a row for ever, and one that the resident is shown.
LIMIT = throttle.Limit(burst=60, refill=SECOND)

Code = Annotated[str | None, Query(alias="userCode", max_length=200, examples=["9Tq3f8…"])]
Asker = Annotated[str | None, Header(alias="X-Road-UserId", max_length=200, examples=["9Tq3f8…"])]
Start = Annotated[str | None, Query(alias="periodStart", max_length=40, examples=["2026-01-31T10:20:30Z"])]
End = Annotated[str | None, Query(alias="periodEnd", max_length=40, examples=["2026-11-30T10:20:30Z"])]
Offset = Annotated[str, Query(max_length=10, examples=["0"])]
Limit = Annotated[str, Query(max_length=10, examples=["1000"])]


class Usage(Answer):
    """One use."""

    logtime: str = Field(examples=["2026-11-18T11:06:40Z"])
    action: str = Field(examples=["read: health_checkup (ImproveHealthcare)"])
    receiverCode: str = Field(examples=["mem_01kaq3b1m5w6v7x8y9z0a1b2c3"])  # noqa: N815 - the document's names
    receiverName: str = Field(examples=["みなと診療所"])  # noqa: N815
    receiverSystem: str = Field(examples=["cli_01kaq3b1m5w6v7x8y9z0a1b2c3"])  # noqa: N815


class Usages(Answer):
    """FindUsageResponse."""

    totalUsages: int = Field(examples=[1])  # noqa: N815
    usages: list[Usage]


class Period(Answer):
    """UsagePeriodResponse: without an end, up to now."""

    periodStart: str = Field(examples=["2026-01-31T10:20:30Z"])  # noqa: N815


class Heartbeat(Answer):
    """HeartbeatResponse."""

    status: str = Field(examples=["OK"])
    message: str = Field(examples=["API is ready"])


def usage_of(one: Disclosure, names: dict[str, Recipient]) -> Usage:
    """A disclosure as a use, in words a person can read."""
    recipient = one.recipient or names.get(one.member_id)
    what = ", ".join(one.categories or one.claims)
    return Usage(
        logtime=iso(one.at),
        action=f"{one.action}: {what} ({one.purpose})" if one.purpose else f"{one.action}: {what}",
        receiverCode=one.member_id,
        receiverName=recipient.name("ja") if recipient else one.member_id,
        receiverSystem=one.client_id,
    )


def _number(text: str, name: str, *, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
        raise BadUsageQuery(f"A number from {least} to {most}.", pointer=f"/{name}")
    return int(text)


def _moment(text: str | None, name: str) -> Millis | None:
    if text is None:
        return None
    try:
        return from_iso(text)
    except ValueError:
        raise BadUsageQuery("A date and time with its zone (RFC 3339).", pointer=f"/{name}") from None


def tracker_router(
    database: Database, clock: Clock, hasher: TokenHasher, clients: Clients, *, of_all: Crowd, of_one: Crowd
) -> APIRouter:
    """/data-tracker/v2/…; `of_all` bounds what one client asks, `of_one` what it asks about one resident."""
    router = APIRouter(prefix="/data-tracker/v2", tags=["data tracker"], route_class=LaterRoute)

    async def resident_of(request: Request) -> tuple[Access, str, str]:
        """The token, the resident it is about, and how the service calls them."""
        access: Access = request.state.access
        access.require(SCOPE_USAGE)
        if access.account_id is None:
            raise NoSubject("Use a token that a resident gave you.")
        if access.member_id is None:
            raise NoMember("Use a token of a member organisation's service.")
        client = await clients.get(access.client_id)
        assert client is not None  # the token's check has just found it
        return access, access.account_id, pairwise(hasher, access.account_id, client.sector)

    def pay(access: Access) -> None:
        # The grant first: who asks without end about one resident does not use up what it may ask about the others.
        for crowd, whose in ((of_one, access.grant_id or access.client_id), (of_all, access.client_id)):
            if seconds := crowd.wait(whose):
                raise TooMany("Uses were looked up very often.", retry_after=seconds)

    def begin(session: Session, access: Access, account: str) -> None:
        """Judge the token as this write sees it, and write down that the uses are about to be told (I1, I4).

        Between the door and the write a grant may have been taken back, a service suspended.
        """
        if not standing(session.connection(), access).honoured:
            challenge = {"WWW-Authenticate": f'{"DPoP" if access.jkt else "Bearer"} error="invalid_token"'}
            raise TokenRefused("The access token is not honoured any more.", headers=challenge)
        told.record(
            session.connection(), (disclosures.USES,), actor=access.actor(), account_id=account,
            grant_id=access.grant_id,
        )  # fmt: skip

    @router.get(
        "/findUsage",
        operation_id="findUsage",
        summary="Who used the data of the resident the token is about",
        responses=problems(*GUARDED, BadUsageQuery, NoSubject, NoMember),
    )
    async def find_usage(
        request: Request,
        code: Code = None,
        asker: Asker = None,
        start: Start = None,
        end: End = None,
        offset: Offset = "0",
        limit: Limit = str(MOST),
    ) -> Usages:
        """Newest first."""
        access, account, called = await resident_of(request)
        if code != called or asker != called:
            raise BadUsageQuery("Send the token's `sub` as userCode and as X-Road-UserId.", pointer="/userCode")
        skip, most = _number(offset, "offset", least=0, most=100_000), _number(limit, "limit", least=1, most=MOST)
        since, until = _moment(start, "periodStart"), _moment(end, "periodEnd")
        now = clock.ms()
        pay(access)

        def read(session: Session) -> Usages:
            found = disclosures.history(session, account, since=since, until=until, limit=most, offset=skip)
            total = disclosures.times(session, account, since=since or 0, until=now + 1 if until is None else until)
            names = disclosures.recipients(session)
            begin(session, access, account)
            return Usages(
                totalUsages=sum(count for _at, _member, count in total),
                usages=[usage_of(one, names) for one in found],
            )

        return await database.write(read)

    @router.get(
        "/usagePeriod",
        operation_id="usagePeriod",
        summary="Since when uses are kept",
        responses=problems(*GUARDED, NoSubject, NoMember),
    )
    async def usage_period(request: Request) -> Period:
        """From the resident's first use on; without any, from now."""
        access, account, _ = await resident_of(request)
        pay(access)

        def first(session: Session) -> Millis:
            found = disclosures.times(session, account, since=0, until=clock.ms() + 1)
            begin(session, access, account)
            return found[0][0] if found else clock.ms()

        return Period(periodStart=iso(await database.write(first)))

    @router.get("/heartbeat", operation_id="heartbeat", summary="Whether this answers", responses=problems(*GUARDED))
    async def heartbeat(request: Request) -> Heartbeat:
        """It does."""
        return Heartbeat(status="OK", message="API is ready")

    return router
