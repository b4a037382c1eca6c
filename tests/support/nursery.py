"""A process that imports the building once and forks a server for each order on standard input (JSON, one a line).

{"serve": {options}, "environ": {…}, "log": path} answers the new process's id; {"wait": pid} its exit code; {"ended":
pid} whether it ended. The forked process runs the command `sekisho serve` and nothing else.
"""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import portal.app
import portal.cli.serve
import portal.server

_gone: dict[int, int] = {}


def serve(options: dict[str, Any], environ: dict[str, str], log: str) -> NoReturn:
    """In the child: the command, with its output in the log."""
    code = 1
    try:
        os.environ.update(environ)
        with open(os.devnull) as nothing, open(log, "a") as words:
            os.dup2(nothing.fileno(), 0)
            os.dup2(words.fileno(), 1)
            os.dup2(words.fileno(), 2)
        portal.cli.serve.serve(port=options["port"], data=Path(options["data"]))
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


def ended(pid: int, *, wait: bool) -> int | None:
    """The exit code of a child, if it has ended."""
    if pid not in _gone:
        found, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
        if found == 0:
            return None
        _gone[pid] = os.waitstatus_to_exitcode(status)
    return _gone[pid]


def main() -> None:
    """Read orders until standard input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            print(ended(order["wait"], wait=True), flush=True)
        elif "ended" in order:
            print(int(ended(order["ended"], wait=False) is not None), flush=True)
        else:
            pid = os.fork()
            if pid == 0:
                serve(order["serve"], order["environ"], order["log"])
            print(pid, flush=True)


if __name__ == "__main__":
    main()
