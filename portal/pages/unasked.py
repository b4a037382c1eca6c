"""Data requests that need no page: everything asked for is agreed to already, or answered in advance."""

from typing import Any

from consent import answering, instructions, records
from consent.errors import AgreementState, ConsentState
from consent.instruction_rules import Agrees, Refuses, Verdict
from identity.interaction import Interaction, Interactions
from identity.sessions import BrowserSession
from keys.envelope import Sealer
from kit.clock import Millis, from_iso
from kit.db import Session
from kit.host import Host
from portal.pages.asked import Element, elements_of, put


class WithoutPage:
    """What is in force and was asked for in the same words is not asked for again, unless the service wants the page
    shown (prompt=consent) or asks for more; a standing instruction answers what fits it (`consent.answering`). All of a
    request or none of it: what is left to ask about is asked with the rest beside it.
    """

    def __init__(self, host: Host) -> None:
        self._clock = host.clock
        self._interactions = host.get(Interactions)
        self._sealer = host.get(Sealer)

    def possible(self, session: Session, interaction_id: str, browser: BrowserSession) -> bool:
        """Whether it is worth a write: nothing else is to be asked, and something stands or was said in advance."""
        interaction, now = self._interactions.get(session, interaction_id), self._clock.ms()
        uses = [detail.get("agreement") for detail in interaction.details if detail.get("type") == "data_use"]
        if len(set(uses)) < len(interaction.details):  # something else is asked for, or one agreement twice
            return False
        if not self._interactions.only_data(session, interaction, browser):
            return False
        if instructions.any_in_force(session, browser.account_id, now=now):
            return True
        elements = elements_of(session, interaction, browser.account_id, now=now)
        return all(self._held(session, each, browser.account_id) is not None for each in elements)

    def answer(self, session: Session, interaction_id: str, browser: BrowserSession, lang: str) -> str | None:
        """The redirect; None if the page is to be shown, and then nothing is written. Raises ConsentState."""
        if not self.possible(session, interaction_id, browser):  # asked again: this is the write that grants
            return None
        interaction, now = self._interactions.get(session, interaction_id), self._clock.ms()
        elements = elements_of(session, interaction, browser.account_id, now=now)
        held: list[tuple[Element, dict[str, Any] | None]] = []
        for each in elements:
            found = self._held(session, each, browser.account_id)
            if (
                found is None
                and (verdict := self._verdict(session, interaction, each, browser.account_id, now)) is None
            ):
                return None
            if found is None and isinstance(verdict, Refuses):
                self._instructed(session, interaction, each, browser.account_id, lang, now)
                return self._interactions.refuse(
                    session, interaction_id, account_id=browser.account_id, description="the resident did not agree"
                )
            held.append((each, found))
        granted = []
        for each, found in held:
            if found is None:
                made = self._instructed(session, interaction, each, browser.account_id, lang, now)
                if made is None or not isinstance(made.verdict, Agrees):  # all of it or nothing
                    raise ConsentState("The offer was changed just now. Load the page again.")
                found = {"datatypes": sorted(made.verdict.categories), "consent": made.consent.consent_id}
            granted.append({**each.detail, **found})
        return self._interactions.approve(
            session,
            interaction_id,
            account_id=browser.account_id,
            session_id=browser.id,
            auth_at=browser.auth_at,
            acr=browser.acr,
            amr=browser.amr,
            scopes=interaction.scopes,
            details=granted,
            consent_ids=[str(each["consent"]) for each in granted],
        )

    def _verdict(
        self, session: Session, interaction: Interaction, element: Element, account_id: str, now: Millis
    ) -> Verdict | None:
        found = answering.verdict_of(
            session, self._sealer, account_id=account_id, revision=element.revision, categories=element.categories,
            asked_at=interaction.created_at, now=now, lasts=element.duration(),
        )  # fmt: skip
        return None if found is None else found[0]

    def _instructed(
        self, session: Session, interaction: Interaction, element: Element, account_id: str, lang: str, now: Millis
    ) -> answering.Answered | None:
        return answering.answer(
            session, self._sealer, account_id=account_id, revision=element.revision, categories=element.categories,
            notice_lang=lang, asked_at=interaction.created_at, now=now, lasts=element.duration(),
            question=put(interaction, element),
        )  # fmt: skip

    def _held(self, session: Session, element: Element, account_id: str) -> dict[str, Any] | None:
        """What stands of what is asked, if the very same was asked before and answered; None for anything more."""
        record = element.standing
        if record is None or record.revision_id != element.revision.id:
            return None
        try:
            records.revision_in_force(session, element.revision.id)
        except AgreementState:  # sharing is stopped: the page says so
            return None
        events = [each.document for each in records.history(session, self._sealer, record.id, account_id=account_id)]
        answered = max(at for at, each in enumerate(events) if each["type"] in ("given", "renewed"))
        asked = next((each["asked"] for each in reversed(events[:answered]) if "asked" in each), record.categories)
        seen = frozenset(element.categories) & frozenset(record.categories)
        if not seen or not frozenset(element.categories) <= frozenset(asked) | seen:
            return None
        if element.duration() > record.until_at - from_iso(events[answered]["time"]):
            return None
        return {"datatypes": sorted(seen), "consent": record.id}
