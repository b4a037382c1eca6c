"""Programs in Go that the tests talk to, built once a session; their modules come through the Go module proxy."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.support.peers import leave_out, missing
from tests.support.source import ROOT


@cache
def program(name: str) -> Path:
    """The program whose sources are in tests/kit/<name>."""
    built = Path(mkdtemp(prefix=f"{name}-")) / name
    sources = ROOT / "tests" / "kit" / name
    if why := missing("go"):
        leave_out(why)
    fetched = _go(sources, "mod", "download")
    if fetched.returncode != 0:
        leave_out(f"the modules of {name} could not be had: {fetched.stderr[-300:]}")
    # From here on only our own source can be at fault.
    done = _go(sources, "build", "-o", str(built), ".")
    if done.returncode != 0:
        pytest.fail(f"{name} does not build: {done.stderr[-1000:]}", pytrace=False)
    return built


def _go(sources: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["go", *words], cwd=sources, capture_output=True, text=True, timeout=180)
