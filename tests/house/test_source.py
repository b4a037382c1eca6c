"""House rules that a linter does not know. Each test's docstring says which leak the rule closes."""

import ast
import re

import pytest

from tests.support.source import ROOT, Module, calls, imports, modules

#: Lines of a module. Tests, and what was generated, may be as long as they are.
LONGEST_MODULE = 650


def _outside(*allowed: str) -> list[Module]:
    return [module for module in modules() if not module.path.startswith(allowed)]


def test_nobody_but_the_hallway_commits() -> None:
    """A commit elsewhere would part a change from its audit entry, its ledger entry and its batch (I2, I8, I9)."""
    found = [
        module.where(call)
        for module in _outside("kit/db", "portal/migrations/")
        for name, call in calls(module)
        if name.endswith((".commit", ".rollback")) and "." in name
    ]
    assert not found


def test_only_the_clock_reads_the_time() -> None:
    """Expiry, replay windows and statutory clocks must follow one clock, the one that tests can freeze."""
    wall = re.compile(r"(^|\.)(datetime\.(now|utcnow|today)|date\.today|time\.time|time\.time_ns)$")
    found = [
        module.where(call)
        for module in _outside("kit/clock.py", "kit/ids.py", "portal/walk/")
        for name, call in calls(module)
        if wall.search(name)
    ]
    assert not found


def test_a_permit_is_made_only_where_it_is_decided() -> None:
    """A `Permit` is the proof that the consent as it is now covers a read (I1); nobody else may write one."""
    found = [
        module.where(call)
        for module in _outside("consent/decisions.py")
        for name, call in calls(module)
        if name.split(".")[-1] == "Permit"
    ]
    assert not found


def test_a_full_cache_gives_up_its_oldest_at_once() -> None:
    """The first key of a plain dict is found behind all that were deleted before it: a full cache that turns over grew
    a hundred times slower, and strangers fill some of them. `OrderedDict.popitem(last=False)` does not."""
    oldest = re.compile(r"\.pop\(next\(iter\(")
    assert [each.path for each in modules() if oldest.search((ROOT / each.path).read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("forbidden", "where", "why"),
    [
        ("authlib.jose", (), "deprecated, and the home of most of Authlib's advisories"),
        ("jose", ("portal/walk", "portal/cli", "portal/__main__"), "it ignores `crit`, so it decides nothing"),
        ("pickle", (), "a stored value would become code"),
        ("starlette.middleware.base", (), "middleware is pure ASGI: BaseHTTPMiddleware costs a task per request"),
        (
            "random",
            ("portal/city", "kit/db/postgres.py", "portal/jobs.py"),
            "predictable: only for the demo city and for jitter",
        ),
    ],
)
def test_nobody_imports(forbidden: str, where: tuple[str, ...], why: str) -> None:
    """See each row's reason."""
    found = [
        module.where(statement)
        for module in (_outside(*where) if where else modules())
        for name, statement in imports(module)
        if name == forbidden or name.startswith(f"{forbidden}.")
    ]
    assert not found, why


def test_tokens_are_decoded_only_in_keys() -> None:
    """`joserfc.jwt.decode` checks no claims and takes an algorithm list that is easy to forget; keys/ wraps it."""
    found = [
        module.where(statement)
        for module in _outside("keys/", "portal/walk/")
        for name, statement in imports(module)
        if name.split(".")[0] == "joserfc"
    ]
    assert not found


def test_every_module_says_what_it_is() -> None:
    """A docstring opens each module: what it is, which specification and section, pure or not."""
    found = [module.path for module in modules() if module.tree.body and not ast.get_docstring(module.tree)]
    assert not found


def test_no_module_outgrows_its_idea() -> None:
    """Who comes near the limit asks which second idea moved in, and gives it a file named after it."""
    found = {
        module.path: lines
        for module in modules()
        if not module.path.startswith("portal/migrations/versions/")
        and (lines := module.text.count("\n")) > LONGEST_MODULE
    }
    assert not found


def test_the_packages_name_no_machine() -> None:
    """No path of somebody's machine and no address of a package index in a tracked text."""
    pattern = re.compile(r"(^|[\s\"'(=])/(root|home/\w+|Users/\w+)/|https?://[^\s\"']+\.(whl|tar\.gz|tgz)\b")
    found = [
        f"{module.path}:{number}"
        for module in modules()
        for number, line in enumerate(module.text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found


@pytest.mark.parametrize(
    "lock",
    [
        *(path.name for path in ROOT.glob("*.lock")),
        "tests/bench/peers/package-lock.json",
        "tests/peers/package-lock.json",
    ],
)
def test_a_lock_pins_by_hash_and_names_no_host(lock: str) -> None:
    """Locks say what, never from where: they serve every index, and a wrong file fails by its hash."""
    text = (ROOT / lock).read_text()
    assert not re.search(r'"resolved"|--index-url|--find-links', text)
    if lock.endswith(".lock"):
        assert "://" not in text
        pins = re.findall(r"(?m)^[A-Za-z0-9][\w.\-\[\]]*==", text)
        assert pins
        assert len(re.findall(r"(?m)^[A-Za-z0-9]", text)) == len(pins)
        blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", text)
        assert all("--hash=sha256:" in block for block in blocks if block.strip())
