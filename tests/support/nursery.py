"""A process that imports the building once and forks a command for each order on standard input (JSON, one a line).

{"serve": {options}, "environ": {…}, "log": path} answers the new process's id, and so does {"run": [arguments],
"environ": {…}, "place": directory, "talk": directory of stdin, stdout and stderr}; {"wait": pid} its exit code;
{"ended": pid} whether it ended. The forked process runs the command `sekisho serve`, or `sekisho` with those arguments,
and nothing else.
"""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import portal.__main__
import portal.app
import portal.cli.serve
import portal.server

PATIENCE = 120  # seconds a command may take

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


def run(arguments: list[str], environ: dict[str, str], place: str, talk: str) -> NoReturn:
    """In the child: one command, as in a shell that has this environment and no other."""
    code = 1
    try:
        signal.alarm(PATIENCE)  # ends it; a command has no handler for that
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(place)
        for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
            with (Path(talk) / name).open(mode) as end:
                os.dup2(end.fileno(), number)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - what the nursery has read ahead is not for the command
        portal.__main__.app(args=arguments, prog_name="sekisho")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
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
                if "run" in order:
                    run(order["run"], order["environ"], order["place"], order["talk"])
                serve(order["serve"], order["environ"], order["log"])
            print(pid, flush=True)


if __name__ == "__main__":
    main()
