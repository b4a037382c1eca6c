"""`sekisho ledger monitor`: follow a ledger, keep its last good checkpoint, and raise the alarm."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portal.cli.common import Json, fail
from portal.cli.ledger_common import HERE_LEDGER, Origin, Place, Policy, Strict, Vkey, checking, trust_of

if TYPE_CHECKING:
    from consent.trust import Trust
    from kit.tlog.monitor import Alarm

#: Every kind of alarm (kit.tlog.monitor.Alarm) and the exit code it ends with.
CODES = {"fork": 10, "rollback": 11, "signature": 12, "damaged": 13, "quorum": 14}
_COMMAND_SECONDS = 60


def monitor(
    state: Annotated[Path, typer.Option(help="File that keeps the last good checkpoint; made at the first look.")],
    vkey: Vkey = None,
    url: Place = HERE_LEDGER,
    policy: Policy = None,
    quorum: Strict = False,
    origin: Origin = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 60.0,
    looks: Annotated[int | None, typer.Option(min=1, help="Stop after so many looks; without it, go on.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once (for cron).")] = False,
    command: Annotated[
        str | None, typer.Option(help="Run this at an alarm, with SEKISHO_ALARM set to its kind.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Follow a ledger and alarm when it breaks its promise. The state file then stays at the last good checkpoint.

    An alarm is one line, the command if you gave one, the offending checkpoint beside the state file (.alarm), and an
    exit code: 10 a fork, 11 a rollback, 12 a wrong signature, 13 tiles or entries that are not what was signed,
    14 no quorum of witnesses (with --quorum). A ledger that does not answer is told and tried again; with --once that
    is exit code 2.

    Example: sekisho ledger monitor --state ledger.state --vkey ledger.vkey --command 'mail -s ALARM ops@city.example'
    """
    with checking(as_json, wrong="cannot follow"):
        from kit.tlog.monitor import Alarm

        trust = trust_of(vkey, policy, origin)
        left = 1 if once else looks
        while True:
            try:
                _look(url, state, trust, quorum=quorum, as_json=as_json)
            except Alarm as alarm:
                _alarm(alarm, state, command, as_json)
            except OSError as error:
                if once:
                    raise
                _tell({"reached": False, "detail": error.strerror or str(error)}, as_json, f"no answer: {error}")
            if left is not None:
                left -= 1
                if left == 0:
                    return
            time.sleep(every)


def _look(url: str, state: Path, trust: "Trust", *, quorum: bool, as_json: bool) -> None:
    from kit.tlog import client
    from kit.tlog import monitor as follow
    from kit.tlog.errors import BadSignature
    from kit.tlog.places import place

    fetch = place(url)
    known = follow.read_state(state)
    note = known if known is not None else client.read_note(fetch)
    origin, verifiers = trust.log(note)
    found = follow.step(fetch, known, origin=origin, verifiers=verifiers)
    try:
        stated = trust.require_quorum(found.note) if quorum else trust.quorum(found.note)
    except BadSignature as bad:
        raise follow.Alarm("quorum" if bad.check == "quorum" else "signature", str(bad), found.note) from None
    if found.note != known:
        follow.write_whole(state, found.note)
    size = found.checkpoint.size
    result = {"held": True, "size": size, "before": found.before, "new": len(found.entries), **stated.document()}
    before = "first look" if found.before is None else f"{len(found.entries)} new"
    words = f"{size} entries, {before}" + ("" if stated.met is None else f"; {stated}")
    _tell(result, as_json, words)


def _alarm(alarm: "Alarm", state: Path, command: str | None, as_json: bool) -> None:
    from kit.tlog.monitor import write_whole

    evidence = state.with_name(f"{state.name}.alarm")
    write_whole(evidence, alarm.evidence)
    if as_json:
        _tell({"held": False, "alarm": alarm.kind, "detail": str(alarm), "evidence": str(evidence)}, True, "")
    if command is not None:
        told = {"SEKISHO_ALARM": alarm.kind, "SEKISHO_DETAIL": str(alarm), "SEKISHO_EVIDENCE": str(evidence)}
        try:
            subprocess.run(shlex.split(command), env={**os.environ, **told}, timeout=_COMMAND_SECONDS, check=False)  # noqa: S603 - the operator's own command
        except (OSError, subprocess.TimeoutExpired, ValueError) as error:
            print(f"sekisho: the alarm's command failed: {error}", file=sys.stderr)
    fail(f"ALARM {alarm.kind}: {alarm}", code=CODES[alarm.kind])


def _tell(result: dict[str, Any], as_json: bool, text: str) -> None:
    """One line a look: logs of a service are read by lines."""
    import json

    print(json.dumps(result, ensure_ascii=False) if as_json else text, flush=True)
