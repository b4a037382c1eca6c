"""The resident's receipts for the export: one file for every event of every consent."""

from collections.abc import AsyncIterator

from consent import records
from consent.errors import ReceiptNotReady
from consent.receipts import Receipts
from keys.envelope import Sealer
from kit.clock import Clock
from kit.db import Database, Session


class ReceiptFiles:
    """Makes the files one by one, so that a long history never stands in memory as a whole."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock, receipts: Receipts) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._receipts = receipts

    async def of(self, account_id: str) -> AsyncIterator[tuple[str, bytes]]:
        """(file name, content) of a resident's receipts, newest consent first."""
        for consent_id, event_id in await self._database.read(self._events, account_id):
            try:
                receipt = await self._receipts.make(consent_id, account_id=account_id, event_id=event_id)
            except ReceiptNotReady:
                continue  # PostgreSQL: an event of this very second; the next export has it
            yield receipt.file_name, receipt.content

    def _events(self, session: Session, account_id: str) -> list[tuple[str, str]]:
        found = []
        for record in records.list_for(session, account_id, now=self._clock.ms()):
            events = records.history(session, self._sealer, record.id, account_id=account_id)
            found += [(record.id, event.id) for event in events]
        return found
