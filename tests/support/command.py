"""The `sekisho` command, run to its end: in a process of its own, or forked from one that has imported everything.

Both are processes and run the same `main`; importing takes longer than most commands, so a test that runs forty of them
forks. What a command imports is tests/portal/test_start's matter.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.server import nursery
from tests.support.source import ROOT


def sekisho(
    *arguments: Path | str, stdin: str = "", env: dict[str, str] | None = None, cwd: Path = ROOT, fresh: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run it with these settings and no others; `fresh` is a new interpreter, as a shell would start it."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("SEKISHO_")} | (env or {})
    if not fresh:
        return nursery().run(*arguments, environ=environ, place=cwd, stdin=stdin)
    return subprocess.run(
        [sys.executable, "-m", "portal", *arguments],
        cwd=cwd, env=environ | {"PYTHONPATH": str(ROOT)}, input=stdin, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
