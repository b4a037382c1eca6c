"""Status adapters: asking a service that speaks for an authority's register, where there is no list and no responder.

For JPKI (公的個人認証) the status of a certificate is told by J-LIS to verifiers it knows: administrative organs
directly, firms after certification or through a platform operator (署名検証者, プラットフォーム事業者). Its interface
is disclosed on application and not public, so what is here is the seam: `StatusAdapter`, and one adapter that asks a
service of the city's or its contractor's by JSON over HTTPS. It was tried against the stand-in of the tests only.

The answer must repeat the question's nonce and the certificate's thumbprint (replay, answers about somebody else), be
of now, and say until when; TLS says who answers, a bearer secret who asks. Anything else is `Untold`.
"""

import secrets
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from identity.certificates.settings import AdapterSettings
from keys.certificates import Certificate
from keys.hashing import same
from keys.pki.status import SKEW, Status, Untold
from kit.clock import Millis, from_iso, iso
from kit.encoding import b64url
from kit.fetch import Fetcher, FetchRefused

ATTRIBUTES = ("name", "address", "birthdate", "gender")
_STATES = ("good", "revoked", "unknown")


class StatusAdapter(Protocol):
    """Asks about one certificate; raises Untold. A city's own is put into `CertificateStatus.adapters` by its name."""

    async def ask(self, leaf: Certificate, issuer: Certificate, *, now: Millis) -> Status:
        """What the register says."""
        ...


class HttpsJson:
    """POSTs `certificate`, `issuer`, `thumbprint`, `nonce`, `at`; gets `status`, `thumbprint`, `nonce`, `this_update`,
    `next_update` and, where it identifies, `identifier` and `attributes`."""

    def __init__(self, settings: AdapterSettings, fetcher: Fetcher) -> None:
        self._settings = settings
        self._fetcher = fetcher.reaching([urlsplit(settings.url).hostname or ""], seconds=5.0)

    async def ask(self, leaf: Certificate, issuer: Certificate, *, now: Millis) -> Status:
        """One question, one answer."""
        nonce = b64url(secrets.token_bytes(32))
        question = {
            "certificate": b64url(leaf.der),
            "issuer": b64url(issuer.der),
            "thumbprint": leaf.x5t,
            "nonce": nonce,
            "at": iso(now),
        }
        secret = self._settings.secret
        headers = {"accept": "application/json"}
        if secret is not None:
            headers["authorization"] = f"Bearer {secret.get_secret_value()}"
        try:
            answer = await self._fetcher.post(
                self._settings.url, orjson.dumps(question), content_type="application/json", headers=headers
            )
        except FetchRefused as error:
            raise Untold("unreachable", str(error)) from error
        if answer.status != 200:
            raise Untold("refused-there", f"status {answer.status}")
        return read(answer.body, thumbprint=leaf.x5t, nonce=nonce, now=now, identifies=self._settings.identifies)


def read(body: bytes, *, thumbprint: str, nonce: str, now: Millis, identifies: bool) -> Status:
    """An answer, if it is one to this question; raises Untold. Pure."""
    try:
        said: Any = orjson.loads(body)
        made, until = from_iso(said["this_update"]), from_iso(said["next_update"])
        state, back, about = said["status"], said["nonce"], said["thumbprint"]
        who, told = said.get("identifier", ""), said.get("attributes", {})
        if not all(isinstance(one, str) for one in (state, back, about, who)) or not isinstance(told, dict):
            raise TypeError
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Untold("malformed", type(error).__name__) from error
    if not same(back, nonce):
        raise Untold("replayed")
    if not same(about, thumbprint):
        raise Untold("another-certificate")
    if state not in _STATES:
        raise Untold("malformed", "status")
    if made > now + SKEW:
        raise Untold("early")
    if until <= now:
        raise Untold("stale")
    if not identifies:
        return Status(state, until)
    if state == "good" and not 0 < len(who) <= 255:
        raise Untold("malformed", "identifier")
    kept = {name: told[name][:200] for name in ATTRIBUTES if isinstance(told.get(name), str)}
    return Status(state, until, who, kept)
