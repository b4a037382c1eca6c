"""The vault: sealed under the resident's own key, bound to the row (infobank/vault.py)."""

from typing import Any

import pytest
from sqlalchemy import text

from identity import accounts
from infobank import vault
from infobank.errors import AccountClosed, RecordNotFound
from keys.errors import SealBroken
from keys.hashing import TokenHasher
from kit.host import SYSTEM
from tests.support.bank import CHECKUP, Bank


async def test_a_blob_moved_to_another_row_or_resident_does_not_open(bank: Bank) -> None:
    (first,) = await bank.put(bank.hana, "health_checkup", CHECKUP)
    (second,) = await bank.put(bank.hana, "health_checkup", {**CHECKUP, "systolic": 190})
    (theirs,) = await bank.put(bank.taro, "health_checkup", CHECKUP)

    def move(connection: Any, item_id: str) -> None:
        connection.execute(
            text("UPDATE infobank_item SET sealed = (SELECT sealed FROM infobank_item WHERE id = :a) WHERE id = :b"),
            {"a": second, "b": item_id},
        )

    await bank.db.write_core(move, first)
    await bank.db.write_core(move, theirs)
    for account, item in ((bank.hana, first), (bank.taro, theirs)):
        with pytest.raises(SealBroken):
            await bank.db.read(vault.get, bank.sealer, account_id=account, item_id=item)


async def test_after_the_key_is_destroyed_nothing_opens_and_nothing_goes_in(bank: Bank) -> None:
    (item,) = await bank.put(bank.hana, "health_checkup", CHECKUP)
    await bank.db.write(
        accounts.close_account, bank.sealer, bank.app.host.get(TokenHasher), bank.hana, now=bank.now, actor=SYSTEM
    )
    with pytest.raises(AccountClosed):
        await bank.db.read(vault.get, bank.sealer, account_id=bank.hana, item_id=item)
    with pytest.raises(AccountClosed):
        await bank.put(bank.hana, "health_checkup", CHECKUP)


async def test_another_residents_item_is_not_found(bank: Bank) -> None:
    (item,) = await bank.put(bank.hana, "health_checkup", CHECKUP)
    with pytest.raises(RecordNotFound):
        await bank.db.read(vault.get, bank.sealer, account_id=bank.taro, item_id=item)
