"""The pages for developers: the API documents."""

from dataclasses import dataclass

from portal.contexts import Sample


@dataclass(frozen=True)
class ApiDocument:
    """One document: its short name, its title, how many operations it has."""

    name: str
    title: str
    operations: int


@dataclass(frozen=True)
class Docs:
    """docs.html: the list of documents, and one of them shown."""

    documents: tuple[ApiDocument, ...]
    shown: ApiDocument | None


def samples() -> list[Sample]:
    """The list, and one document."""
    documents = (ApiDocument("keys", "Keys", 4), ApiDocument("consent", "Consent and its ledger", 1))
    return [
        Sample("docs.html", "list", Docs(documents, None), path="/docs"),
        Sample("docs.html", "one", Docs(documents, documents[0]), path="/docs/keys"),
    ]
