"""What is wrong with a form, for programs: a stable code beside each sentence a person reads.

Pure. A sentence is written in one language and read in another, and may be put better next year; its code stays what
it is. Pages give sentences; the templates ask for their codes here, so that no page can forget one. What has no code of
its own is `invalid`.
"""

import re
from functools import cache

from portal import i18n

OTHER = "invalid"
BLANK, CHOICE, LONG, DATE, ADDRESS, KEYS = "blank", "choice", "length", "date", "address", "keys"

#: The sentence as it is written in the source, and its code. A code once published is never given to something else.
CODES = {
    "A JSON Web Key Set with public keys only, strong enough; needed for a client with its own key.": KEYS,
    "A JSON Web Key Set with public keys only.": KEYS,
    "A date that has not passed: this document has expired, or the date is no date.": "expired",
    "A number of days, or a duration like P90D or P1Y.": "duration",
    "A time from now on, at most 90 days ahead; or nothing, to begin now.": DATE,
    "Absolute addresses without a fragment, one a line, 20 at most.": ADDRESS,
    "At most %(number)s characters.": LONG,
    "At most %(number)s records are taken in at once.": "too-many",
    "Between 1 and 120 characters.": LONG,
    "Between 1 and 20,000 people.": "number",
    "Between 14 and 180 days after it begins.": DATE,
    "Choose a basis from the list.": CHOICE,
    "Choose a member from the list.": CHOICE,
    "Choose a purpose from the list.": CHOICE,
    "Choose at least one category.": BLANK,
    "Choose at least one.": BLANK,
    "Choose from the list.": CHOICE,
    "Choose from the nine layers.": CHOICE,
    "Choose one of the list.": CHOICE,
    "Choose the document you have seen.": CHOICE,
    "Choose what to cut off. Each must exist.": "unknown",
    "Choose why.": CHOICE,
    "Compare name and date of birth at least. What the profile lacks, the resident fills in first.": "not-compared",
    "Family and given name together are not the name above. "
    "Write them as they stand there, or leave both empty.": "parts",
    "FAPI 2.0 asks for tokens bound to a key.": "unbound",
    "Full https addresses on one host, without a fragment; or http on this machine; or an app's own scheme.": ADDRESS,
    "Give the keys or an address, one of the two.": "one-of-two",
    "Letters and digits only; the Individual Number Card's is never written down.": "characters",
    "No client has this id.": "unknown",
    "No key set could be fetched there.": "unreachable",
    "No record was found in this file.": "no-record",
    "None, one or two.": CHOICE,
    "One a line: a kind from the list, a space, then a number of up to 80 characters.": "lines",
    "One a line: a kind from the list, a space, then a number or name of up to 80 characters.": "lines",
    "One a line: the issuer, a space, the https address of its keys; 10 at most.": "lines",
    "One document with a photograph, or two without, must have been shown.": "too-few",
    "Please check how this is written.": OTHER,
    "Please choose a file.": BLANK,
    "Please choose one of these.": CHOICE,
    "Please fill this in.": BLANK,
    "Please write a date that is not in the future.": DATE,
    "Please write a number from %(low)s to %(high)s.": "number",
    "Please write a number.": "number",
    "Please write at most %(number)s characters.": LONG,
    "Please write “%(word)s”.": "not-confirmed",
    "Record %(number)s has a field “%(name)s” that does not belong here.": "unknown-field",
    "Record %(number)s is too large.": "too-large",
    "Record %(number)s, %(name)s: %(words)s": "record",
    "Say whether the change is material.": CHOICE,
    "Scope names are letters, digits and : . _ / -, separated by spaces.": "scope",
    "Scope names with spaces between them.": "scope",
    "Somebody changed this incident meanwhile. Compare, then save once more.": "conflict",
    "Somebody else uses this login name. Choose another.": "taken",
    "The catalogue says %(number)s; it may be more and not less.": "too-low",
    "The same document twice is one document.": "twice",
    "The texts together are too long for the public ledger; shorten them.": LONG,
    "This change weighs by itself; it is material, whatever it is called.": "material",
    "This code is not right, was used, or is too old. Ask for a new one.": "refused",
    "This date could not be read. Write for example 1951-4-2 or 昭和26年4月2日.": DATE,
    "This document has no chip.": "no-chip",
    "This does not fit: only ping has an address, and a client without a secret or key asks nobody.": "contradiction",
    "This file holds another kind of data.": "other-kind",
    "This file is not JSON.": "not-json",
    "This is longer than a consent may last here.": "too-long",
    "This is too long altogether.": "too-large",
    "This way does not fit the other choices: a public client can't have tokens of its own.": "contradiction",
    "This is no telephone number. Write for example 090-1234-5678, or +1 425 555 0100 for one abroad.": "phone",
    "Your name tells you apart wherever two people are wanted. The administrator changes it.": "not-yours",
    "Tick at least one purpose.": BLANK,
    "Tick this when you have checked it.": "not-confirmed",
    "Tick what may be shown.": BLANK,
    "Two capital letters of a country, like JP.": "country",
    "Up to 8000 characters.": LONG,
    "Use 3 to 64 letters from a to z, digits, or . _ @ + -": "characters",
    "Write a date and time that has come, like 2026-11-22 09:00.": DATE,
    "Write a date and time, like 2026-11-22 09:00.": DATE,
    "Write a number from 1 to %(most)s.": "number",
    "Write an address that begins with https://.": ADDRESS,
    "Write at least a word, without control characters.": BLANK,
    "Write at least one scope.": BLANK,
    "Write it in 200 characters at most, or leave it empty.": LONG,
    "Write it in 40 characters at most, or leave it empty.": LONG,
    "Write it in hiragana or katakana, or leave it empty.": "characters",
    "Write it in one line, up to 200 characters.": LONG,
    "Write what happened, up to 8000 characters.": LONG,
    "Write what happened, what was done and what changes: at least 20 characters.": LONG,
    "Write what is to be done, up to 200 characters.": LONG,
    "Write where residents may ask, in up to 200 characters.": LONG,
    "Write your name.": BLANK,
    "80 characters at most.": LONG,
}
_GAP = re.compile(r"%\\?\(\w+\\?\)[sd]")


@cache
def _spoken(lang: str) -> tuple[dict[str, str], tuple[tuple[re.Pattern[str], str], ...]]:
    """The sentences of a language: those that are whole, and those with something of the moment in them."""
    said = {i18n.language(lang).gettext(one): code for one, code in CODES.items()}
    whole = {text: code for text, code in said.items() if not _GAP.search(text)}
    open_ones = tuple(
        (re.compile(_GAP.sub(".+", re.escape(text)), re.DOTALL), code)
        for text, code in said.items()
        if text not in whole
    )
    return whole, open_ones


def code_of(sentence: str) -> str:
    """The code of a sentence in the language of the page that is being made."""
    whole, open_ones = _spoken(i18n.current().code)
    text = str(sentence).strip()
    if text in whole:
        return whole[text]
    return next((code for pattern, code in open_ones if pattern.fullmatch(text)), OTHER)
