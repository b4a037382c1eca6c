"""Lists that must agree with each other: settings and README, error codes and tests, templates and contexts."""

import importlib
import inspect
import re

import pytest

from identity.oauth import errors as oauth_errors
from portal import documents
from tests.support import gallery
from tests.support.source import PACKAGES, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_setting_is_described() -> None:
    assert not [name for name, field in documents.settings() if not field.description]


def test_the_readme_has_the_table_of_settings_that_the_code_has() -> None:
    assert documents.with_settings(README) == README, "run `make openapi` and commit the result"


def _oauth_codes() -> list[type[oauth_errors.OAuthError]]:
    found = [one for _, one in inspect.getmembers(oauth_errors, inspect.isclass)]
    return [one for one in found if issubclass(one, oauth_errors.OAuthError) and one is not oauth_errors.OAuthError]


@pytest.mark.parametrize("error", _oauth_codes(), ids=lambda error: error.code)
def test_every_oauth_error_has_a_row_and_a_test(error: type[oauth_errors.OAuthError]) -> None:
    """A code that no test provokes is a code that nobody knows to be right."""
    assert inspect.getdoc(error)
    assert error.spec
    assert 400 <= error.status <= 503
    tests = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("identity", "flows", "consent", "portal")
        for path in (ROOT / "tests" / folder).rglob("*.py")
    )
    assert re.search(rf"""\b{error.__name__}\b|["']{re.escape(error.code)}["']""", tests)


def test_no_two_oauth_rows_say_the_same() -> None:
    codes = [error.code for error in _oauth_codes()]
    assert len(codes) == len(set(codes))


def test_every_template_is_given_exactly_one_dataclass() -> None:
    """Partials (`_name.html`), layouts and macros are parts of templates, not templates."""
    templates = ROOT / "portal" / "templates"
    parts = {"base.html", "macros.html"}
    pages = {
        path.relative_to(templates).as_posix()
        for path in templates.rglob("*.html")
        if path.name not in parts and not path.name.startswith("_")
    }
    sampled = {(sample.template, type(sample.context).__name__) for sample in gallery.samples()}
    assert pages == {template for template, _ in sampled}
    assert len(sampled) == len({template for template, _ in sampled}), "a template with two dataclasses"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_tells_what_it_is(package: str) -> None:
    """A page of README for a reader, a docstring for the API document."""
    assert (ROOT / package / "README.md").is_file()
    assert importlib.import_module(package).__doc__
    assert (ROOT / package / "py.typed").is_file()
