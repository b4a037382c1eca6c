"""What a member writes down when it proposes to use residents' data, checked. Pure.

Strict models: unknown fields and loose types are refused. Both languages are complete or there is no proposal: a
resident who reads only one of them must lose nothing.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from consent.durations import parse_duration
from consent.purposes import LAWFUL_BASES, PURPOSES

Lang = Literal["ja", "en"]
LANGS: tuple[Lang, ...] = ("ja", "en")


def _purpose(code: str) -> str:
    if code not in PURPOSES:
        raise ValueError("not a purpose known here; see GET /api/consent/purposes")
    return code


def _lawful_basis(code: str) -> str:
    if code not in LAWFUL_BASES:
        raise ValueError("not a lawful basis known here; see GET /api/consent/purposes")
    return code


def _duration(text: str) -> str:
    parse_duration(text)
    return text


def _plain(text: str) -> str:
    if not text.strip() or any(ord(each) < 32 and each != "\n" for each in text):
        raise ValueError("write at least one word, without control characters")
    return text


Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Duration = Annotated[str, AfterValidator(_duration), Field(max_length=30, examples=["P180D"])]
Line = Annotated[str, AfterValidator(_plain), Field(max_length=200)]
Paragraph = Annotated[str, AfterValidator(_plain), Field(max_length=1000)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Words(_Part):
    """One text in both languages."""

    ja: Paragraph = Field(examples=["バスの本数をあなたの地区で増やします。"])
    en: Paragraph = Field(examples=["More buses in your district."])


class Category(_Part):
    """A data category the use needs, or would like."""

    category: Code = Field(examples=["mobility"], description="The category's id in the information bank")
    required: bool = Field(examples=[True], description="Without it the use makes no sense; the others are optional")
    sensitivity: int = Field(default=0, ge=0, le=3, examples=[1], description="0 harmless to 3 most sensitive")


class NoticeText(_Part):
    """What the resident reads, in one language."""

    title: Line = Field(examples=["Better bus times"])
    short: Paragraph = Field(examples=["We look at when and where you ride to plan more buses."])
    full: Annotated[str, AfterValidator(_plain), Field(max_length=8000)] = Field(
        examples=["The bus operator receives your trips of the last 90 days, without your name."]
    )
    benefit: Paragraph = Field(examples=["More buses at the times you need them."], description="便益")
    if_refused: Paragraph = Field(examples=["Nothing changes for you. You can ride as before."])
    forbidden: Paragraph = Field(
        examples=["The operator may not pass the data on, and may not find out who you are."],
        description="What the recipient may not do",
    )


class NoticeTexts(_Part):
    """The notice in both languages."""

    ja: NoticeText
    en: NoticeText


class Proposal(_Part):
    """A data use as proposed: the content of one agreement revision."""

    purpose: Annotated[str, AfterValidator(_purpose)] = Field(examples=["ImproveTransportMobility"])
    lawful_basis: Annotated[str, AfterValidator(_lawful_basis)] = Field(default="Consent", examples=["Consent"])
    categories: tuple[Category, ...] = Field(min_length=1, max_length=40, strict=False)
    retention: Duration = Field(description="How long the recipient keeps what it received", examples=["P90D"])
    duration: Duration = Field(description="How long a consent lasts", examples=["P180D"])
    jurisdiction: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = Field(default="JP", examples=["JP"])
    contact: Line = Field(examples=["data@bus.example"], description="Where the recipient answers questions")
    text: NoticeTexts
    change: Literal["material", "non-material"] = Field(
        default="material",
        examples=["material"],
        description="Of a later revision: non-material where only words change and not what they mean. Who agreed "
        "before is asked again about a material change, with the difference alone, and told of another",
    )

    @model_validator(mode="after")
    def _categories_once(self) -> "Proposal":
        names = [each.category for each in self.categories]
        if len(set(names)) != len(names):
            raise ValueError("a category is listed twice")
        return self
