"""Cases of tests.portal.test_every_write. Other cities' logs."""

from typing import Any

from kit.tlog.addcheckpoint import request
from kit.tlog.note import Checkpoint, sign_note
from tests.kit.tlog_support import naive_consistency, naive_root
from tests.portal.writes.base import NEIGHBOUR, World, case


@case("POST /witness/add-checkpoint")
async def post_witness_add_checkpoint(w: World) -> Any:
    """For the first time, and for the second."""
    for old, entries in ((0, [b"0"]), (1, [b"0", b"1"])):
        note = sign_note(Checkpoint(NEIGHBOUR.name, len(entries), naive_root(entries)).text(), [NEIGHBOUR])
        content = request(old, naive_consistency(old, entries) if old else [], note)
        answer = await w.http.post("/witness/add-checkpoint", content=content)
        assert answer.status_code == 200, answer.text
    return answer
