"""A package's README names every module, so that who takes the package over finds each idea in one place."""

import re
from pathlib import Path

import pytest

from tests.support.source import ROOT

PACKAGES = ("kit", "keys", "identity", "consent", "infobank", "cert", "portal")
#: The same in every package (a house is easy to know when its rooms have the same doors).
EVERYWHERE = {"__init__", "__main__", "wiring", "routes", "settings", "errors", "models", "store"}
#: Their second halves in identity, where people and clients are two tables of contents.
HALVES = {"accounts_wiring", "errors_account", "models_account"}


def readme_of(module: Path) -> Path:
    """The nearest one above."""
    return next(folder / "README.md" for folder in module.parents if (folder / "README.md").is_file())


def named(module: Path) -> bool:
    """By itself, or by a folder below the package whose line speaks for all in it (`grants/`)."""
    readme = readme_of(module)
    text = readme.read_text(encoding="utf-8")
    if re.search(rf"\b{module.stem}\b", text):
        return True
    folders = module.relative_to(readme.parent).parts[:-1]
    return any(f"{folder}/" in text and folder not in {"oauth", "oidc"} for folder in folders)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_is_named_in_the_readme_above_it(package: str) -> None:
    """Fails for a module that came without its line."""
    modules = [path for path in (ROOT / package).rglob("*.py") if path.stem not in EVERYWHERE | HALVES]
    assert modules
    assert [str(path.relative_to(ROOT)) for path in modules if not named(path)] == []
