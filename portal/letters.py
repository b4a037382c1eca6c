"""The words of letters to residents: one subject and a few sentences for each kind, in the reader's language.

A letter says what happened, when, and what to do if it was somebody else; it holds no name, no address and nothing that
lets anybody in but the code it was asked for. Plain text: what the eye reads is where the link leads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from identity.alarm import Alarm
from identity.mail import TOLD, Mail, Words
from kit.clock import Millis
from kit.host import Host
from portal import i18n
from portal.i18n import N_, _
from portal.pages.safety import device_words


@dataclass(frozen=True)
class Kind:
    """Subject and sentences, as message ids."""

    subject: str
    text: str
    sign_in: bool = False  # somebody was in: the letter ends with the way to throw them out
    stops: bool = False  # the same way also stops what is coming


KINDS: Mapping[str, Kind] = {
    "new-browser": Kind(
        N_("A new browser signed in to your account"),
        N_("On %(when)s somebody signed in to your account with a browser we had not seen before: %(device)s."),
        sign_in=True,
    ),
    "password": Kind(
        N_("Your password was changed"), N_("On %(when)s the password of your account was changed."), sign_in=True
    ),
    "passkey-added": Kind(
        N_("A passkey was added"), N_("On %(when)s a passkey was added to your account. It can sign in."), sign_in=True
    ),
    "passkey-removed": Kind(
        N_("A passkey was removed"), N_("On %(when)s a passkey was removed from your account."), sign_in=True
    ),
    "passkey-stopped": Kind(
        N_("A passkey was stopped"),
        N_("On %(when)s one of your passkeys was used as if it had been copied. It opens nothing any more. Remove it."),
        sign_in=True,
    ),
    "app": Kind(
        N_("An authenticator app was set up"),
        N_("On %(when)s an authenticator app was set up for your account. Former ones stopped working."),
        sign_in=True,
    ),
    "linked": Kind(
        N_("Another way to sign in was linked"),
        N_("On %(when)s an identity of another provider was linked to your account. It can sign in."),
        sign_in=True,
    ),
    "certificate-linked": Kind(
        N_("A certificate was linked"),
        N_("On %(when)s a certificate was linked to your account. Whoever holds it can sign in."),
        sign_in=True,
    ),
    "certificate-unlinked": Kind(
        N_("A linked certificate was removed"),
        N_("On %(when)s a linked certificate was removed from your account. It can't sign in any more."),
        sign_in=True,
    ),
    "renewed": Kind(
        N_("A renewed certificate signed in"),
        N_("On %(when)s somebody signed in with a newer certificate of the kind you linked, as after a renewal."),
        sign_in=True,
    ),
    "phone": Kind(
        N_("Your telephone number was changed"),
        N_("On %(when)s the telephone number of your account was changed."),
        sign_in=True,
    ),
    "unlinked": Kind(
        N_("A linked way to sign in was removed"),
        N_("On %(when)s a linked identity was removed from your account. It can't sign in any more."),
        sign_in=True,
    ),
    "codes": Kind(
        N_("New recovery codes were made"),
        N_("On %(when)s new recovery codes were made for your account. Former ones stopped working."),
        sign_in=True,
    ),
    "code-used": Kind(
        N_("A recovery code was used"), N_("On %(when)s a recovery code of your account was used."), sign_in=True
    ),
    "email-code": Kind(
        N_("Your code for this e-mail address"),
        N_(
            "Somebody who is signed in to Sekisho wants to get letters at this address. If that is you, type this code "
            "on the page that asks for it:\n\n    %(code)s\n\nIt works once, until %(until)s. "
            "If it is not you, do nothing: then no more letters come."
        ),
    ),
    "recover-code": Kind(
        N_("Your code to recover your account"),
        N_(
            "Somebody typed your login name and one of your recovery codes, to make a new way into your account. If "
            "that is you, type this code on the page that asks for it:\n\n    %(code)s\n\n"
            "It works once, until %(until)s."
        ),
        sign_in=True,
    ),
    "recovery-begun": Kind(
        N_("Somebody is recovering your account"),
        N_(
            "On %(when)s somebody used a recovery code and a code from a letter to you. From %(until)s on they can "
            "make a new way into your account, and every former one stops working. Until then you can stop it."
        ),
        sign_in=True,
        stops=True,
    ),
    "email-verified": Kind(
        N_("Your letters come here now"),
        N_("On %(when)s this became the e-mail address of your account. We write here when something changes."),
        sign_in=True,
    ),
    "email-waiting": Kind(
        N_("Your e-mail address is about to change"),
        N_("Somebody asked that letters about your account no longer come here. From %(until)s on they will not."),
        sign_in=True,
        stops=True,
    ),
    "email-left": Kind(
        N_("Your letters come here no more"),
        N_("On %(when)s your account got another e-mail address, as we told you before. This is the last letter here."),
        sign_in=True,
    ),
    "locked": Kind(
        N_("Your account was locked"),
        N_("On %(when)s the city office locked your account. Nobody can sign in until it is unlocked there."),
    ),
    "unlocked": Kind(
        N_("Your account was unlocked"), N_("On %(when)s the city office unlocked your account. You can sign in again.")
    ),
    "reset-opened": Kind(
        N_("A new way into your account is being made"),
        N_("On %(when)s the city office checked documents and began to make a new way into your account."),
        sign_in=True,
        stops=True,
    ),
    "reset-approved": Kind(
        N_("A code for your account was printed"),
        N_("On %(when)s a second person at the city office approved a new way into your account and printed a code."),
        sign_in=True,
        stops=True,
    ),
    "reset-withdrawn": Kind(
        N_("A new way into your account was withdrawn"),
        N_("The new way into your account that was begun at the city office was withdrawn on %(when)s."),
    ),
    "reset-used": Kind(
        N_("Your ways to sign in were replaced"),
        N_("On %(when)s a new way into your account was made, and every former one stopped working."),
        sign_in=True,
    ),
    "mandate-accepted": Kind(
        N_("Somebody accepted your mandate"),
        N_(
            "On %(when)s somebody typed the code you gave away. Look under “People who act for you” who it is: only "
            "when you confirm it, this person may act for you."
        ),
    ),
    "mandate-begun": Kind(
        N_("Somebody may act for you"),
        N_("From %(when)s on another person may act for you, as far as the mandate goes. You see it in your account."),
    ),
    "mandate-ended": Kind(
        N_("A mandate has ended"), N_("On %(when)s a mandate to act for you ended. Nobody acts under it any more.")
    ),
    "instruction-stated": Kind(
        N_("You said in advance how services are answered"),
        N_(
            "On %(when)s an answer to services' requests for your data was stated in advance in your account. You see "
            "it under “Consents”, and can stop it there."
        ),
        sign_in=True,
    ),
    "instruction-answered": Kind(
        N_("A service was answered as you said in advance"),
        N_(
            "On %(when)s a service asked for your data, and got the answer that you had stated in advance. You see it "
            "under “Consents”, and can undo it there."
        ),
    ),
    "alarm": Kind(
        N_("You were signed out everywhere"),
        N_(
            "On %(when)s somebody told us “this wasn't me”: every browser and service was signed out of your account, "
            "and what waited to change it was stopped. Sign in again, then change your password."
        ),
    ),
}
#: What the floors above identity have to tell.
ALSO_TOLD: Mapping[str, str] = {
    "consent.instruction.set": "instruction-stated",
    "consent.instruction.changed": "instruction-stated",
    "consent.instruction.answered": "instruction-answered",
}
assert {*TOLD.values(), *ALSO_TOLD.values()} <= set(KINDS)


def include(host: Host) -> None:
    """Give identity's letters their words, and add those of the floors above."""
    alarm, issuer = host.get(Alarm), host.issuer

    def compose(kind: str, lang: str, account_id: str, facts: Mapping[str, Any], at: Millis) -> Words:
        language = i18n.language(lang if lang in i18n.LANGUAGES else i18n.DEFAULT)
        with i18n.speaking(language):
            return _compose(KINDS[kind], language, facts, at, issuer=issuer, ticket=alarm.ticket(account_id))

    host.get(Mail).compose = compose
    if host.db.trail is not None:
        host.get(Mail).follow(host.db.trail, ALSO_TOLD)


def _compose(
    kind: Kind, language: i18n.Language, facts: Mapping[str, Any], at: Millis, *, issuer: str, ticket: str
) -> Words:
    places = {
        "when": language.moment(at),
        "device": device_words(str(facts.get("device", ""))),
        "until": language.moment(facts["until"]) if "until" in facts else "",
        "code": str(facts.get("code", "")),
    }
    parts = [language.gettext(kind.text) % places]
    if kind.sign_in:
        way = f"{issuer}/not-me?" + urlencode({"ticket": ticket})
        parts.append(_("Was it you? Then there is nothing to do."))
        if kind.stops:
            parts.append(
                _("It wasn't you? Open this page and press the button: it stops this and signs out everybody.")
            )
        else:
            parts.append(_("It wasn't you? Open this page and press the button: it signs out everybody."))
        parts.append(way)
    parts.append(_("Sekisho never asks for a password or a code by e-mail or telephone. Nobody reads answers to this."))
    return Words(language.gettext(kind.subject), "\n\n".join(parts) + "\n")
