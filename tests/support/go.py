"""Programs in Go that the tests talk to, built once a session; their modules come through the Go module proxy."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.support.peers import leave_out
from tests.support.source import ROOT


@cache
def program(name: str) -> Path:
    """The program whose sources are in tests/kit/<name>."""
    built = Path(mkdtemp(prefix=f"{name}-")) / name
    sources = ROOT / "tests" / "kit" / name
    done = subprocess.run(["go", "build", "-o", built, "."], cwd=sources, capture_output=True, text=True, timeout=180)
    if done.returncode != 0:
        leave_out(f"golang.org/x/mod could not be built: {done.stderr[-300:]}")
    return built
