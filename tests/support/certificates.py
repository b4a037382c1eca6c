"""A certificate authority for the tests, and the certificates it gives out."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Both as files; their paths."""
        cert, key = folder / f"{name}.pem", folder / f"{name}.key"
        cert.write_bytes(self.pem)
        key.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return cert, key


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Minato-hama"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _make(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    signer: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    *, ca: bool, dns: list[str], days: int,
) -> x509.Certificate:  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not ca:
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
        names.append(x509.IPAddress(ipaddress.ip_address("192.0.2.7")))
        eku = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(eku, critical=False)
    return builder.sign(signer, hashes.SHA256())


class Authority:
    """A CA."""

    def __init__(self, common: str = "Test CA") -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.pair = Pair(_make(_name(common), _name(common), key, key, ca=True, dns=[], days=30), key)

    def give(self, common: str, *dns: str, days: int = 10, key: rsa.RSAPrivateKey | None = None) -> Pair:
        """A certificate for a server or a client; for a new P-256 key unless one is given."""
        made_for = key or ec.generate_private_key(ec.SECP256R1())
        issuer = self.pair.certificate.subject
        made = _make(
            _name(common), issuer, made_for, self.pair.key, ca=False, dns=list(dns) or ["x.example"], days=days
        )
        return Pair(made, made_for)


def self_signed(common: str = "on its own") -> Pair:
    """A certificate nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Pair(_make(_name(common), _name(common), key, key, ca=False, dns=["own.example"], days=10), key)
