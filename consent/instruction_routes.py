"""A resident's standing instructions, over JSON: state, change, stop."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from consent import instructions
from consent.errors import BadInstruction, InstructionState, UnknownInstruction
from consent.instruction_rules import Rule
from consent.instructions import Instruction
from consent.proposal import Code
from consent.purposes import PURPOSES
from identity.errors_account import OutsideMandate
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from kit.clock import DAY, Clock, iso
from kit.db import Database, Session
from kit.web import GUARDED, Answer, Body, LaterRoute, actor_of, problems

Purpose = Annotated[str, Field(max_length=64, json_schema_extra={"enum": sorted(PURPOSES)})]


class StateInstruction(Body):
    """What is answered in advance."""

    answer: Annotated[Literal["refuse", "agree"], Field(examples=["refuse"])]
    purposes: Annotated[
        list[Purpose], Field(max_length=60, examples=[["DirectMarketing"]], description="None: any, to refuse")
    ] = Field(default_factory=list)
    categories: Annotated[
        list[Code],
        Field(
            max_length=60, examples=[["mobility"]], description="To agree: nothing else is shown. None: any, to refuse"
        ),
    ] = Field(default_factory=list)
    recipients: Annotated[
        list[Annotated[str, Field(pattern=r"^[0-9a-z_-]{1,40}$")]],
        Field(max_length=60, examples=[[]], description="Members. None: any; to agree, any that is accredited"),
    ] = Field(default_factory=list)
    months: Annotated[
        Literal[0, 1, 3, 6, 12], Field(examples=[0], description="To agree: the longest consent, in months")
    ] = 0
    sensitivity: Annotated[
        Literal[0, 1, 2],
        Field(examples=[0], description="To agree: the most sensitive data. 3 is always asked about"),
    ] = 0
    days: Annotated[int, Field(ge=1, le=366, examples=[180], description="How long it holds, from now on")] = 180

    def rule(self) -> Rule:
        """What it says."""
        lists = frozenset(self.purposes), frozenset(self.categories), frozenset(self.recipients)
        return Rule(self.answer, *lists, self.months, self.sensitivity)


class InstructionDocument(Answer):
    """A standing instruction."""

    id: str = Field(examples=["ins_01kaq3b1m5w6v7x8y9z0a1b2c3"])
    revision: int = Field(examples=[1], description="A consent given by it names the revision")
    state: str = Field(examples=["active"], description="active, stopped or expired")
    since: str = Field(examples=["2026-11-22T09:00:00Z"], description="It answers what is asked from then on")
    until: str = Field(examples=["2027-10-31T00:00:00Z"])
    answer: str = Field(examples=["refuse"])
    purposes: list[str] = Field(examples=[["DirectMarketing"]])
    categories: list[str] = Field(examples=[[]])
    recipients: list[str] = Field(examples=[[]])
    months: int = Field(examples=[0])
    sensitivity: int = Field(examples=[0])


class StatedDocument(Answer):
    """One event of an instruction."""

    id: str = Field(examples=["sie_01kaq3b1m5w6v7x8y9z0a1b2c3"])
    type: str = Field(examples=["set"], description="set, changed, stopped or expired")
    revision: int = Field(examples=[1])
    time: str = Field(examples=["2026-11-22T09:00:00Z"])


class Instructions(Answer):
    """All of them, newest first."""

    instructions: list[InstructionDocument]


class InstructionHistory(InstructionDocument):
    """One, with what was stated when."""

    events: list[StatedDocument]


def instruction_router(database: Database, sealer: Sealer, clock: Clock) -> APIRouter:
    """/api/consent/instructions."""
    router = APIRouter(prefix="/api/consent/instructions", tags=["my consents"], route_class=LaterRoute)

    async def state(request: Request, body: StateInstruction, instruction_id: str | None) -> InstructionDocument:
        actor = actor_of(request)
        made = await database.write(
            instructions.state, sealer, account_id=actor.id, rule=body.rule(),
            until_at=clock.ms() + body.days * DAY, actor=actor, now=clock.ms(), instruction_id=instruction_id,
        )  # fmt: skip
        return InstructionDocument(**_fields(made))

    @router.get(
        "",
        operation_id="consent_instructions",
        summary="My standing instructions",
        responses=problems(*GUARDED, KeyDestroyed),
    )
    async def listed(request: Request) -> Instructions:
        """What is answered for me in advance, and what was."""
        found = await database.read(instructions.list_for, sealer, actor_of(request).id, now=clock.ms())
        return Instructions(instructions=[InstructionDocument(**_fields(each)) for each in found])

    @router.post(
        "",
        operation_id="consent_instruct",
        summary="State a standing instruction",
        status_code=201,
        responses=problems(*GUARDED, BadInstruction, InstructionState, OutsideMandate, KeyDestroyed),
    )
    async def create(request: Request, body: StateInstruction) -> InstructionDocument:
        """It answers what services ask from now on, as far as the law lets anything but the person answer. Questions
        that wait already wait for the person."""
        return await state(request, body, None)

    @router.get(
        "/{instruction_id}",
        operation_id="consent_instruction",
        summary="One standing instruction with its history",
        responses=problems(*GUARDED, UnknownInstruction, KeyDestroyed),
    )
    async def one(request: Request, instruction_id: str) -> InstructionHistory:
        """Oldest event first; each is in the ledger."""
        account_id = actor_of(request).id

        def read(session: Session) -> InstructionHistory:
            events = instructions.history(session, sealer, instruction_id, account_id=account_id)
            found = instructions.list_for(session, sealer, account_id, now=clock.ms())
            made = next(each for each in found if each.id == instruction_id)
            told = [
                StatedDocument(
                    id=each.id,
                    type=each.document["type"],
                    revision=each.document["revision"],
                    time=each.document["time"],
                )
                for each in events
            ]
            return InstructionHistory(**_fields(made), events=told)

        return await database.read(read)

    @router.put(
        "/{instruction_id}",
        operation_id="consent_instruct_again",
        summary="State the next revision of a standing instruction",
        responses=problems(
            *GUARDED, BadInstruction, InstructionState, UnknownInstruction, OutsideMandate, KeyDestroyed
        ),
    )
    async def change(request: Request, instruction_id: str, body: StateInstruction) -> InstructionDocument:
        """The whole of it. It answers what is asked from now on; what was answered before stays as it is."""
        return await state(request, body, instruction_id)

    @router.post(
        "/{instruction_id}/stop",
        operation_id="consent_stop_instruction",
        summary="Stop a standing instruction",
        status_code=204,
        responses=problems(*GUARDED, UnknownInstruction, InstructionState, OutsideMandate, KeyDestroyed),
    )
    async def stop(request: Request, instruction_id: str) -> None:
        """When this answers, it answers nothing any more. What it agreed to can be taken back like any consent."""
        actor = actor_of(request)
        await database.write(
            instructions.stop, sealer, instruction_id, account_id=actor.id, actor=actor, now=clock.ms()
        )

    return router


def _fields(made: Instruction) -> dict[str, object]:
    rule = made.rule
    return {
        "id": made.id,
        "revision": made.revision,
        "state": made.state,
        "since": iso(made.since_at),
        "until": iso(made.until_at),
        "answer": rule.answer,
        "purposes": sorted(rule.purposes),
        "categories": sorted(rule.categories),
        "recipients": sorted(rule.recipients),
        "months": rule.months,
        "sensitivity": rule.sensitivity,
    }
