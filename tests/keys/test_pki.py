"""Paths, revocation lists and OCSP answers, judged (RFC 5280, RFC 6960, RFC 9654): what holds, and what does not."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as making
from cryptography.x509.oid import ExtendedKeyUsageOID

from keys.certificates import Certificate
from keys.pki import crl, ocsp
from keys.pki.paths import Anchors, Link, Untrusted
from keys.pki.paths import Path as CertPath
from keys.pki.status import Untold, millis
from tests.support.certificates import Pair, self_signed
from tests.support.pki import DAY, Maker, OpenSSL, policies, unknown_critical, uri

ROOT = Maker("Root")
BETWEEN = Maker("Between", ROOT, extra=[(policies("1.2.3.4", "1.2.3.5"), True)])
OTHER = Maker("Other")
NOW = millis(ROOT.now)
HERE, THERE = "http://crl.example/a.crl", "http://crl.example/b.crl"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pki")
    (place / "root.pem").write_bytes(ROOT.pem)
    (place / "between.pem").write_bytes(BETWEEN.pem)
    return place


def path(files: Path, pair: Pair, *, now: int = NOW, **more: Any) -> CertPath:
    anchors = Anchors(files / "root.pem", files / "between.pem", **more)
    return anchors.path(Certificate(pair.certificate), now=now)


def why(files: Path, pair: Pair, **more: Any) -> str:
    with pytest.raises(Untrusted) as refused:
        path(files, pair, **more)
    return refused.value.reason


# -- paths


def test_a_path_leads_over_the_authorities_between_to_an_anchor(files: Path) -> None:
    """RFC 5280 section 6.1. A certificate for people often has no alternative name: none is asked for."""
    found = path(files, BETWEEN.give(days=3))
    assert [link.issuer.subject for link in found.links] == [BETWEEN.name, ROOT.name]
    assert found.until == NOW + 3 * 86_400_000


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (OTHER.give(), "untrusted"),
        (self_signed(), "untrusted"),
        (Pair(ROOT.certificate, ROOT.key), "purpose"),
        (BETWEEN.give(days=-1), "expired"),
        (BETWEEN.give(ca=True), "purpose"),
        (BETWEEN.give(signs=False), "purpose"),  # for signing documents alone
        (BETWEEN.give(eku=(ExtendedKeyUsageOID.SERVER_AUTH,)), "purpose"),
        (BETWEEN.give(eku=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)), "purpose"),
        (BETWEEN.give(extra=[unknown_critical()]), "untrusted"),
        (BETWEEN.give(extra=[(x509.InhibitAnyPolicy(0), True)]), "untrusted"),
    ],
)
def test_what_is_not_from_here_not_of_now_or_not_for_this_is_refused(files: Path, pair: Pair, reason: str) -> None:
    """RFC 5280 sections 4.2 (critical extensions), 4.2.1.3, 4.2.1.9, 4.2.1.12, 6.1.3."""
    assert why(files, pair) == reason


def test_an_end_certificate_signs_nobody_else_s(files: Path) -> None:
    """RFC 5280 section 6.1.4 (k): who holds any certificate would be an authority."""
    middle = BETWEEN.give("Middle")
    forger = Maker("Middle")
    forger.name, forger.key = middle.certificate.subject, middle.key
    (files / "middle.pem").write_bytes(BETWEEN.pem + middle.pem)
    anchors = Anchors(files / "root.pem", files / "middle.pem")
    with pytest.raises(Untrusted):
        anchors.path(Certificate(forger.give().certificate), now=NOW)


def test_policies_hold_along_the_whole_path(files: Path) -> None:
    """RFC 5280 section 6.1, without mappings."""
    assert path(files, BETWEEN.give(extra=[(policies("1.2.3.4"), True)]), policies=["1.2.3.4"])
    assert why(files, BETWEEN.give(), policies=["1.2.3.4"]) == "policy"
    assert why(files, BETWEEN.give(extra=[(policies("1.2.3.6"), False)]), policies=["1.2.3.6"]) == "policy"
    assert why(files, BETWEEN.give(extra=[(policies("1.2.3.4"), False)]), policies=["1.2.3.5"]) == "policy"


# -- lists


def link(pair: Pair, issuer: Maker = BETWEEN) -> Link:
    return Link(pair.certificate, issuer.certificate)


def said(der: bytes, one: Link, *, now: int = NOW, stale: int = 0) -> str:
    try:
        return crl.read(der, one.issuer, now=now).status(one, now=now, stale=stale).state
    except Untold as untold:
        return untold.reason


def test_a_list_of_either_make_says_who_is_revoked(tmp_path: Path) -> None:
    gone, good = BETWEEN.give(), BETWEEN.give()
    tool = OpenSSL(BETWEEN, tmp_path)
    tool.note(good=[good.certificate], revoked=[gone.certificate])
    for der in (BETWEEN.crl(gone.certificate, entry=[(x509.CRLReason(x509.ReasonFlags.key_compromise), False)]),
                tool.crl()):  # fmt: skip
        now = millis(datetime.datetime.now(datetime.UTC))  # `openssl` signs at its own moment
        assert (said(der, link(gone), now=now), said(der, link(good), now=now)) == ("revoked", "good")


def scope(**more: Any) -> list[tuple[x509.ExtensionType, bool]]:
    whole: dict[str, Any] = {
        "full_name": None, "relative_name": None, "only_contains_user_certs": False, "only_contains_ca_certs": False,
        "only_some_reasons": None, "indirect_crl": False, "only_contains_attribute_certs": False,
    }  # fmt: skip
    return [(x509.IssuingDistributionPoint(**{**whole, **more}), True)]


SOME = frozenset({x509.ReasonFlags.key_compromise})


@pytest.mark.parametrize(
    ("der", "reason"),
    [
        (OTHER.crl(), "another-issuer"),
        (OTHER.crl(issuer=BETWEEN.name), "forged"),
        (BETWEEN.crl()[:-4] + b"\0\0\0\0", "forged"),
        (BETWEEN.crl(made=-3, ends=-1), "stale"),
        (BETWEEN.crl(made=1, ends=2), "early"),
        (BETWEEN.crl(extra=[(x509.DeltaCRLIndicator(1), True)]), "delta"),
        (BETWEEN.crl(extra=[unknown_critical()]), "critical"),
        (BETWEEN.crl(serials=[5], entry=[(x509.CertificateIssuer([x509.DirectoryName(ROOT.name)]), True)]), "critical"),
        (BETWEEN.crl(extra=scope(indirect_crl=True)), "indirect"),
        (BETWEEN.crl(extra=scope(only_some_reasons=SOME)), "partial"),
        (BETWEEN.crl(extra=scope(only_contains_attribute_certs=True)), "partial"),
        (BETWEEN.crl(extra=scope(only_contains_ca_certs=True)), "scope"),
        (BETWEEN.crl(extra=scope(full_name=uri(THERE))), "scope"),
        (BETWEEN.crl(extra=scope(full_name=uri(HERE))), "good"),
        (BETWEEN.crl(extra=scope(only_contains_user_certs=True)), "good"),
        (BETWEEN.crl(algorithm=hashes.SHA3_256()), "weak"),
        (b"\x30\x03\x02\x01\x01", "malformed"),
        (b"", "malformed"),
    ],
)
def test_a_list_that_hides_something_says_nothing(der: bytes, reason: str) -> None:
    """RFC 5280 sections 5.1.2.5, 5.2.4, 5.2.5, 5.3 and 6.3.3."""
    assert said(der, link(BETWEEN.give(crl=HERE))) == reason


def test_an_authority_that_may_not_sign_lists_is_not_believed() -> None:
    """RFC 5280 section 6.3.3 (f)."""
    silent = Maker("Silent", ROOT, crl_sign=False)
    assert said(silent.crl(), link(silent.give(), silent)) == "not-allowed"


def test_an_operator_may_be_patient_with_an_old_list_and_for_so_long() -> None:
    gone = BETWEEN.give()
    old = BETWEEN.crl(gone.certificate, made=-3, ends=-1)
    assert said(old, link(gone), stale=3_700_000) == "revoked"
    assert said(old, link(gone), stale=3_500_000) == "stale"


# -- OCSP


def answered(
    one: Link, signer: Pair, *, status: Any = making.OCSPCertStatus.GOOD, nonce: bytes | None = None, about: Any = None,
    issuer: Any = None, embed: bool = True, made: float = -1, ends: float | None = 1, tamper: bool = False,
    algorithm: hashes.HashAlgorithm | None = None, by_name: bool = False,
) -> tuple[ocsp.Question, bytes]:  # fmt: skip
    question = ocsp.ask(one)
    hour = datetime.timedelta(hours=1)
    builder = making.OCSPResponseBuilder().add_response(
        cert=about or one.certificate, issuer=issuer or one.issuer, algorithm=hashes.SHA256(), cert_status=status,
        this_update=ROOT.now + made * hour, next_update=None if ends is None else ROOT.now + ends * hour,
        revocation_time=ROOT.now - DAY if status is making.OCSPCertStatus.REVOKED else None, revocation_reason=None,
    )  # fmt: skip
    encoding = making.OCSPResponderEncoding.NAME if by_name else making.OCSPResponderEncoding.HASH
    builder = builder.responder_id(encoding, signer.certificate)
    if embed:
        builder = builder.certificates([signer.certificate])
    sent = question.nonce if nonce is None else nonce
    if sent:
        builder = builder.add_extension(x509.OCSPNonce(sent), critical=False)
    der = builder.sign(signer.key, algorithm or hashes.SHA256()).public_bytes(Encoding.DER)
    if tamper:
        der = der[:-1] + bytes([der[-1] ^ 1])
    return question, der


def verdict(one: Link, signer: Pair, *, needed: bool = True, now: int = NOW, **more: Any) -> str:
    question, der = answered(one, signer, **more)
    try:
        return ocsp.judge(der, question, one, now=now, freshest=60_000, nonce_needed=needed).state
    except Untold as untold:
        return untold.reason


ITSELF = Pair(BETWEEN.certificate, BETWEEN.key)
RESPONDER = BETWEEN.responder()
_NAMESAKE = Maker("Between")
FAKE = Pair(_NAMESAKE.certificate, _NAMESAKE.key)


def test_the_issuer_or_whom_it_made_a_responder_answers() -> None:
    """RFC 6960 section 4.2.2.2."""
    one = link(BETWEEN.give())
    assert verdict(one, ITSELF, embed=False) == "good"
    assert verdict(one, ITSELF, by_name=True) == "good"
    assert verdict(one, RESPONDER) == "good"
    assert verdict(one, RESPONDER, status=making.OCSPCertStatus.REVOKED) == "revoked"
    assert verdict(one, RESPONDER, status=making.OCSPCertStatus.UNKNOWN) == "unknown"


@pytest.mark.parametrize(
    ("signer", "more", "reason"),
    [
        (OTHER.responder(), {}, "unauthorized"),  # for another authority
        (ROOT.responder(), {}, "unauthorized"),  # the issuer's issuer made it, the issuer didn't
        (BETWEEN.give(), {}, "unauthorized"),  # any certificate of the issuer's
        (BETWEEN.responder(nocheck=False), {}, "unauthorized"),
        (BETWEEN.responder(days=-1), {}, "unauthorized"),
        (RESPONDER, {"embed": False}, "unauthorized"),
        (FAKE, {"by_name": True}, "forged"),
        (ITSELF, {"embed": False, "tamper": True}, "forged"),
        (RESPONDER, {"about": BETWEEN.give().certificate}, "another-certificate"),
        (RESPONDER, {"issuer": OTHER.certificate}, "another-certificate"),
        (RESPONDER, {"nonce": b"\x01" * 32}, "replayed"),
        (RESPONDER, {"nonce": b""}, "no-nonce"),
        (RESPONDER, {"nonce": b"", "needed": False}, "good"),
        (RESPONDER, {"nonce": b"\x01" * 32, "needed": False}, "replayed"),
        (RESPONDER, {"made": -3, "ends": -1}, "stale"),
        (RESPONDER, {"made": 1, "ends": 2}, "early"),
        (RESPONDER, {"made": -0.5, "ends": None}, "stale"),
        (RESPONDER, {"made": 0, "ends": None}, "good"),
        (RESPONDER, {"algorithm": hashes.SHA3_256()}, "weak"),
    ],
)
def test_an_answer_that_does_not_hold_says_nothing(signer: Pair, more: dict[str, Any], reason: str) -> None:
    """RFC 6960 sections 3.2 and 4.2.2.2, RFC 9654 section 2.1: each is somebody trying to make a revoked one good."""
    assert verdict(link(BETWEEN.give()), signer, **more) == reason


def test_nonsense_and_refusals_are_no_answers() -> None:
    one = link(BETWEEN.give())
    question = ocsp.ask(one)
    later = making.OCSPResponseBuilder.build_unsuccessful(making.OCSPResponseStatus.TRY_LATER)
    refusal = later.public_bytes(Encoding.DER)
    for der, reason in ((b"", "malformed"), (b"\x30\x00", "malformed"), (refusal, "refused-there")):
        with pytest.raises(Untold) as told:
            ocsp.judge(der, question, one, now=NOW, freshest=60_000)
        assert told.value.reason == reason


def test_a_question_has_a_nonce_of_32_octets_and_never_the_same() -> None:
    """RFC 9654 section 2.1."""
    one = link(BETWEEN.give())
    first, second = ocsp.ask(one), ocsp.ask(one)
    assert len(first.nonce) == 32
    assert first.nonce != second.nonce
