"""NIST's Public Key Interoperability Test Suite against our paths and revocation lists (keys/pki).

The vectors come with the package `cryptography-vectors`; where it isn't installed there is nothing to do. What must
hold: nothing that the suite calls invalid is good here. That much that it calls valid is refused, is by decision
(keys/README.md, 14 and 15): policy mappings and constraints, directory name constraints, indirect and partial lists,
names that are equal only after folding.
"""

import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keys.certificates import from_der
from keys.pki import crl
from keys.pki.paths import Anchors, Link, Untrusted
from keys.pki.status import Untold

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore:Parsed a:UserWarning")]  # odd serials
NOW = int(time.time() * 1000)


def listed(link: Link, lists: list[bytes]) -> str:
    """good, revoked or untold, by every list that can be read; one that says revoked counts."""
    found = set()
    for der in lists:
        try:
            found.add(crl.read(der, link.issuer, now=NOW).status(link, now=NOW).state)
        except Untold:
            continue
    return "revoked" if "revoked" in found else "good" if found else "untold"


def test_nothing_that_is_invalid_is_good_here(tmp_path: Path) -> None:
    vectors = pytest.importorskip("cryptography_vectors")
    data = Path(next(iter(vectors.__path__))) / "x509" / "PKITS_data"
    between, ends = [], {}
    for file in sorted((data / "certs").glob("*.crt")):
        made = from_der(file.read_bytes())
        if made is None:
            continue
        if file.name.endswith("EE.crt"):
            ends[file.name.removesuffix("EE.crt")] = made
        elif file.name != "TrustAnchorRootCertificate.crt":
            between.append(made.pem)
    root = x509.load_der_x509_certificate((data / "certs" / "TrustAnchorRootCertificate.crt").read_bytes())
    (tmp_path / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (tmp_path / "between.pem").write_text("".join(between))
    anchors = Anchors(tmp_path / "root.pem", tmp_path / "between.pem")
    lists = [file.read_bytes() for file in sorted((data / "crls").glob("*.crl"))]
    good = set()
    for name, made in ends.items():
        try:
            path = anchors.path(made, now=NOW)
        except Untrusted:
            continue
        if all(listed(link, lists) == "good" for link in path.links):
            good.add(name)
    # Revoked in a delta list alone, which a complete list that is still good need not be read with (RFC 5280 s. 5.2.4).
    assert {name for name in good if name.startswith("Invalid")} <= {"InvaliddeltaCRLTest4"}
    assert len([name for name in ends if name.startswith("Invalid")]) > 100
    assert len([name for name in good if name.startswith("Valid")]) >= 27
