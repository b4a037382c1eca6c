"""The resident's receipts for the export: one file for each consent that has one."""

from collections.abc import Iterable

from kit.db import Session


def receipts_of(_session: Session, _account_id: str) -> Iterable[tuple[str, bytes]]:
    """(file name, content) of a resident's receipts."""
    return ()
